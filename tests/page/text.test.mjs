// Numbers in words, links, forms, traces and commands.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { compareLink, jobLink, readLink } from "../../app/page/links.js";
import { bodyOf, kernelsOf, needsKey } from "../../app/page/schema.js";
import { amount, count, duration, label, percent, roundDuration, size, stateWord } from "../../app/page/text.js";
import { curlOf, traceOf } from "../../app/page/trace.js";
import { batchRow, batchSentence, perWorker } from "../../app/page/words.js";
import { NOW, job } from "./frames.mjs";

const DOCUMENT = JSON.parse(readFileSync(new URL("../http/openapi.json", import.meta.url)));

test("amounts have three digits that count", () => {
  const told = [0, 0.5, 7, 12.34, 999, 1_000, 14_123_456, 2e9, null].map(amount);
  assert.deepEqual(told, ["0", "0.50", "7", "12.3", "999", "1.00 k", "14.1 M", "2.00 G", "–"]);
  assert.equal(count(1_234_567), "1,234,567");
});

test("durations have the unit that fits", () => {
  const told = [0, 0.0003, 0.005, 0.0882, 1.41, 59.96, 125, 7_300, 200_000, null].map(duration);
  assert.deepEqual(told, [
    "0 s",
    "0.3 ms",
    "5 ms",
    "88.2 ms",
    "1.41 s",
    "60.0 s",
    "2 min 5 s",
    "2 h 2 min",
    "2 d 8 h",
    "–",
  ]);
  assert.deepEqual([10, 1.5, 0.05].map(roundDuration), ["10 s", "1.5 s", "50 ms"]);
});

test("what is not done is not 100 %", () => {
  assert.deepEqual([0, 0.715, 0.9999, 1].map(percent), ["0 %", "71 %", "99 %", "100 %"]);
});

test("a job's size and state are words", () => {
  assert.equal(size(job("a", { num_lines: 64, length: 100_000 })), "64 × 100,000 terms");
  assert.equal(size(job("a")), "1,000 terms");
  assert.deepEqual(
    ["succeeded", "failed", "unheard"].map((state) => stateWord({ state })),
    ["done", "failed", "not heard of"],
  );
  assert.equal(label("sequence_size"), "Sequence size");
});

test("a batch is told in a line and in a row; of others' nothing but when and where", () => {
  const fields = {
    worker: "w1",
    id: "9f1b7c52d0d9",
    kernel: "fibonacci",
    start: NOW,
    took: 0.1,
    computing: 0.09,
    units: 400_000,
    unit: "terms",
    attempts: 2,
    outcome: "ok",
    jobs: 3,
  };
  assert.match(
    batchSentence(fields),
    /^worker w1 · job 9f1b7c52 \(fibonacci\) · 400,000 terms · with 2 other jobs · began .* · 100 ms, 90 ms of it computing · attempt 2 · ok$/,
  );
  const others = { ...fields, id: null, kernel: null, units: 0, attempts: 1, jobs: 1 };
  assert.match(batchSentence(others), /^worker w1 · somebody else's job · began/);
  assert.deepEqual(
    batchRow(others).filter((_, at) => at !== 3),
    ["w1", "somebody else's", "", "100 ms", "90 ms", "", "1", "ok"],
  );
});

test("who computed how much is summed up", () => {
  const of = (worker_id, num_units, compute_seconds) => ({ worker_id, num_units, compute_seconds });
  assert.deepEqual(perWorker([of("a", 3_000, 1), of("b", 1_000, 0.5)]), [
    ["a", "1", "3,000", "1.00 s", "75 %"],
    ["b", "1", "1,000", "500 ms", "25 %"],
  ]);
});

test("links say a job or a comparison, and nothing else is one", () => {
  assert.deepEqual(readLink(jobLink("9f1b")), { job: "9f1b" });
  assert.deepEqual(readLink("#compare=100000x64"), { compare: { kernel: null, values: ["100000", "64"] } });
  assert.deepEqual(readLink("#compare=primes:0x1000"), { compare: { kernel: "primes", values: ["0", "1000"] } });
  assert.equal(compareLink("fibonacci", ["100000", "64", ""]), "#compare=fibonacci:100000x64");
  for (const hash of ["", "#", "#job=", "#elsewhere=1", "#%E0%A4%A"]) assert.deepEqual(readLink(hash), {}, hash);
});

test("the form has the fields that the document describes, with their bounds", () => {
  const [{ kernel, fields }] = kernelsOf(DOCUMENT);
  assert.equal(kernel, "fibonacci");
  const { sequence_size: length, num_sequences: number } = Object.fromEntries(
    fields.map((field) => [field.name, field]),
  );
  assert.deepEqual([length.type, length.value, length.minimum, length.maximum], ["integer", "100000", 0, 10_000_000]);
  assert.deepEqual([number.value, number.optional, number.minimum], ["", true, 1]);
  assert.match(number.hint, /as many as the pool has workers/);
});

test("what is empty is left to its default, and numbers are numbers", () => {
  const [{ fields }] = kernelsOf(DOCUMENT);
  assert.deepEqual(bodyOf(fields, { sequence_size: "1e5", num_sequences: "", timeout_seconds: "2.5" }), {
    sequence_size: 100_000,
    timeout_seconds: 2.5,
  });
});

test("a document that says nothing of keys, or nothing at all, is understood", () => {
  assert.deepEqual([needsKey(DOCUMENT), needsKey({}), kernelsOf({})], [false, false, []]);
  assert.equal(needsKey({ components: { securitySchemes: { apiKey: {} } } }), true);
});

const BATCH = {
  worker_id: "w1",
  node_id: "n",
  num_units: 10,
  attempts: 1,
  dispatched_at_seconds: 0,
  returned_at_seconds: 0.5,
  worker_queued_seconds: 0,
  compute_seconds: 0.4,
};

test("a trace has a track for the job and one for each worker, whose slices do not overlap", () => {
  const batches = [BATCH, { ...BATCH, returned_at_seconds: 0.8, compute_seconds: 0.5 }, { ...BATCH, worker_id: "w2" }];
  const { traceEvents: events } = traceOf(
    job("j1", { accepted_at: NOW, total_seconds: 1, queued_seconds: 0.1 }),
    batches,
  );
  const names = events.filter(({ ph }) => ph === "M").map(({ args }) => args.name);
  assert.deepEqual(names, ["fibonacci j1", "job", "worker w1", "worker w2"]);
  const slices = events.filter(({ ph, tid }) => ph === "X" && tid === 1);
  assert.deepEqual(
    slices.map(({ ts, dur }) => [ts - NOW * 1e3, dur]),
    [
      [100_000, 400_000],
      [500_000, 300_000],
    ],
  );
  assert.ok(events.every(({ ts = 0, dur = 0 }) => Number.isSafeInteger(ts) && Number.isSafeInteger(dur) && dur >= 0));
});

test("a job's command is one that a shell understands, and has no key in it", () => {
  const command = curlOf("http://h/fib/fibonacci", { text: "it's" }, { keyed: true, durable: true });
  assert.equal(
    command,
    `curl -sS --noproxy '*' --fail-with-body 'http://h/fib/fibonacci' -H 'Content-Type: application/json' -H "Authorization: Bearer $API_KEY" -H 'Prefer: respond-async' -d '{"text":"it'\\''s"}'`,
  );
});
