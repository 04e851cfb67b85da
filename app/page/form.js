// The fields of a kernel's form, made of what the OpenAPI document says of its body.

import { make } from "./dom.js";
import { count, label } from "./text.js";

/** Fields for what can be asked; their texts by name, and what is wrong with each. */
export class Fields {
  #inputs = new Map();

  constructor(place, kernel) {
    this.fields = kernel.fields;
    place.replaceChildren(...this.fields.map((field) => this.#made(field)));
  }

  get first() {
    return this.#inputs.values().next().value?.input;
  }

  #made(field) {
    const id = `field-${field.name}`;
    const input = inputFor(field, id);
    input.setAttribute("aria-describedby", `${id}-hint ${id}-error`);
    const error = make("p", { id: `${id}-error`, class: "field-error", hidden: true });
    this.#inputs.set(field.name, { input, error });
    return make(
      "div",
      { class: "field" },
      make("label", { for: id }, label(field.name)),
      input,
      make("p", { id: `${id}-hint`, class: "hint" }, hintOf(field)),
      error,
    );
  }

  texts() {
    return Object.fromEntries([...this.#inputs].map(([name, { input }]) => [name, input.value.trim()]));
  }

  /** In the order of the fields; what is missing stays. */
  fill(values) {
    [...this.#inputs.values()].forEach(({ input }, at) => {
      if (values[at] !== undefined) input.value = values[at];
    });
  }

  /** ``errors``: [{location, message}] of a problem; none clears all. Returns those that no field has. */
  complain(errors) {
    const rest = [];
    for (const { error, input } of this.#inputs.values()) {
      error.hidden = true;
      input.removeAttribute("aria-invalid");
    }
    for (const { location, message } of errors) {
      const found = this.#inputs.get(String(location.at(-1))) ?? this.#inputs.get(String(location[1]));
      if (!found) {
        rest.push(message);
        continue;
      }
      found.error.textContent = message;
      found.error.hidden = false;
      found.input.setAttribute("aria-invalid", "true");
    }
    return rest;
  }
}

function inputFor(field, id) {
  if (field.type === "choice" || field.type === "boolean") {
    const choices = field.type === "boolean" ? ["true", "false"] : field.choices.map(String);
    const options = (field.optional ? ["", ...choices] : choices).map((each) =>
      make("option", { value: each }, each || "default"),
    );
    const select = make("select", { id, name: field.name }, ...options);
    select.value = field.value;
    return select;
  }
  if (field.type === "string") return make("input", { id, name: field.name, type: "text", value: field.value });
  return make("input", {
    id,
    name: field.name,
    type: "number",
    inputmode: field.type === "integer" ? "numeric" : "decimal",
    step: field.type === "integer" ? "1" : "any",
    min: field.minimum,
    max: field.maximum,
    value: field.value,
    placeholder: field.optional ? "default" : null,
    required: !field.optional,
    autocomplete: "off",
  });
}

function hintOf({ hint: said, minimum, maximum, type }) {
  const hint = said.replace(/\bnull:/g, "empty:");
  const numeric = type === "integer" || type === "number";
  if (!numeric || maximum === undefined) return hint;
  const bounds = minimum === undefined ? `at most ${count(maximum)}` : `${count(minimum)} to ${count(maximum)}`;
  return hint ? `${hint} ${bounds[0].toUpperCase()}${bounds.slice(1)}.` : `${bounds}.`;
}
