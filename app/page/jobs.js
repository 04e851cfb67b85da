// The last 200 jobs: a table with a filter. Rows are kept, so that whoever is in one stays in it.

import { by, make, setText } from "./dom.js";
import { amount, duration, isUnfinished, many, percent, shortId, size, stateWord } from "./text.js";

const FILTERS = {
  all: () => true,
  unfinished: isUnfinished,
  done: (job) => job.state === "succeeded",
  failed: (job) => ["failed", "refused", "unheard"].includes(job.state),
  cancelled: (job) => job.state === "cancelled",
  durable: (job) => job.durable,
};
const SURE_MS = 5_000;

export class Jobs {
  #rows = new Map();

  /** ``on``: open(id), cancel(id). */
  constructor(store, on) {
    this.store = store;
    this.on = on;
    this.body = by("jobs-body");
    this.state = by("jobs-state");
    this.text = by("jobs-text");
    for (const field of [this.state, this.text]) field.addEventListener("input", () => this.show());
  }

  show() {
    const wanted = this.text.value.trim().toLowerCase();
    const chosen = this.store.jobs.filter(
      (job) =>
        FILTERS[this.state.value](job) && `${job.id} ${job.kernel} ${job.execution}`.toLowerCase().includes(wanted),
    );
    const ids = new Set(chosen.map(({ id }) => id));
    for (const [id, row] of this.#rows) {
      if (ids.has(id)) continue;
      row.element.remove();
      this.#rows.delete(id);
    }
    const focused = document.activeElement;
    chosen.forEach((job, at) => {
      const row = this.#row(job);
      if (this.body.children[at] !== row.element) this.body.insertBefore(row.element, this.body.children[at] ?? null);
      row.update(job, this.store);
    });
    // Its row may have moved, and lost it.
    if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
    setText(
      by("jobs-count"),
      chosen.length < this.store.jobs.length
        ? `${chosen.length} of ${many(this.store.jobs.length, "job")}`
        : many(chosen.length, "job"),
    );
    by("jobs-empty").hidden = chosen.length > 0;
    setText(by("jobs-empty"), this.store.jobs.length ? "No job matches." : "No job has been posted yet.");
    setText(by("jobs-durable"), durableWords(this.store.durable));
  }

  /** The swatches in the colours of now are the style sheet's work: their class says which. */
  #row(job) {
    let row = this.#rows.get(job.id);
    if (!row) {
      row = new Row(job, this.store.colourOf(job.id), this.on);
      this.#rows.set(job.id, row);
    }
    return row;
  }
}

class Row {
  constructor(job, colour, on) {
    const open = make(
      "button",
      { type: "button", class: "link mono", title: "What it did, and where" },
      shortId(job.id),
    );
    open.addEventListener("click", () => on.open(job.id));
    const swatch = make("span", { class: `swatch bar-${colour}`, "aria-hidden": "true" });
    this.what = make("td", { class: "what" });
    this.word = make("span", { class: "word" });
    this.left = make("span", { class: "left" });
    this.bar = make("progress", { max: 1, value: 0, "aria-label": `Progress of job ${shortId(job.id)}` });
    this.problem = make("span", { class: "problem" });
    this.time = make("td", { class: "number" });
    this.workers = make("td", { class: "number wide" });
    this.batches = make("td", { class: "number wide" });
    this.cancel = cancelButton(job, on);
    this.element = make(
      "tr",
      {},
      make("th", { scope: "row" }, swatch, open),
      this.what,
      make("td", { class: "state-cell" }, this.word, this.left, this.bar, this.problem, this.cancel),
      this.time,
      this.workers,
      this.batches,
    );
  }

  update(job, store) {
    const marks = [job.execution === "local" ? "local" : "", job.durable ? "durable" : ""].filter(Boolean);
    setText(this.what, [`${job.kernel} ${size(job)}`, ...marks].join(" · "));
    const running = job.state === "running";
    setText(this.word, running ? percent(Math.min(job.progress, 0.99)) : stateWord(job));
    setText(this.left, running ? left(job, store.now) : "");
    this.word.className = `word ${job.state}`;
    this.bar.hidden = !running;
    if (running) this.bar.value = job.progress;
    setText(this.problem, problemWords(job));
    this.cancel.hidden = !(job.durable && isUnfinished(job));
    setText(this.time, duration(job.total_seconds ?? ((job.ended_at ?? store.now) - job.accepted_at) / 1e3));
    setText(this.workers, job.num_workers ? amount(job.num_workers) : "");
    setText(this.batches, batchesOf(job));
  }
}

function batchesOf(job) {
  if (!job.num_batches) return "";
  return amount(job.num_batches) + (job.num_recomputed ? ` (${job.num_recomputed} again)` : "");
}

/** How long it will take, if the rest goes as what is done. */
function left(job, now) {
  if (job.durable) return ""; // it may have waited for hours, and its own answer tells when it will be done
  const elapsed = (now - job.accepted_at) / 1e3;
  if (job.progress < 0.02 || elapsed < 0.5) return "";
  return `${duration((elapsed * (1 - job.progress)) / job.progress)} left`;
}

/** A sentence, or a problem's name in words. */
export function problemWords({ problem, state }) {
  if (problem === null || problem === state) return "";
  return /^[a-z-]+$/.test(problem) ? problem.replaceAll("-", " ") : problem;
}

/** Asks once more before it does it: hours of computing may go. */
export function cancelButton(job, on) {
  const button = make("button", { type: "button", class: "small", hidden: true }, "Cancel");
  let sure = null;
  const calm = () => {
    clearTimeout(sure);
    sure = null;
    setText(button, "Cancel");
  };
  button.addEventListener("click", () => {
    if (sure !== null) {
      calm();
      on.cancel(job.id);
      return;
    }
    setText(button, "Cancel for good?");
    sure = setTimeout(calm, SURE_MS);
  });
  return button;
}

function durableWords(durable) {
  if (!durable) return "";
  if (!durable.available) return `Durable jobs cannot be had: ${durable.reason ?? "their keeper does not answer"}`;
  const { running, queued, finished } = durable;
  return running + queued + finished ? `Durable: ${running} running, ${queued} queued, ${finished} finished` : "";
}
