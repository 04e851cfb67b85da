// The figures: how busy, how fast. Out of frames that come when they come.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Meter, Series, busyWorkers, history } from "../../app/page/series.js";
import { NOW, batch, frame, job, running } from "./frames.mjs";

test("workers are as busy as their batches, whether these have ended or not", () => {
  const told = frame({ batches: [batch("w1", 1_000, 500)], running: [running("w2", 250)] });
  assert.equal(busyWorkers(told, NOW - 1_000, NOW), 0.75);
});

test("one that waits behind another on the worker does not make it busier", () => {
  const told = frame({ batches: [batch("w1", 1_000, 0)], running: [running("w1", 800), running("w1", 700)] });
  assert.equal(busyWorkers(told, NOW - 1_000, NOW), 1);
});

test("only the part of a batch that computes counts, and only what is between the moments", () => {
  const told = frame({ batches: [batch("w1", 3_000, 500, { compute: 1_000 })] });
  assert.equal(busyWorkers(told, NOW - 1_000, NOW), 0.5);
  assert.equal(busyWorkers(told, NOW - 4_000, NOW - 2_000), 0);
});

test("busy shares count as batches do", () => {
  const told = frame({
    density: [
      ["w1", NOW - 500, 250, 0.5, 900],
      ["w1", NOW - 250, 250, 1, 900],
    ],
  });
  assert.equal(busyWorkers(told, NOW - 500, NOW), 0.75);
});

test("the minute before the page was opened is told by the batches", () => {
  const points = history(
    frame({ batches: [batch("w1", 10_000, 9_000, { units: 5_000 })], jobs: [job("j", { ended_at: NOW - 9_000 })] }),
  );
  const [point] = points.filter(({ busy }) => busy > 0);
  assert.deepEqual([point.time, point.busy, point.units, point.jobs], [NOW - 9_000, 1, { fibonacci: 5_000 }, 1]);
  assert.equal(points.length, 59);
  assert.ok(
    points.every(({ queue }) => queue === null),
    "nobody knows how long the queue was",
  );
});

test("where there were more jobs than are told of, their speed is not known", () => {
  const jobs = Array.from({ length: 200 }, (_, at) => job(`j${at}`, { ended_at: NOW - 20 * at }));
  const points = history(frame({ jobs }));
  assert.equal(points[0].jobs, null);
  assert.equal(points.at(-1).jobs, 50);
});

test("speeds are over the last two seconds", () => {
  const meter = new Meter();
  const at = (ms, terms, jobs) =>
    frame({ now: NOW + ms, totals: { units: { fibonacci: terms }, jobs, busy_seconds: 0 } });
  meter.read(at(0, 0, 0));
  assert.deepEqual(meter.read(at(1_000, 500, 2)), { busy: 0, jobs: 2, units: { fibonacci: 500 } });
  meter.read(at(2_000, 500, 2));
  assert.deepEqual(meter.read(at(3_000, 500, 2)).units, { fibonacci: 0 });
});

test("totals that fall, since a part was started anew, are no speed", () => {
  const meter = new Meter();
  const at = (ms, jobs, silent = 0) => frame({ now: NOW + ms, silent, totals: { units: {}, jobs, busy_seconds: 0 } });
  meter.read(at(0, 1_000));
  assert.equal(meter.read(at(500, 10)).jobs, null);
  assert.equal(meter.read(at(1_000, 15)).jobs, 10);
});

test("nor are those of which a part is missing, or is there again", () => {
  const meter = new Meter();
  const at = (ms, jobs, silent = 0) => frame({ now: NOW + ms, silent, totals: { units: {}, jobs, busy_seconds: 0 } });
  meter.read(at(0, 1_000));
  assert.equal(meter.read(at(500, 10, 1)).jobs, null);
  assert.equal(meter.read(at(1_000, 1_002)).jobs, null);
  assert.equal(meter.read(at(1_500, 1_003)).jobs, 2);
});

test("after a pause the line has a hole", () => {
  const series = new Series();
  series.take(frame());
  series.take(frame({ now: NOW + 500 }));
  series.take(frame({ now: NOW + 60_000 }));
  assert.equal(series.points.at(-2).busy, undefined);
  assert.equal(series.points.at(-1).time, NOW + 60_000);
});
