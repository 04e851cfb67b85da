// A job as Chrome trace events, which ui.perfetto.dev and chrome://tracing open; and its request for a shell. Pure.

const PROCESS = 1;

/** The file's content: one track for the job, one for each worker. Times in whole microseconds since 1970. */
export function traceOf(job, batches) {
  const origin = job.accepted_at * 1e3;
  const at = (seconds) => Math.round(origin + seconds * 1e6);
  const name = `${job.kernel} ${job.id}`;
  const events = [named("process_name", PROCESS, 0, name), named("thread_name", PROCESS, 0, "job")];
  const total = job.total_seconds ?? Math.max(0, ...batches.map((batch) => batch.returned_at_seconds));
  const span = (track, title, from, to, args) => {
    const ts = at(from);
    events.push({
      name: title,
      cat: job.kernel,
      ph: "X",
      ts,
      dur: Math.max(0, at(to) - ts),
      pid: PROCESS,
      tid: track,
      args,
    });
  };
  span(0, name, 0, total, { state: job.state, num_lines: job.num_lines, length: job.length, unit: job.unit });
  if (job.queued_seconds) span(0, "queued", 0, job.queued_seconds, {});
  const tracks = new Map();
  for (const batch of [...batches].sort((a, b) => a.returned_at_seconds - b.returned_at_seconds)) {
    if (!tracks.has(batch.worker_id)) {
      tracks.set(batch.worker_id, { number: tracks.size + 1, busyUntil: 0 });
      events.push(named("thread_name", PROCESS, tracks.size, `worker ${batch.worker_id}`));
    }
    const track = tracks.get(batch.worker_id);
    const begun = batch.returned_at_seconds - batch.compute_seconds;
    const from = Math.max(begun, batch.dispatched_at_seconds, track.busyUntil); // a track's slices must not overlap
    track.busyUntil = Math.max(from, batch.returned_at_seconds);
    span(track.number, `${batch.num_units} ${job.unit}`, from, track.busyUntil, batch);
  }
  return { displayTimeUnit: "ms", traceEvents: events };
}

function named(kind, pid, tid, name) {
  return { name: kind, ph: "M", pid, tid, args: { name } };
}

/** The job's request as a command; the key, where one is needed, is a variable of the shell's. */
export function curlOf(address, body, { keyed = false, durable = false } = {}) {
  const parts = ["curl -sS --noproxy '*' --fail-with-body", quoted(address), "-H 'Content-Type: application/json'"];
  if (keyed) parts.push('-H "Authorization: Bearer $API_KEY"');
  if (durable) parts.push("-H 'Prefer: respond-async'");
  return [...parts, "-d", quoted(JSON.stringify(body))].join(" ");
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
