// The few things that all parts of the page do with elements. No HTML is ever made of text.

export const by = (id) => document.getElementById(id);

/** An element with attributes (true: without a value; false, null: none) and what is in it. */
export function make(tag, attributes = {}, ...content) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value !== null && value !== undefined)
      element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...content);
  return element;
}

/** Only where it differs: what has not changed is neither drawn again nor read out again. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Whatever is in the body becomes these rows of texts; elements are used again. */
export function fillRows(body, rows) {
  rows.forEach((cells, at) => {
    const row = body.rows[at] ?? body.appendChild(document.createElement("tr"));
    cells.forEach((text, column) => {
      const cell = row.cells[column] ?? row.appendChild(document.createElement("td"));
      setText(cell, text);
    });
    while (row.cells.length > cells.length) row.lastChild.remove();
  });
  while (body.rows.length > rows.length) body.lastChild.remove();
}

/** A table whose columns with a unit stand to the right. ``numeric``: their numbers. */
export function table(caption, columns, numeric = []) {
  const head = make("tr", {}, ...columns.map((name) => make("th", { scope: "col" }, name)));
  const classes = numeric.map((column) => `n${column}`).join(" ");
  return make(
    "table",
    { class: `plain ${classes}` },
    make("caption", { class: "hidden-text" }, caption),
    make("thead", {}, head),
    make("tbody"),
  );
}

/** A file of the browser's, out of text. */
export function download(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = make("a", { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** Into the clipboard; ``field`` is a text field with the same text, for browsers that give no other way. */
export async function copy(text, field) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    field.focus();
    field.select();
    return document.execCommand("copy"); // plain HTTP from another machine has no clipboard
  }
}

/** A sentence for those who hear the page: at most one each five seconds, the last one wins. */
export class Announcer {
  #waiting = null;
  #at = -Infinity;
  #timer = null;

  constructor(element, everyMs = 5_000) {
    this.element = element;
    this.everyMs = everyMs;
  }

  say(text) {
    this.#waiting = text;
    if (this.#timer !== null) return;
    const wait = this.#at + this.everyMs - performance.now();
    if (wait <= 0) this.#speak();
    else this.#timer = setTimeout(() => this.#speak(), wait);
  }

  #speak() {
    this.#timer = null;
    this.#at = performance.now();
    setText(this.element, this.#waiting);
  }
}
