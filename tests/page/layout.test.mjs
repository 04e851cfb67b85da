// Where things are on the timeline: the axis, folded idle time, rows, bars, and bars too narrow to draw.

import assert from "node:assert/strict";
import { test } from "node:test";

import { marks } from "../../app/page/axis.js";
import { Fold, FOLDED_MS, idleGaps } from "../../app/page/fold.js";
import { MANY, MAX_RECTANGLES, MERGED, RUNNING, RUNNING_LATE, Rectangles, layBars } from "../../app/page/layout.js";
import { DENSE, LOST, OK } from "../../app/page/ring.js";
import { GREY, Store } from "../../app/page/store.js";
import { MAX_SPAN_MS, MIN_SPAN_MS, View } from "../../app/page/view.js";
import { NOW, batch, frame, running } from "./frames.mjs";

const WIDTH = 1_000;
const SPAN = 10_000; // ms: 100 px a second

/** The rectangles of a frame's bars, seen at NOW or another edge. */
function laid(changes, { edge = NOW, span = SPAN, width = WIDTH } = {}) {
  const store = new Store();
  store.take(frame(changes));
  const view = new View(span);
  const rowOf = new Int32Array(store.workers.bound).fill(-1);
  store.rows().forEach((number, row) => (rowOf[number] = row));
  const into = new Rectangles();
  const cell = layBars(store, view.stretch(edge), { width, edge, rowOf, numRows: store.rows().length }, into);
  const rectangles = Array.from({ length: into.length }, (_, at) => ({
    row: into.row[at],
    x: Math.round(into.x[at]),
    width: Math.round(into.width[at]),
    style: into.style[at],
    colour: into.colour[at],
    share: into.share[at],
    bar: into.bar[at],
  }));
  return { rectangles, cell, into, store };
}

test("a bar is where its batch computed", () => {
  const { rectangles } = laid({ batches: [batch("w2", 5_000, 4_000, { compute: 500 })] });
  assert.deepEqual(
    rectangles.map(({ row, x, width, style }) => [row, x, width, style]),
    [[1, 550, 50, OK]],
  );
});

test("what is outside of the picture is left out, and what sticks out is cut", () => {
  const { rectangles } = laid({ batches: [batch("w1", 30_000, 20_000), batch("w1", 12_000, 9_000)] });
  assert.deepEqual(
    rectangles.map(({ x, width }) => [x, width]),
    [[0, 100]],
  );
});

test("a running bar grows to the present, under those that ended meanwhile", () => {
  const { rectangles } = laid({ running: [running("w1", 3_000)], batches: [batch("w1", 2_000, 1_000)] });
  assert.deepEqual(
    rectangles.map(({ x, width, style }) => [x, width, style]),
    [
      [700, 300, RUNNING],
      [800, 100, OK],
    ],
  );
});

test("a late one that still runs is marked as late", () => {
  assert.equal(laid({ running: [running("w1", 3_000, { late: 1 })] }).rectangles[0].style, RUNNING_LATE);
});

test("in a picture that is a second behind, what has just ended is still growing", () => {
  const { rectangles } = laid({ batches: [batch("w1", 3_000, 500), batch("w2", 900, 100)] }, { edge: NOW - 1_000 });
  assert.deepEqual(
    rectangles.map(({ row, x, width, style }) => [row, x, width, style]),
    [[0, 800, 200, RUNNING]],
  );
});

test("neighbours below a pixel become one rectangle, as high as they are busy", () => {
  const batches = Array.from({ length: 800 }, (_, at) => batch("w1", 4_999 - 5 * at, 4_996 - 5 * at));
  const { rectangles } = laid({ batches });
  assert.ok(rectangles.length < 10, `${rectangles.length} rectangles`);
  assert.ok(rectangles.every(({ style, bar }) => style === MERGED && bar === MANY));
  assert.ok(rectangles.every(({ share }) => share === 0.75));
  assert.equal(rectangles[0].x, 500);
});

test("one tiny batch alone is seen", () => {
  const { rectangles } = laid({ batches: [batch("w1", 5_000, 4_999)] });
  assert.deepEqual(
    rectangles.map(({ x, width, style }) => [x, width, style]),
    [[500, 1, MERGED]],
  );
});

test("of several jobs in a pixel, the one with most of it gives its colour", () => {
  const of = (job, began, ended) => batch("w1", began, ended, { job });
  const { rectangles, store } = laid({
    batches: [of("a", 4_999, 4_997), of("b", 4_997, 4_992), of("c", 4_992, 4_991)],
  });
  assert.deepEqual(
    rectangles.map(({ colour }) => colour),
    [store.colourOf("b")],
  );
});

test("a lost batch is seen however narrow it is, over the others", () => {
  const { rectangles } = laid({
    batches: [batch("w1", 5_000, 4_999, { outcome: "lost", compute: 0 }), batch("w1", 4_999, 4_998)],
  });
  const { style, width } = rectangles.at(-1);
  assert.deepEqual([style, width], [LOST, 3]);
});

test("however many bars there are, there are 4,000 rectangles at most: cells grow", () => {
  const workers = Array.from({ length: 50 }, (_, at) => ({ id: `w${at}`, node: null, state: "busy" }));
  const batches = [];
  for (const { id } of workers) {
    for (let at = 0; at < 1_000; at += 1)
      batches.push(batch(id, 10_000 - 10 * at, 9_991 - 10 * at, { job: `j${at % 7}` }));
  }
  const { rectangles, cell } = laid({ workers, batches });
  assert.ok(rectangles.length <= MAX_RECTANGLES, `${rectangles.length} rectangles`);
  assert.ok(cell > 1);
});

test("a busy share has its height and no job's colour", () => {
  const { rectangles } = laid({ density: [["w1", NOW - 5_000, 250, 0.4, 900]] });
  assert.deepEqual(
    rectangles.map(({ x, width, style, colour }) => [x, width, style, colour]),
    [[500, 25, MERGED, GREY]],
  );
  assert.ok(Math.abs(rectangles[0].share - 0.4) < 1e-6);
  assert.notEqual(rectangles[0].style, DENSE);
});

test("what is pointed at is the topmost bar there", () => {
  const { into } = laid({ running: [running("w1", 3_000)], batches: [batch("w1", 2_000, 1_000)] });
  assert.deepEqual([into.find(0, 850), into.find(0, 750), into.find(1, 850), into.find(0, 100)], [1, 0, -1, -1]);
});

test("the axis has whole seconds of the clock, far enough apart", () => {
  const found = marks(new View(SPAN).stretch(NOW), WIDTH, 80);
  assert.ok(found.length >= 5 && found.length <= WIDTH / 80);
  assert.ok(found.every(({ label }) => /^\d\d:\d\d:\d\d$/.test(label)));
  assert.match(marks(new View(1_000).stretch(NOW), WIDTH, 80)[0].label, /^\d\d:\d\d:\d\d\.\d$/);
});

test("a place on a folded axis and its time are each other's inverse, and grow with each other", () => {
  const fold = new Fold([
    [10_000, 20_000],
    [30_000, 90_000],
  ]);
  let last = -Infinity;
  for (let time = 0; time < 100_000; time += 777) {
    const place = fold.fold(time);
    assert.ok(place > last);
    assert.ok(Math.abs(fold.unfold(place) - time) < 1e-6, `${time}`);
    last = place;
  }
  assert.equal(fold.fold(20_000) - fold.fold(10_000), FOLDED_MS);
  assert.equal(fold.fold(100_000), 100_000 - 9_500 - 59_500);
});

test("idle time is what no worker used, from two seconds", () => {
  const store = new Store();
  store.take(frame({ batches: [batch("w1", 60_000, 50_000), batch("w2", 49_000, 30_000)] }));
  const [gap, ...others] = idleGaps(store.ring, store.running, NOW);
  assert.equal(others.length, 0);
  assert.ok(Math.abs(gap[0] - (NOW - 30_000)) <= 250 && gap[1] === NOW);
  store.take(frame({ running: [running("w1", 29_000)] }));
  assert.deepEqual(idleGaps(store.ring, store.running, NOW), []);
});

test("nothing at all is no gap", () => {
  const store = new Store();
  store.take(frame());
  assert.deepEqual(idleGaps(store.ring, store.running, NOW), []);
});

test("the picture follows the present until it is panned, and again at its end", () => {
  const view = new View(SPAN);
  assert.equal(view.stretch(NOW).to, NOW);
  view.pan(-0.5, NOW);
  assert.deepEqual([view.following, view.stretch(NOW + 1_000).to], [false, NOW - 5_000]);
  view.pan(0.75, NOW);
  assert.deepEqual([view.following, view.stretch(NOW + 1_000).to], [true, NOW + 1_000]);
});

test("a paused picture stands still, may be panned, and goes on with the present", () => {
  const view = new View(SPAN);
  view.pause(NOW);
  assert.equal(view.stretch(NOW + 9_000).to, NOW);
  view.pan(-1, NOW + 9_000);
  assert.equal(view.stretch(NOW + 9_000).to, NOW - SPAN);
  view.follow();
  assert.equal(view.stretch(NOW + 9_000).to, NOW + 9_000);
});

test("zooming keeps what is pointed at, and has its limits", () => {
  const view = new View(SPAN);
  view.pan(-1, NOW);
  const { from } = view.stretch(NOW);
  view.zoom(0.5, NOW, 0);
  assert.ok(Math.abs(view.stretch(NOW).from - from) < 1e-6);
  for (let times = 0; times < 50; times += 1) view.zoom(0.5, NOW);
  assert.equal(view.span, MIN_SPAN_MS);
  for (let times = 0; times < 50; times += 1) view.zoom(2, NOW);
  assert.equal(view.span, MAX_SPAN_MS);
});
