// The figures above the timeline, each with its line over the same stretch of time, and the table behind them.

import { by, fillRows, setText, table } from "./dom.js";
import { amount, clockTime, duration, percent } from "./text.js";

const HEIGHT = 38;
const MAX_ROWS = 120;
const COLUMNS = ["Time", "Busy workers", "Workers", "Queued jobs", "Drain", "Work a second", "Jobs a second"];

/** Each: its id, and the lines of a point. */
const TILES = [
  { id: "busy", lines: () => [(point) => point.busy ?? null], most: (store) => Math.max(1, store.numWorkers) },
  { id: "queue", lines: () => [(point) => point.queue ?? null] },
  { id: "drain", lines: () => [(point) => point.drain ?? null] },
  { id: "units", lines: (kernels) => kernels.map((kernel) => (point) => unitsOf(point, kernel)), apart: true },
  { id: "jobs", lines: () => [(point) => point.jobs ?? null] },
];

export class Lines {
  #charts = new Map();

  constructor(store, palette) {
    this.store = store;
    this.palette = palette;
    this.table = table("Figures of the last minutes, the newest first", COLUMNS, [2, 3, 4, 5, 6, 7]);
    by("figures-table").append(this.table);
    new ResizeObserver(() => this.#resize()).observe(by("tiles"));
  }

  /** Figures as they were at ``until``, and lines; ``stretch`` is that of the timeline. */
  show(stretch, until) {
    const { points } = this.store.series;
    const last = points.findLast(({ time, busy }) => time <= until && busy !== undefined);
    if (!last) return;
    this.#say(last);
    const seen = points.filter(({ time }) => time >= stretch.from - 2_000 && time <= stretch.to + 2_000);
    const places = seen.map(({ time }) => (stretch.fold.fold(time) - stretch.left) / stretch.span);
    const kernels = Object.keys(this.store.units);
    for (const tile of TILES) {
      const values = tile.lines(kernels).map((read) => seen.map(read));
      this.#chart(tile, values.length).setData([places, ...values]);
      if (tile.most || tile.apart) continue;
      const most = values[0].reduce((greatest, value) => Math.max(greatest, value ?? 0), 0);
      setText(by(`${tile.id}-most`), `peak ${tile.id === "drain" ? duration(most) : amount(rounded(most))}`);
    }
    if (!by("figures-table").hidden) this.#fill(points);
  }

  #say(point) {
    const { units, queue } = this.store;
    const workers = this.store.numWorkers;
    setText(by("busy"), `${amount(rounded(point.busy))} of ${workers}`);
    setText(by("busy-most"), workers ? percent(Math.round((100 * (point.busy ?? 0)) / workers) / 100) : "no worker");
    setText(by("queue"), amount(point.queue));
    setText(by("queue-jobs"), `${amount(queue.unfinished_jobs)} unfinished`);
    setText(by("drain"), duration(rounded(point.drain)));
    setText(by("jobs"), `${amount(rounded(point.jobs))} /s`);
    const speeds = Object.entries(point.units).sort(([, a], [, b]) => b - a);
    const [kernel, speed] = speeds[0] ?? [Object.keys(units)[0], unitsOf(point)];
    setText(by("units"), `${amount(rounded(speed))} /s`);
    setText(by("units-name"), kernel ? label(units[kernel] ?? "units") : "Units");
    const others = speeds.slice(1).filter(([, each]) => each > 0);
    setText(by("units-most"), others.map(([name, each]) => `${amount(each)} ${units[name]}/s`).join(", "));
  }

  #chart(tile, numLines) {
    let chart = this.#charts.get(tile.id);
    if (chart && chart.series.length === numLines + 1) return chart;
    chart?.destroy();
    chart = this.#made(tile, numLines);
    this.#charts.set(tile.id, chart);
    return chart;
  }

  #made(tile, numLines) {
    const place = by(`${tile.id}-plot`);
    const scales = { x: { time: false, range: () => [0, 1] } };
    const series = [{}];
    for (let line = 0; line < numLines; line += 1) {
      const scale = tile.apart ? `y${line}` : "y"; // kernels count different things
      scales[scale] = { range: (_, __, most) => [0, Math.max(tile.most?.(this.store) ?? 0, most || 0, 1e-9) * 1.05] };
      series.push({
        scale,
        width: 1.5,
        stroke: () => (numLines > 1 ? this.palette.bars[line] : this.palette.accent),
        fill: () => (numLines > 1 ? null : this.palette["accent-soft"]),
        points: { show: false },
      });
    }
    const options = {
      width: Math.max(40, place.clientWidth),
      height: HEIGHT,
      padding: [2, 0, 2, 0],
      legend: { show: false },
      cursor: { show: false },
      axes: [{ show: false }, { show: false }],
      scales,
      series,
    };
    return new window.uPlot(options, [[], ...series.slice(1).map(() => [])], place);
  }

  /** In the colours of now. */
  redraw() {
    for (const chart of this.#charts.values()) chart.redraw();
  }

  #resize() {
    for (const [id, chart] of this.#charts) {
      chart.setSize({ width: Math.max(40, by(`${id}-plot`).clientWidth), height: HEIGHT });
    }
  }

  #fill(points) {
    const { units } = this.store;
    const rows = points
      .slice(-MAX_ROWS)
      .reverse()
      .filter((point) => point.busy !== undefined);
    fillRows(
      this.table.tBodies[0],
      rows.map((point) => [
        clockTime(point.time, true),
        amount(rounded(point.busy)),
        amount(point.workers),
        amount(point.queue),
        duration(rounded(point.drain)),
        Object.entries(point.units)
          .map(([kernel, speed]) => `${amount(rounded(speed))} ${units[kernel]}`)
          .join(", "),
        amount(rounded(point.jobs)),
      ]),
    );
  }
}

/** Null where nothing is known of speeds. */
function unitsOf({ jobs, units }, kernel) {
  return units[kernel] ?? (jobs === null || jobs === undefined ? null : 0);
}

/** Without the noise of the last digits: 1.9987 is 2. */
function rounded(value) {
  return value === null || value === undefined ? value : Math.round(value * 100) / 100;
}

function label(unit) {
  return unit.charAt(0).toUpperCase() + unit.slice(1);
}
