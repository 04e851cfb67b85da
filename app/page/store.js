// All that the page knows, out of frames: bars, workers, jobs, the queue, lines. Pure; its memory is bounded.

import { Names } from "./names.js";
import { DENSE, OUTCOMES, Ring } from "./ring.js";
import { Series } from "./series.js";
import { isUnfinished } from "./text.js";

export const MAX_JOBS = 200;
export const NUM_COLOURS = 10;
/** The colour of what is not told, and of many jobs in one bar. */
export const GREY = NUM_COLOURS;
export const GONE_MS = 60_000;
const MAX_COLOURS = 2_048;
const UNHEARD_MS = 10_000;
const NOBODY = { id: null, kernel: null };

export class Store {
  #colours = new Map();
  #nextColour = 0;
  #present = new Map();
  #gone = new Map();

  constructor(capacity) {
    this.workers = new Names();
    this.jobNames = new Names();
    this.ring = new Ring(capacity, (index) => {
      this.workers.drop(this.ring.worker[index]);
      this.jobNames.drop(this.ring.job[index]);
    });
    this.series = new Series();
    this.running = [];
    this.jobs = [];
    this.units = {};
    this.queue = { queued_jobs: 0, unfinished_jobs: 0, drain_seconds: 0 };
    this.durable = null;
    this.now = NaN; // of the last frame
    this.lastEnd = -Infinity;
    this.numIngresses = 0;
    this.silent = 0;
    this.gap = 0;
  }

  get numWorkers() {
    return this.#present.size;
  }

  take(frame) {
    this.now = frame.now;
    this.units = { ...this.units, ...frame.units };
    this.queue = frame.queue;
    this.durable = frame.durable;
    this.numIngresses = frame.ingresses;
    this.silent = frame.silent;
    this.gap += frame.gap;
    this.#takeWorkers(frame);
    for (const batch of frame.batches) this.#takeBatch(batch);
    for (const share of frame.density ?? []) this.#takeDensity(share);
    this.#takeRunning(frame.running);
    this.#takeJobs(frame);
    this.series.take(frame);
  }

  /** Everything is forgotten but the colours: the history is about to be told again. */
  clear() {
    this.ring.clear();
    this.#takeRunning([]);
    this.series.clear();
    this.jobs = [];
    this.lastEnd = -Infinity;
    this.gap = 0;
  }

  /** A job's colour, its own while it is among the last 2,048. */
  colourOf(id) {
    if (id === null) return GREY;
    let colour = this.#colours.get(id);
    if (colour === undefined) {
      colour = this.#nextColour;
      this.#nextColour = (colour + 1) % NUM_COLOURS;
      this.#colours.set(id, colour);
      if (this.#colours.size > MAX_COLOURS) this.#colours.delete(this.#colours.keys().next().value);
    }
    return colour;
  }

  /** Numbers of the workers that have a row: all that are there, and for a minute those that are gone.
   *
   * In a picture of the past (``since`` is its beginning) also those that have bars in it.
   */
  rows(since = Infinity) {
    const rows = [];
    for (const [number, worker] of this.workers.all()) {
      if (worker.state !== "gone" || this.now - worker.goneAt < GONE_MS || worker.lastEnd > since) rows.push(number);
    }
    return rows;
  }

  job(id) {
    return this.jobs.find((job) => job.id === id) ?? null;
  }

  #takeWorkers(frame) {
    const told = new Set();
    for (const { id, node, state } of frame.workers) {
      told.add(id);
      if (!this.#present.has(id)) this.#present.set(id, this.#hold(id));
      Object.assign(this.workers.get(this.#present.get(id)), { node, state });
    }
    for (const [id, number] of this.#present) {
      if (told.has(id)) continue;
      Object.assign(this.workers.get(number), { state: "gone", goneAt: frame.now });
      this.#present.delete(id);
      this.#gone.set(number, frame.now);
    }
    for (const [number, goneAt] of this.#gone) {
      if (frame.now - goneAt < GONE_MS) continue;
      this.#gone.delete(number);
      this.workers.drop(number);
    }
  }

  #hold(id) {
    return this.workers.hold(id, () => ({ id, node: null, state: "gone", goneAt: -Infinity, lastEnd: -Infinity }));
  }

  #takeBatch([workerId, jobId, kernel, start, end, compute, units, attempts, outcome, jobs]) {
    const bar = this.#bar(workerId, jobId, kernel, end);
    this.ring.push({ ...bar, start, end, compute, units, attempts, jobs, outcome: OUTCOMES.indexOf(outcome) });
  }

  #takeDensity([workerId, start, width, share, numBatches]) {
    const bar = this.#bar(workerId, null, null, start + width);
    const spans = { start, end: start + width, compute: share * width };
    this.ring.push({ ...bar, ...spans, units: 0, attempts: 1, jobs: numBatches, outcome: DENSE });
  }

  #bar(workerId, jobId, kernel, end) {
    const worker = this.#hold(workerId);
    const entry = this.workers.get(worker);
    entry.lastEnd = Math.max(entry.lastEnd, end);
    if (entry.state === "gone") entry.goneAt = Math.max(entry.goneAt, end); // before this page was opened, perhaps
    this.lastEnd = Math.max(this.lastEnd, end);
    const job = jobId === null ? NOBODY : { id: jobId, kernel };
    return { worker, job: this.jobNames.hold(jobId ?? "", () => job), colour: this.colourOf(jobId) };
  }

  #takeRunning(running) {
    const before = this.running;
    this.running = running.map(([workerId, id, kernel, start, predicted, units, attempts, late, jobs]) => {
      const colour = this.colourOf(id);
      return { worker: this.#hold(workerId), id, kernel, start, predicted, units, attempts, late, jobs, colour };
    });
    for (const { worker } of before) this.workers.drop(worker);
  }

  #takeJobs(frame) {
    const jobs = new Map(this.jobs.map((job) => [job.id, job]));
    for (const job of frame.jobs) jobs.set(job.id, { ...job, heardAt: frame.now });
    for (const job of jobs.values()) {
      if (isUnfinished(job) && frame.now - job.heardAt > UNHEARD_MS) {
        jobs.set(job.id, { ...job, state: "unheard", ended_at: job.heardAt });
      }
    }
    this.jobs = [...jobs.values()].sort(byInterest).slice(0, MAX_JOBS);
    for (const job of this.jobs) this.colourOf(job.id);
  }
}

/** Unfinished ones first, then the one that ended last. */
function byInterest(a, b) {
  const open = Number(isUnfinished(b)) - Number(isUnfinished(a));
  return open || (b.ended_at ?? b.accepted_at) - (a.ended_at ?? a.accepted_at) || (a.id < b.id ? -1 : 1);
}
