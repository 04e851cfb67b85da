// Batches in words: for the line under the timeline, and for its table. Pure.

import { OUTCOMES } from "./ring.js";
import { clockTime, count, duration, many, percent, shortId } from "./text.js";

export const BATCH_COLUMNS = ["Worker", "Job", "Kernel", "Began", "Took", "Computing", "Work", "Attempt", "Outcome"];
export const BATCH_NUMBERS = [5, 6, 7, 8];
export const MAX_ROWS = 200;
const SOMEBODY = "somebody else's";

/** The fields of a batch: a running one, or {index} in the ring. ``edge``: what ends later is still running then. */
export function batchFields(store, batch, edge) {
  const { ring, units } = store;
  const worker = store.workers.get(batch.worker).id;
  if (batch.index === undefined) {
    const unit = units[batch.kernel] ?? "units";
    const took = (edge - batch.start) / 1e3;
    return { ...batch, worker, unit, took, computing: null, outcome: batch.late ? "running late" : "running" };
  }
  const at = batch.index;
  const { id, kernel } = store.jobNames.get(ring.job[at]);
  return {
    id,
    kernel,
    worker,
    start: ring.start[at],
    took: ring.span[at] / 1e3,
    computing: ring.compute[at] / 1e3,
    units: ring.units[at],
    unit: units[kernel] ?? "units",
    attempts: ring.attempts[at],
    outcome: ring.end(at) > edge ? "running" : OUTCOMES[ring.outcome[at]],
    jobs: ring.jobs[at],
  };
}

/** A row of the table, in the order of BATCH_COLUMNS. */
export function batchRow(fields) {
  const { worker, id, kernel, start, took, computing, units, unit, attempts, outcome, jobs } = fields;
  const others = jobs > 1 ? ` and ${many(jobs - 1, "other")}` : "";
  if (outcome === "dense") {
    const share = percent(computing / took);
    return [
      worker,
      "many",
      "",
      clockTime(start, true),
      duration(took),
      share,
      many(jobs, "batch", "batches"),
      "",
      "merged",
    ];
  }
  const work = id === null ? "" : `${count(units)} ${unit}`;
  const computed = computing ? duration(computing) : "";
  const job = id === null ? SOMEBODY : shortId(id) + others;
  return [worker, job, kernel ?? "", clockTime(start, true), duration(took), computed, work, String(attempts), outcome];
}

/** A batch in one line. */
export function batchSentence(fields) {
  const { worker, id, kernel, start, took, computing, units, unit, attempts, outcome, jobs } = fields;
  const parts = [`worker ${shortId(worker)}`];
  if (id === null) parts.push("somebody else's job");
  else parts.push(`job ${shortId(id)} (${kernel})`, `${count(units)} ${unit}`);
  if (jobs > 1) parts.push(`with ${many(jobs - 1, "other job")}`);
  parts.push(`began ${clockTime(start, true)}`);
  parts.push(duration(took) + (computing ? `, ${duration(computing)} of it computing` : ""));
  if (attempts > 1) parts.push(`attempt ${attempts}`);
  parts.push(outcome);
  return parts.join(" · ");
}

/** The batches that are seen, the newest first, at most 200: running ones and those in the ring. */
export function batchesSeen(store, stretch, edge) {
  const found = store.running.filter(({ start }) => start < edge && edge > stretch.from);
  const rows = found.map((batch) => batchFields(store, batch, edge));
  const { ring } = store;
  for (let age = 0; age < ring.length && rows.length < MAX_ROWS; age += 1) {
    const index = ring.at(age);
    if (ring.end(index) <= stretch.from || ring.begin(index) >= edge) continue;
    rows.push(batchFields(store, { index, worker: ring.worker[index] }, edge));
  }
  return rows;
}

/** Who computed how much of a job: a row each of [worker, batches, units, seconds, share]. */
export function perWorker(batches) {
  const workers = new Map();
  for (const batch of batches) {
    const sum = workers.get(batch.worker_id) ?? { batches: 0, units: 0, seconds: 0 };
    sum.batches += 1;
    sum.units += batch.num_units;
    sum.seconds += batch.compute_seconds;
    workers.set(batch.worker_id, sum);
  }
  const all = [...workers.values()].reduce((total, { units }) => total + units, 0);
  return [...workers].map(([worker, { batches: number, units, seconds }]) => [
    worker,
    count(number),
    count(units),
    duration(seconds),
    all ? `${Math.round((100 * units) / all)} %` : "",
  ]);
}
