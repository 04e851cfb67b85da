// The timeline: a row a worker, a bar a batch. It paints what is seen and nothing else; pointing.js has the hands.

import { marks } from "./axis.js";
import { by } from "./dom.js";
import { MANY, Rectangles, layBars, runningOfBar } from "./layout.js";
import { fit, paintAxis, paintBar, paintFold, paintLine, paintState, within, zoom } from "./paint.js";
import { GONE_MS } from "./store.js";
import { shortId } from "./text.js";

const AXIS = 24;
const PAD = 3;
const ROW_HEIGHTS = [34, 28, 22, 16];
const NARROW = 560;

export class Timeline {
  #rectangles = new Rectangles();
  #rowOf = new Int32Array(0);
  #running = [];

  constructor(store, view, palette) {
    this.store = store;
    this.view = view;
    this.palette = palette;
    this.scroller = by("timeline-scroller");
    this.spacer = by("timeline-spacer");
    this.canvas = by("timeline-canvas");
    this.rows = []; // numbers of workers
    this.worker = null; // the number of the chosen one
    this.chosen = null; // the chosen bar: {worker, start}
    this.edge = NaN;
  }

  /** Everything, as it is at ``edge``, the latest moment that is drawn. */
  draw(edge) {
    this.edge = edge;
    this.stretch = this.view.stretch(edge);
    this.#running = this.store.running;
    const past = this.view.paused || !this.view.following;
    this.rows = this.store.rows(past ? this.stretch.from : Infinity);
    this.#measure();
    this.#lay(this.view.end(edge));
    const { context, scale } = fit(this.canvas, this.width, this.height);
    const found = marks(this.stretch, this.width - this.gutter, this.gutter);
    paintAxis(context, this.palette, found, {
      left: this.gutter,
      right: this.width,
      top: this.axis,
      height: this.height,
    });
    within(context, [0, this.axis, this.width, this.height], () => this.#drawRows(context));
    within(context, [this.gutter, this.axis, this.width, this.height], () => {
      this.#drawBars(context, scale);
      this.#drawFolds(context);
    });
    by("timeline-empty").hidden = this.rows.length > 0;
  }

  /** Rows as high as there is room for; the canvas is no larger than what is seen of it. */
  #measure() {
    const em = zoom();
    this.width = this.scroller.clientWidth;
    this.gutter = Math.round((this.width < NARROW ? 74 : 98) * em); // room for the workers' names
    this.axis = Math.round(AXIS * em);
    const room = Math.max(160, window.innerHeight * 0.5);
    const heights = ROW_HEIGHTS.map((height) => Math.round(height * em));
    this.rowHeight = heights.find((height) => height * this.rows.length <= room) ?? heights.at(-1);
    const whole = this.axis + Math.max(1, this.rows.length) * this.rowHeight + 1;
    this.height = Math.min(whole, this.axis + Math.floor(room));
    this.spacer.style.height = `${whole}px`;
    this.scroller.style.height = `${this.height}px`;
    this.top = Math.max(0, Math.min(this.scroller.scrollTop, whole - this.height));
    this.first = Math.floor(this.top / this.rowHeight);
    this.last = Math.min(this.rows.length, Math.ceil((this.top + this.height - this.axis) / this.rowHeight));
  }

  #lay(edge) {
    const { bound } = this.store.workers;
    if (this.#rowOf.length < bound) this.#rowOf = new Int32Array(2 * bound);
    this.#rowOf.fill(-1);
    for (let row = this.first; row < this.last; row += 1) this.#rowOf[this.rows[row]] = row - this.first;
    const place = {
      width: Math.max(1, this.width - this.gutter),
      edge,
      rowOf: this.#rowOf,
      numRows: Math.max(0, this.last - this.first),
    };
    layBars(this.store, this.stretch, place, this.#rectangles);
  }

  #y(row) {
    return this.axis + row * this.rowHeight - this.top;
  }

  #drawRows(context) {
    for (let row = this.first; row < this.last; row += 1) {
      const worker = this.store.workers.get(this.rows[row]);
      const y = this.#y(row);
      if (this.rows[row] === this.worker) {
        context.fillStyle = this.palette["accent-soft"];
        context.fillRect(0, y + 1, this.width, this.rowHeight - 1);
      }
      paintLine(context, this.palette, y + this.rowHeight, this.width);
      const gone = worker.state === "gone";
      context.globalAlpha = gone ? Math.max(0.4, 1 - (this.store.now - worker.goneAt) / GONE_MS) : 1;
      paintState(context, this.palette, worker.state, 7, y + this.rowHeight / 2);
      context.fillStyle = gone ? this.palette.muted : this.palette.ink;
      context.fillText(shortId(worker.id), 16, y + this.rowHeight / 2 + 0.5, this.gutter - 18);
      context.globalAlpha = 1;
    }
  }

  #drawBars(context, scale) {
    const { row, x, width, colour, style, share, bar, length } = this.#rectangles;
    const height = this.rowHeight - 2 * PAD + 1;
    for (let at = 0; at < length; at += 1) {
      paintBar(context, this.palette, scale, {
        x: this.gutter + x[at],
        y: this.#y(this.first + row[at]) + PAD,
        width: width[at],
        height,
        colour: colour[at],
        style: style[at],
        share: share[at],
        label: width[at] > 50 && height > 14 ? this.#labelOf(bar[at]) : "",
      });
    }
    const at = this.#findChosen();
    if (at < 0) return;
    context.strokeStyle = this.palette.ink;
    context.lineWidth = 2;
    const y = this.#y(this.first + row[at]) + PAD;
    context.strokeRect(this.gutter + x[at], y, Math.max(width[at] - 1, 3), height);
  }

  #drawFolds(context) {
    const width = this.width - this.gutter;
    for (const gap of this.stretch.fold.gaps) {
      if (gap.to < this.stretch.from || gap.from > this.stretch.to) continue;
      const x = this.gutter + Math.max(0, this.stretch.x(gap.from, width));
      const right = this.gutter + Math.min(width, this.stretch.x(gap.to, width));
      const middle = this.axis + this.rowHeight / 2;
      paintFold(context, this.palette, gap, { x, right, top: this.axis, height: this.height, middle });
    }
  }

  /** What the number in a rectangle stands for: a running batch, or {index} in the ring; null for many. */
  batch(bar) {
    if (bar === MANY) return null;
    if (bar < MANY) return this.#running[runningOfBar(bar)];
    const { ring } = this.store;
    return { index: bar, worker: ring.worker[bar], start: ring.start[bar], ...this.store.jobNames.get(ring.job[bar]) };
  }

  #labelOf(bar) {
    const id = this.batch(bar)?.id ?? null;
    return id === null ? "" : shortId(id);
  }

  /** Where the chosen bar is drawn now, whether it still runs or not; -1 if it is not drawn. */
  #findChosen() {
    if (!this.chosen) return -1;
    const { bar, length } = this.#rectangles;
    for (let at = length - 1; at >= 0; at -= 1) {
      const batch = this.batch(bar[at]);
      if (batch && batch.worker === this.chosen.worker && batch.start === this.chosen.start) return at;
    }
    return -1;
  }

  /** What is there: {worker, bar}; bar is undefined where none is. Null outside of the rows. */
  at(x, y) {
    const row = Math.floor((y - this.axis + this.top) / this.rowHeight);
    if (y < this.axis || row < 0 || row >= this.rows.length) return null;
    const found = x < this.gutter ? -1 : this.#rectangles.find(row - this.first, x - this.gutter);
    return { worker: this.rows[row], bar: found < 0 ? undefined : this.#rectangles.bar[found] };
  }

  /** Scrolls to the row of the chosen worker. */
  reveal() {
    const y = this.rows.indexOf(this.worker) * this.rowHeight;
    const room = this.height - this.axis - this.rowHeight;
    if (y < this.scroller.scrollTop) this.scroller.scrollTop = y;
    else if (y > this.scroller.scrollTop + room) this.scroller.scrollTop = y - room;
  }

  /** The batches of a worker that are wide enough to be chosen, from the left. */
  batchesOf(worker) {
    const row = this.rows.indexOf(worker) - this.first;
    const { row: rows, x, bar, length } = this.#rectangles;
    const found = [];
    for (let at = 0; at < length; at += 1) if (rows[at] === row && bar[at] !== MANY) found.push(at);
    return found.sort((a, b) => x[a] - x[b]).map((at) => this.batch(bar[at]));
  }
}
