// Finished runs on one time scale: a row for each worker of each, and under it the table with the same in numbers.

import { fillRows, make, table } from "./dom.js";
import { fit, paintAxis, paintBar, paintLine, within, zoom } from "./paint.js";
import { OK } from "./ring.js";
import { duration, roundDuration, shortId } from "./text.js";
import { perWorker } from "./words.js";

const AXIS = 22;
const ROW = 24;
const COLUMNS = ["Run", "Worker", "Batches", "Work", "Computing", "Share"];
const STEPS = [1, 2, 5];

export class Runs {
  #runs = [];

  /** Into this element; ``name`` is what the picture is called. */
  constructor(place, palette, name) {
    this.palette = palette;
    this.canvas = make("canvas", { "aria-hidden": "true" });
    this.picture = make("div", { class: "picture", role: "img", tabindex: "0", "aria-label": name }, this.canvas);
    this.table = table(`${name}: who computed what`, COLUMNS, [3, 4, 5, 6]);
    const region = { role: "region", "aria-label": `${name}, as a table`, tabindex: "0" }; // it may have to be scrolled
    this.behind = make("div", { class: "behind", "data-table": "", hidden: true, ...region }, this.table);
    this.name = name;
    place.append(this.picture, this.behind);
    new ResizeObserver(() => this.draw()).observe(this.picture);
  }

  /** ``runs``: [{name, unit, colour, seconds, batches}]; all begin at 0. */
  show(runs) {
    this.#runs = runs;
    this.picture.hidden = !runs.length;
    const said = runs.map(({ name, seconds, batches }) => {
      const workers = new Set(batches.map((batch) => batch.worker_id)).size;
      return `${name ? `${name}: ` : ""}${duration(seconds)} on ${workers} ${workers === 1 ? "worker" : "workers"}`;
    });
    this.picture.setAttribute("aria-label", `${this.name}. ${said.join("; ")}`);
    fillRows(
      this.table.tBodies[0],
      runs.flatMap(({ name, unit, batches }) =>
        perWorker(batches).map(([worker, number, units, ...rest]) => [
          name,
          worker,
          number,
          `${units} ${unit}`,
          ...rest,
        ]),
      ),
    );
    this.table.classList.toggle("one", runs.length < 2 && !runs[0]?.name);
    this.draw();
  }

  draw() {
    const width = this.picture.clientWidth;
    if (!width || !this.#runs.length) return;
    const rows = this.#runs.flatMap((run) => workersOf(run).map((worker, at) => ({ run, worker, first: at === 0 })));
    const em = zoom();
    const [top, tall] = [Math.round(AXIS * em), Math.round(ROW * em)];
    const height = top + rows.length * tall + 2;
    const { context, scale } = fit(this.canvas, width, height);
    const names = rows.map(({ run, worker, first }) => [first ? run.name : "", shortId(worker)]);
    const column = Math.max(...names.map(([name]) => context.measureText(name).width));
    const left = Math.ceil(column ? column + 80 * em : 72 * em);
    const longest = Math.max(...this.#runs.map(({ seconds }) => seconds), 1e-6);
    const right = width - 8;
    const x = (seconds) => (seconds / longest) * (right - left);
    paintAxis(context, this.palette, marksOf(longest, x), { left, right: width, top, height });
    rows.forEach(({ run, worker, first }, row) => {
      const y = top + row * tall;
      if (first && row) paintLine(context, this.palette, y, width);
      context.fillStyle = this.palette.ink;
      context.fillText(names[row][0], 2, y + tall / 2);
      context.fillStyle = this.palette.muted;
      context.fillText(names[row][1], column ? column + 12 : 2, y + tall / 2);
      within(context, [left, y, right - left + 2, tall], () =>
        this.#drawRow(context, scale, { run, worker, left, y, x, tall }),
      );
    });
  }

  #drawRow(context, scale, { run, worker, left, y, x, tall }) {
    const batches = run.batches.filter((batch) => batch.worker_id === worker);
    let busyUntil = 0; // what comes back late may seem to overlap what came before
    for (const batch of batches.sort((a, b) => a.returned_at_seconds - b.returned_at_seconds)) {
      const end = batch.returned_at_seconds;
      const computed = batch.compute_seconds ? end - batch.compute_seconds : 0;
      const begin = Math.min(end, Math.max(batch.dispatched_at_seconds, computed, busyUntil));
      busyUntil = Math.max(busyUntil, end);
      const bar = {
        x: left + x(begin),
        y: y + 4,
        width: x(end) - x(begin),
        height: tall - 7,
        colour: run.colour,
        share: 1,
      };
      paintBar(context, this.palette, scale, { ...bar, style: batch.outcome ?? OK });
    }
  }
}

function workersOf(run) {
  return [...new Set(run.batches.map((batch) => batch.worker_id))].sort();
}

function marksOf(longest, x) {
  const room = Math.max(1, x(longest) / 80);
  const exponent = 10 ** Math.floor(Math.log10(longest / room));
  const step = STEPS.map((each) => each * exponent).find((each) => longest / each <= room) ?? 10 * exponent;
  const found = [];
  for (let at = 0; at * step <= longest * 1.0001; at += 1)
    found.push({ x: x(at * step), label: roundDuration(at * step) });
  return found;
}
