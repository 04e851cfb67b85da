// The time axis: where its marks are, and what they say. Pure.

import { clockTime } from "./text.js";

const STEPS_MS = [100, 200, 500, 1e3, 2e3, 5e3, 10e3, 15e3, 30e3, 60e3, 120e3, 300e3, 600e3, 1800e3, 3600e3];

/** The axis's marks: whole steps of the clock, at least ``minPx`` apart, none in a folded gap. */
export function marks(stretch, width, minPx = 80) {
  const step = STEPS_MS.find((each) => (each / stretch.span) * width >= minPx) ?? STEPS_MS.at(-1);
  const found = [];
  let last = -Infinity;
  for (let time = Math.ceil(stretch.from / step) * step; time <= stretch.to; time += step) {
    const gap = stretch.fold.gaps.find((each) => time > each.from && time < each.to);
    if (gap) time = Math.ceil(gap.to / step) * step;
    const x = stretch.x(time, width);
    if (x - last < minPx || x > width) continue;
    found.push({ x, label: clockTime(time, step < 1_000) });
    last = x;
  }
  return found;
}
