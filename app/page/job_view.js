// A job's own view, a dialog: what it is, its batches and who computed them, its request as curl, its trace.

import { Problem, sentenceOf } from "./api.js";
import { by, copy, download, fillRows, make, setText } from "./dom.js";
import { cancelButton, problemWords } from "./jobs.js";
import { RUNNING } from "./layout.js";
import { jobLink } from "./links.js";
import { DENSE } from "./ring.js";
import { Runs } from "./runs.js";
import { count, duration, isUnfinished, many, percent, shortId, size, stateWord } from "./text.js";
import { curlOf, traceOf } from "./trace.js";

const RECORDS = 1_000; // an answer has the first so many batches

export class JobView {
  #id = null;
  #story = null; // false: it is being asked for, or cannot be had
  #cancel = null;

  /** ``on``: cancel(id), closed(). */
  constructor({ api, store, palette, on }) {
    Object.assign(this, { api, store, on });
    this.dialog = by("job-dialog");
    this.runs = new Runs(by("job-runs"), palette, "The job's batches");
    by("job-close").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => this.#closed());
    by("job-copy-link").addEventListener("click", () => this.#copy(by("job-copy-link"), by("job-link")));
    by("job-copy-curl").addEventListener("click", () => this.#copy(by("job-copy-curl"), by("job-curl")));
    by("job-trace").addEventListener("click", () => this.#download());
  }

  get id() {
    return this.#id;
  }

  async open(id) {
    if (id === this.#id) return;
    this.#id = id;
    this.#story = null;
    setText(by("job-title"), `Job ${shortId(id)}`);
    by("job-link").value = new URL(jobLink(id), location.href).href;
    by("job-cancel").replaceChildren((this.#cancel = cancelButton({ id }, this.on)));
    this.#say("");
    this.#showCurl(null);
    this.runs.show([]);
    fillRows(by("job-batches"), []);
    if (!this.dialog.open) this.dialog.showModal();
    const known = this.store.job(id);
    this.#show(known);
    if (!known || !isUnfinished(known)) await this.#tell();
  }

  close() {
    this.dialog.close();
  }

  /** With what the last frame said of it. */
  refresh() {
    if (this.#id === null) return;
    const job = this.store.job(this.#id);
    if (job && !this.#story) this.#show(job);
    if (job && !isUnfinished(job) && this.#story === null) this.#tell();
  }

  /** The whole story, once the job is over. */
  async #tell() {
    const id = this.#id;
    this.#story = false;
    try {
      const story = await this.api.json(`timeline/jobs/${encodeURIComponent(id)}`);
      if (id !== this.#id) return;
      this.#story = story;
      this.#show(story.job);
    } catch (error) {
      if (id !== this.#id) return;
      this.#say(
        error instanceof Problem && this.store.job(id) ? "Its batches are not known any more." : sentenceOf(error),
      );
    }
  }

  #show(job) {
    const facts = job ? factsOf(job, this.store) : [];
    by("job-facts").replaceChildren(
      ...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))),
    );
    by("job-id").textContent = this.#id;
    by("job-progress").hidden = !job || job.state !== "running";
    by("job-progress").value = job?.progress ?? 0;
    this.#cancel.hidden = !(job?.durable && isUnfinished(job));
    by("job-self").hidden = !job?.durable || this.api.keys.key !== null; // a link cannot send the key
    by("job-self").setAttribute("href", `jobs/${encodeURIComponent(this.#id)}`);
    by("job-trace").disabled = !this.#story;
    if (!job) return;
    const batches = this.#story ? this.#story.batches : batchesKnown(this.store, job);
    const seconds = job.total_seconds ?? ((job.ended_at ?? this.store.now) - job.accepted_at) / 1e3;
    this.runs.show(
      batches.length ? [{ name: "", unit: job.unit, colour: this.store.colourOf(job.id), seconds, batches }] : [],
    );
    fillRows(
      by("job-batches"),
      batches.map((batch) => batchCells(batch, job)),
    );
    const cut = batches.length >= RECORDS && job.num_batches > batches.length;
    setText(
      by("job-batches-note"),
      cut ? `The first ${count(batches.length)} of ${many(job.num_batches, "batch", "batches")}.` : "",
    );
    if (this.#story) this.#showCurl(this.#story.request, job);
    if (job.problem) this.#say(problemWords(job));
  }

  #showCurl(request, job) {
    by("job-copy-curl").disabled = !request;
    by("job-curl-field").hidden = !request;
    if (!request) return;
    const address = new URL(job.kernel, new URL(".", location.href)).href;
    const asked = job.execution === "local" ? { ...request, execution: "local" } : request; // one run of a comparison
    by("job-curl").value = curlOf(address, asked, { keyed: this.api.keys.key !== null, durable: job.durable });
  }

  async #copy(button, field) {
    const before = button.textContent;
    const done = await copy(field.value, field);
    setText(button, done ? "Copied" : "Press Ctrl+C");
    setTimeout(() => setText(button, before), 2_000);
  }

  #download() {
    const { job, batches } = this.#story;
    download(`job-${shortId(job.id)}.trace.json`, "application/json", JSON.stringify(traceOf(job, batches)));
  }

  #say(text) {
    setText(by("job-note"), text);
    by("job-note").hidden = !text;
  }

  #closed() {
    this.#id = null;
    this.#story = null;
    this.on.closed();
  }
}

function factsOf(job, store) {
  const elapsed = job.total_seconds ?? ((job.ended_at ?? store.now) - job.accepted_at) / 1e3;
  const state = job.state === "running" ? `running, ${percent(Math.min(job.progress, 0.99))}` : stateWord(job);
  const facts = [
    ["Kernel", job.kernel],
    ["Size", size(job)],
    ["State", job.durable ? `${state} (durable)` : state],
    ["Execution", job.execution],
    [job.total_seconds === null ? "So far" : "Took", duration(elapsed)],
    ["Predicted", `${duration(job.predicted_seconds)} of computing`],
    ["Computing", duration(job.compute_seconds)],
    ["Queued", duration(job.queued_seconds)],
    ["Workers", count(job.num_workers)],
    ["Batches", count(job.num_batches)],
    ["Computed again", count(job.num_recomputed)],
  ];
  return facts.filter(([, value]) => value !== "–");
}

/** Of a job that is not over: what the timeline has of it. */
function batchesKnown(store, job) {
  const { ring } = store;
  const found = [];
  const since = (ms) => (ms - job.accepted_at) / 1e3;
  const worker = (number) => store.workers.get(number).id;
  for (let age = 0; age < ring.length && found.length < RECORDS; age += 1) {
    const at = ring.at(age);
    if (ring.outcome[at] === DENSE || store.jobNames.get(ring.job[at]).id !== job.id) continue;
    const times = { dispatched_at_seconds: since(ring.start[at]), returned_at_seconds: since(ring.end(at)) };
    const rest = { num_units: ring.units[at], attempts: ring.attempts[at], compute_seconds: ring.compute[at] / 1e3 };
    found.push({ worker_id: worker(ring.worker[at]), ...times, ...rest, outcome: ring.outcome[at] });
  }
  found.reverse();
  for (const batch of store.running) {
    if (batch.id !== job.id) continue;
    const times = { dispatched_at_seconds: since(batch.start), returned_at_seconds: since(store.now) };
    const rest = { num_units: batch.units, attempts: batch.attempts, compute_seconds: 0, outcome: RUNNING };
    found.push({ worker_id: worker(batch.worker), ...times, ...rest });
  }
  return found;
}

function batchCells(batch, job) {
  return [
    batch.worker_id,
    `${count(batch.num_units)} ${job.unit}`,
    String(batch.attempts),
    duration(batch.dispatched_at_seconds),
    duration(batch.returned_at_seconds),
    batch.compute_seconds ? duration(batch.compute_seconds) : "",
  ];
}
