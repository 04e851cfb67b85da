// The lines above the timeline: what a frame says of the moment, and speeds from its totals. Pure.

import { computingFrom } from "./ring.js";

const MAX_POINTS = 7_200; // an hour, at two a second
const SMOOTH_MS = 2_000;
const BROKEN_MS = 10_000;
const HISTORY_MS = 60_000;
const STEP_MS = 1_000;
const MOST_JOBS_TOLD = 150; // it tells of the last 200; where there are about as many, of some there was no room

/** How many workers computed between two moments, on average; ``to`` is not after the frame. */
export function busyWorkers(frame, from, to) {
  const busy = new Map();
  const add = (worker, start, end, share = 1) => {
    const ms = (Math.min(end, to) - Math.max(start, from)) * share;
    if (ms > 0) busy.set(worker, Math.min((busy.get(worker) ?? 0) + ms, to - from));
  };
  for (const [worker, , , start, end, compute] of frame.batches) add(worker, computingFrom(start, end, compute), end);
  for (const [worker, start, width, share] of frame.density ?? []) add(worker, start, start + width, share);
  for (const [worker, , , start] of frame.running) add(worker, start, to);
  let sum = 0;
  for (const ms of busy.values()) sum += ms;
  return to > from ? sum / (to - from) : 0;
}

/** Points for the minute before the first frame, as far as its batches and jobs tell of it. */
export function history(frame) {
  const points = [];
  for (let to = frame.now - HISTORY_MS + STEP_MS; to < frame.now - STEP_MS / 2; to += STEP_MS) {
    points.push({
      time: to,
      busy: busyWorkers(frame, to - STEP_MS, to),
      workers: null,
      queue: null,
      drain: null,
      ...told(frame, to),
    });
  }
  return points;
}

/** What the frame itself tells of the second before this moment. */
function told(frame, to) {
  const isPartial = frame.density?.length || frame.batches.some(([, job]) => job === null);
  if (isPartial) return { jobs: null, units: {} }; // of what is not told, nobody knows how much it was
  const ended = frame.jobs.map((job) => job.ended_at).filter((at) => at !== null);
  const known = ended.length < MOST_JOBS_TOLD ? -Infinity : Math.min(...ended);
  const jobs = ended.filter((at) => at > to - STEP_MS && at <= to).length;
  return { jobs: to - STEP_MS < known ? null : jobs, units: unitsBetween(frame, to - STEP_MS, to) };
}

function unitsBetween(frame, from, to) {
  const units = {};
  for (const [, , kernel, start, end, compute, numUnits] of frame.batches) {
    const begin = computingFrom(start, end, compute);
    const share = (Math.min(end, to) - Math.max(begin, from)) / Math.max(end - begin, 1e-3);
    if (kernel !== null && share > 0) units[kernel] = (units[kernel] ?? 0) + numUnits * Math.min(share, 1);
  }
  return units;
}

/** Speeds over the last two seconds, from totals that only grow, except where a source was restarted or is silent. */
export class Meter {
  #samples = [];
  #busyMs = 0;
  #now = Infinity;

  read(frame) {
    const elapsed = Math.max(0, frame.now - this.#now);
    this.#busyMs += busyWorkers(frame, this.#now, frame.now) * elapsed;
    this.#now = frame.now;
    const last = this.#samples.at(-1);
    if (frame.silent || (last && hasFallen(last.totals, frame.totals))) this.#samples = [];
    if (frame.silent) return { busy: null, jobs: null, units: {} }; // what it lacks now would come as a jump
    this.#samples.push({ now: frame.now, busyMs: this.#busyMs, totals: frame.totals });
    while (this.#samples.length > 2 && this.#samples[1].now <= frame.now - SMOOTH_MS) this.#samples.shift();
    return speeds(this.#samples[0], this.#samples.at(-1));
  }
}

function speeds(first, last) {
  const seconds = (last.now - first.now) / 1e3;
  if (seconds <= 0) return { busy: null, jobs: null, units: {} };
  const units = {};
  for (const [kernel, total] of Object.entries(last.totals.units)) {
    units[kernel] = Math.max(0, total - (first.totals.units[kernel] ?? 0)) / seconds;
  }
  const jobs = Math.max(0, last.totals.jobs - first.totals.jobs) / seconds;
  return { busy: (last.busyMs - first.busyMs) / seconds / 1e3, jobs, units };
}

function hasFallen(before, after) {
  if (after.jobs < before.jobs) return true;
  return Object.entries(before.units).some(([kernel, total]) => (after.units[kernel] ?? 0) < total);
}

/** The points so far, the oldest given up. */
export class Series {
  #meter = new Meter();
  points = [];

  take(frame) {
    const last = this.points.at(-1);
    if (!last) this.points.push(...history(frame));
    else if (frame.now - last.time > BROKEN_MS) this.points.push({ time: last.time + 1, units: {} }); // a hole
    const read = this.#meter.read(frame);
    const speeds = last ? { jobs: read.jobs, units: read.units } : told(frame, frame.now);
    this.points.push({
      time: frame.now,
      busy: read.busy ?? busyWorkers(frame, frame.now - STEP_MS, frame.now),
      workers: frame.workers.filter((worker) => worker.state !== "silent").length,
      queue: frame.queue.queued_jobs,
      drain: frame.queue.drain_seconds,
      ...speeds,
    });
    if (this.points.length > MAX_POINTS * 1.1) this.points.splice(0, this.points.length - MAX_POINTS);
  }

  clear() {
    this.#meter = new Meter();
    this.points = [];
  }
}
