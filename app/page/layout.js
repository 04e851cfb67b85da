// Where bars are, in pixels, also those that are narrower than one. Pure: nothing here draws.

import { DENSE, OK, OUTCOMES } from "./ring.js";
import { GREY } from "./store.js";

/** How a rectangle is drawn: as its outcome, or as one of these. */
export const RUNNING = OUTCOMES.length;
export const RUNNING_LATE = RUNNING + 1;
/** Many short batches in one: ``share`` is how much of its time is full. */
export const MERGED = RUNNING + 2;
/** In place of a bar's number in the ring: a rectangle of many bars. */
export const MANY = -1;
export const MAX_RECTANGLES = 4_000;
const MAX_CELL = 64;
const MARK_PX = 3; // the narrowest a lost or late batch is drawn
const SHARES = 4; // how many heights of merged ones are told apart

/** Rectangles in the order in which they are drawn, in typed arrays that are used again. */
export class Rectangles {
  constructor(capacity = 2 * MAX_RECTANGLES) {
    this.capacity = capacity;
    this.length = 0;
    this.row = new Uint16Array(capacity);
    this.x = new Float32Array(capacity);
    this.width = new Float32Array(capacity);
    this.colour = new Uint8Array(capacity);
    this.style = new Uint8Array(capacity);
    this.share = new Float32Array(capacity);
    this.bar = new Int32Array(capacity);
  }

  /** ``bar``: its number in the ring, or -2 - i for the i-th running one. */
  push(row, x, width, colour, style, share, bar) {
    if (this.length === this.capacity) return;
    const at = this.length;
    this.row[at] = row;
    this.x[at] = x;
    this.width[at] = width;
    this.colour[at] = colour;
    this.style[at] = style;
    this.share[at] = share;
    this.bar[at] = bar;
    this.length += 1;
  }

  /** The topmost one there, or -1. */
  find(row, x, slack = 2) {
    for (let at = this.length - 1; at >= 0; at -= 1) {
      if (this.row[at] !== row) continue;
      if (x >= this.x[at] - slack && x <= this.x[at] + this.width[at] + slack) return at;
    }
    return -1;
  }
}

export const barOfRunning = (index) => -2 - index;
export const runningOfBar = (bar) => -2 - bar;

/** A row's pixels, for what is narrower than one. Buffers are used again. */
class Cells {
  reset(rows, columns) {
    const size = rows * columns;
    if (!this.busy || this.busy.length < size) {
      this.busy = new Float32Array(size);
      this.weight = new Float32Array(size);
      this.colour = new Uint8Array(size);
      this.marks = new Uint8Array(size);
    }
    this.columns = columns;
    this.busy.fill(0, 0, size);
    this.weight.fill(0, 0, size);
    this.marks.fill(0, 0, size);
  }

  /** ``width`` px of work; the colour that most of a cell's work has wins (Boyer and Moore's vote). */
  add(row, column, width, colour) {
    const at = row * this.columns + column;
    this.busy[at] += width;
    if (this.colour[at] === colour) this.weight[at] += width;
    else if (this.weight[at] < width) {
      this.colour[at] = colour;
      this.weight[at] = width - this.weight[at];
    } else this.weight[at] -= width;
  }

  mark(row, column, style) {
    this.marks[row * this.columns + column] |= 1 << style;
  }
}

const cells = new Cells();

/** The bars that are seen, and from where to where in pixels: found once, however often cells must grow. */
class Seen {
  constructor() {
    this.bar = new Int32Array(0);
  }

  gather(ring, stretch, { width, edge, rowOf }) {
    if (this.bar.length < ring.length) {
      this.bar = new Int32Array(ring.capacity);
      this.x = new Float32Array(ring.capacity);
      this.right = new Float32Array(ring.capacity);
    }
    this.length = 0;
    const { from, to } = stretch;
    const { start, span, worker } = ring;
    for (let age = ring.length - 1; age >= 0; age -= 1) {
      const index = ring.at(age);
      const end = start[index] + span[index];
      if (end <= from || start[index] >= to || !(rowOf[worker[index]] >= 0)) continue;
      const begin = ring.begin(index);
      if (begin >= edge) continue;
      this.bar[this.length] = index;
      this.x[this.length] = Math.max(0, stretch.x(begin, width));
      this.right[this.length] = Math.min(width, stretch.x(Math.min(end, edge), width));
      this.length += 1;
    }
  }
}

const seen = new Seen();

/** All bars of a stretch into ``into``; cells grow until there are few enough rectangles. Returns their width.
 *
 * ``rowOf``: the row of each worker's number, or -1. ``edge``: the latest moment that is drawn.
 */
export function layBars({ ring, running }, stretch, { width, edge, rowOf, numRows }, into) {
  seen.gather(ring, stretch, { width, edge, rowOf });
  for (let cell = 1; ; cell *= 2) {
    into.length = 0;
    layRunning(running, stretch, { width, edge, rowOf }, into);
    cells.reset(numRows, Math.ceil(width / cell) + 1);
    layEnded(ring, { edge, rowOf, cell }, into);
    layCells(numRows, cell, into);
    if (into.length <= MAX_RECTANGLES || cell >= MAX_CELL) return cell;
  }
}

/** Under all others: of those that wait on a worker, what is seen is where no other computes. */
function layRunning(running, stretch, { width, edge, rowOf }, into) {
  const order = [...running.keys()].sort((a, b) => running[b].start - running[a].start);
  for (const index of order) {
    const { worker, start, late, colour } = running[index];
    const row = rowOf[worker] ?? -1;
    if (row < 0 || start >= edge) continue;
    const x = Math.max(0, stretch.x(start, width));
    const right = Math.min(width, stretch.x(edge, width));
    if (right > x) into.push(row, x, right - x, colour, late ? RUNNING_LATE : RUNNING, 1, barOfRunning(index));
  }
}

function layEnded(ring, { edge, rowOf, cell }, into) {
  for (let at = 0; at < seen.length; at += 1) {
    const index = seen.bar[at];
    const row = rowOf[ring.worker[index]];
    const outcome = ring.outcome[index];
    const x = seen.x[at];
    const wide = seen.right[at] - x;
    const column = Math.floor(x / cell);
    if (outcome === DENSE) {
      const share = ring.compute[index] / ring.span[index];
      if (wide >= cell) into.push(row, x, wide, GREY, MERGED, share, MANY);
      else cells.add(row, column, wide * share, GREY);
      continue;
    }
    const runs = ring.end(index) > edge;
    if (wide >= cell) into.push(row, x, wide, ring.colour[index], runs ? RUNNING : outcome, 1, index);
    else if (outcome === OK || runs) cells.add(row, column, wide, ring.colour[index]);
    else cells.mark(row, column, outcome);
  }
}

/** Neighbouring cells of one colour and height become one rectangle; marks are drawn over them, wide enough to see. */
function layCells(numRows, cell, into) {
  const { columns, busy, colour, marks } = cells;
  const shareOf = (at) => (busy[at] ? Math.max(1, Math.min(SHARES, Math.ceil((busy[at] / cell) * SHARES))) : 0);
  for (let row = 0; row < numRows; row += 1) {
    const end = (row + 1) * columns;
    for (let at = row * columns; at < end;) {
      const share = shareOf(at);
      let next = at + 1;
      while (next < end && shareOf(next) === share && colour[next] === colour[at]) next += 1;
      const x = (at - row * columns) * cell;
      if (share) into.push(row, x, (next - at) * cell, colour[at], MERGED, share / SHARES, MANY);
      at = next;
    }
    for (let at = row * columns; at < end; at += 1) {
      for (let style = 0; marks[at] >> style; style += 1) {
        const x = (at - row * columns) * cell;
        if ((marks[at] >> style) & 1) into.push(row, x, Math.max(cell, MARK_PX), GREY, style, 1, MANY);
      }
    }
  }
}
