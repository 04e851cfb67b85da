// What the page remembers: as much as it should, and no more however long it is open.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Names } from "../../app/page/names.js";
import { LOST, OK, Ring, computingFrom } from "../../app/page/ring.js";
import { GREY, MAX_JOBS, Store } from "../../app/page/store.js";
import { NOW, batch, frame, job, running } from "./frames.mjs";

const BAR = { start: 0, end: 1, compute: 1, units: 1, worker: 0, job: 0, jobs: 1, colour: 0, attempts: 1, outcome: OK };

const idsOf = (store) => store.rows().map((number) => store.workers.get(number).id);

test("a ring keeps the newest, and says which goes", () => {
  const dropped = [];
  const ring = new Ring(3, (index) => dropped.push(ring.start[index]));
  for (let start = 0; start < 5; start += 1) ring.push({ ...BAR, start, end: start + 1 });
  assert.deepEqual(
    [0, 1, 2].map((age) => ring.start[ring.at(age)]),
    [4, 3, 2],
  );
  assert.deepEqual([ring.length, dropped], [3, [0, 1]]);
});

test("counts that are too large for their place are as large as it", () => {
  const ring = new Ring(1);
  ring.push({ ...BAR, jobs: 1e6, attempts: 1e6 });
  assert.deepEqual([ring.jobs[0], ring.attempts[0]], [65_535, 255]);
});

test("a batch computes at the end of its time, and one that was lost all of it", () => {
  assert.equal(computingFrom(100, 200, 30), 170);
  assert.equal(computingFrom(100, 200, 300), 100);
  assert.equal(computingFrom(100, 200, 0), 100);
});

test("a name's number is given again when nothing holds it", () => {
  const names = new Names();
  const a = names.hold("a", () => "A");
  assert.equal(
    names.hold("a", () => "another"),
    a,
  );
  const b = names.hold("b", () => "B");
  names.drop(a);
  assert.equal(names.get(a), "A");
  names.drop(a);
  assert.equal(names.find("a"), undefined);
  assert.equal(
    names.hold("c", () => "C"),
    a,
  );
  assert.deepEqual(
    [...names.all()],
    [
      [b, "B"],
      [a, "C"],
    ],
  );
});

test("each worker has a row at once, though it has not worked", () => {
  const store = new Store();
  store.take(frame());
  assert.deepEqual(idsOf(store), ["w1", "w2"]);
  assert.equal(store.numWorkers, 2);
});

test("a worker that is gone keeps its row for a minute", () => {
  const store = new Store();
  const [left] = frame().workers;
  store.take(frame());
  store.take(frame({ now: NOW + 1_000, workers: [left], batches: [batch("w2", 500, -900, { outcome: "lost" })] }));
  assert.equal(store.workers.get(store.rows()[1]).state, "gone");
  store.take(frame({ now: NOW + 60_000, workers: [left] }));
  assert.deepEqual(idsOf(store), ["w1", "w2"]);
  store.take(frame({ now: NOW + 61_500, workers: [left] }));
  assert.deepEqual(idsOf(store), ["w1"]);
  assert.deepEqual(store.rows(NOW).length, 2, "in a picture of the past it is still there");
});

test("a worker that died before the page was opened has a row while its batches are recent", () => {
  const store = new Store();
  store.take(frame({ batches: [batch("old", 50_000, 49_000)] }));
  assert.deepEqual(idsOf(store), ["w1", "w2", "old"]);
  store.take(frame({ now: NOW + 12_000 }));
  assert.deepEqual(idsOf(store), ["w1", "w2"]);
});

test("a worker that comes back is there again", () => {
  const store = new Store();
  const { workers } = frame();
  store.take(frame());
  store.take(frame({ now: NOW + 1, workers: workers.slice(1) }));
  store.take(frame({ now: NOW + 2 }));
  store.take(frame({ now: NOW + 70_000 }));
  assert.deepEqual(idsOf(store), ["w1", "w2"]);
  assert.equal(store.numWorkers, 2);
});

test("jobs have colours of their own, and others' jobs are grey", () => {
  const store = new Store();
  store.take(
    frame({ batches: [batch("w1", 9, 5), batch("w2", 9, 5, { job: "j2" }), batch("w1", 4, 1, { job: null })] }),
  );
  const colours = [2, 1, 0].map((age) => store.ring.colour[store.ring.at(age)]);
  assert.notEqual(colours[0], colours[1]);
  assert.equal(colours[2], GREY);
  assert.equal(store.colourOf("j1"), colours[0]);
  assert.deepEqual(store.jobNames.get(store.ring.job[store.ring.at(0)]), { id: null, kernel: null });
});

test("running batches are replaced by each frame", () => {
  const store = new Store();
  store.take(frame({ running: [running("w1", 500), running("gone", 500)] }));
  assert.deepEqual(
    store.running.map(({ id, late }) => [id, late]),
    [
      ["j1", 0],
      ["j1", 0],
    ],
  );
  store.take(frame({ batches: [batch("w1", 500, 0, { outcome: "lost" })] }));
  assert.deepEqual(store.running, []);
  assert.equal(store.ring.outcome[store.ring.at(0)], LOST);
  assert.equal(store.workers.find("gone"), undefined, "nothing holds it any more");
});

test("the last 200 jobs are kept, unfinished ones first", () => {
  const store = new Store();
  const ended = Array.from({ length: 300 }, (_, at) => job(`e${at}`, { state: "succeeded", ended_at: NOW - at }));
  store.take(frame({ jobs: [...ended, job("open", { accepted_at: NOW - 1e6 })] }));
  assert.equal(store.jobs.length, MAX_JOBS);
  assert.deepEqual(
    store.jobs.slice(0, 3).map(({ id }) => id),
    ["open", "e0", "e1"],
  );
});

test("an unfinished job that nobody tells of any more is said to be not heard of", () => {
  const store = new Store();
  store.take(frame({ jobs: [job("j1")] }));
  store.take(frame({ now: NOW + 9_000 }));
  assert.equal(store.job("j1").state, "running");
  store.take(frame({ now: NOW + 11_000 }));
  assert.equal(store.job("j1").state, "unheard");
  store.take(frame({ now: NOW + 12_000, jobs: [job("j1", { state: "succeeded", ended_at: NOW + 11_900 })] }));
  assert.equal(store.job("j1").state, "succeeded");
});

test("what could not be told is counted", () => {
  const store = new Store();
  store.take(frame({ gap: 5 }));
  store.take(frame({ gap: 7, silent: 1 }));
  assert.deepEqual([store.gap, store.silent], [12, 1]);
});

test("what is told again after a new beginning stands there once", () => {
  const store = new Store();
  const told = frame({ batches: [batch("w1", 9, 5)], jobs: [job("j1")] });
  store.take(told);
  store.clear();
  store.take(told);
  assert.deepEqual([store.ring.length, store.jobs.length, store.jobNames.size], [1, 1, 1]);
});

test("however long the page is open, it holds no more names, jobs and points", () => {
  const store = new Store(1_000);
  for (let second = 0; second < 9_000; second += 1) {
    const now = NOW + 1_000 * second;
    const id = `j${second}`;
    const bar = ["w1", id, "fibonacci", now - 900, now, 900, 10, 1, "ok", 1];
    const lost = [`dead${second}`, id, "fibonacci", now - 900, now, 0, 10, 1, "lost", 1];
    store.take(frame({ now, batches: [bar, lost], jobs: [job(id, { state: "succeeded", ended_at: now })] }));
  }
  assert.equal(store.ring.length, 1_000);
  assert.ok(store.workers.bound <= 700, `${store.workers.bound} workers`);
  assert.ok(store.jobNames.bound <= 600, `${store.jobNames.bound} jobs`);
  assert.ok(store.series.points.length < 8_000);
  assert.ok(store.jobs.length <= MAX_JOBS);
});
