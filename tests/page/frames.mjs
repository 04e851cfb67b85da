// Frames as the service sends them, for the tests of what the page makes of them.

export const NOW = 1_764_288_000_000;

/** A frame with nothing in it but what is said. */
export function frame(changes = {}) {
  return {
    cursor: "a",
    now: NOW,
    gap: 0,
    silent: 0,
    ingresses: 1,
    workers: [
      { id: "w1", node: "n1", state: "idle" },
      { id: "w2", node: "n1", state: "idle" },
    ],
    queue: { queued_jobs: 0, unfinished_jobs: 0, drain_seconds: 0 },
    durable: null,
    totals: { units: { fibonacci: 0 }, jobs: 0, busy_seconds: 0 },
    units: { fibonacci: "terms" },
    batches: [],
    running: [],
    density: [],
    jobs: [],
    ...changes,
  };
}

/** A batch of a frame: it began and ended so many ms before NOW. */
export function batch(
  worker,
  began,
  ended,
  { job = "j1", outcome = "ok", compute = began - ended, units = 1_000 } = {},
) {
  return [worker, job, job && "fibonacci", NOW - began, NOW - ended, compute, units, 1, outcome, 1];
}

export function running(worker, began, { job = "j1", late = 0 } = {}) {
  return [worker, job, job && "fibonacci", NOW - began, 200, 1_000, 1, late, 1];
}

export function job(id, changes = {}) {
  return {
    id,
    kernel: "fibonacci",
    unit: "terms",
    num_lines: 1,
    length: 1_000,
    execution: "distributed",
    durable: false,
    state: "running",
    accepted_at: NOW - 1_000,
    ended_at: null,
    predicted_seconds: 1,
    total_seconds: null,
    queued_seconds: null,
    compute_seconds: 0,
    num_workers: 0,
    num_batches: 0,
    num_recomputed: 0,
    progress: 0,
    problem: null,
    ...changes,
  };
}
