// Bars and what is around them onto a canvas, the same way on the timeline and in a job's own picture.

import { MERGED, RUNNING, RUNNING_LATE } from "./layout.js";
import { OK } from "./ring.js";
import { duration } from "./text.js";

const LABEL_PX = 52;
const GAP_FROM_PX = 4;
const MAX_SIDE = 4_096;
const FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace";
const FONT_PX = 11;

/** How much larger than usual all is: the style sheet's letters grow with the screen, and with the reader's wish. */
export function zoom() {
  return parseFloat(getComputedStyle(document.documentElement).fontSize) / 15.5;
}

/** As many pixels as the screen has, within what every browser can draw; a context in CSS pixels. */
export function fit(canvas, width, height) {
  const scale = Math.min(window.devicePixelRatio || 1, 2, MAX_SIDE / Math.max(width, height, 1));
  const pixels = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  if (canvas.width !== pixels[0] || canvas.height !== pixels[1]) [canvas.width, canvas.height] = pixels;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = `${FONT_PX * zoom()}px ${FONT}`;
  context.textBaseline = "middle";
  return { context, scale };
}

/** What is drawn meanwhile stays in this box. */
export function within(context, [x, y, width, height], draw) {
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  draw();
  context.restore();
}

/** One bar; ``share`` is the height of one that stands for many. */
export function paintBar(context, palette, scale, { x, y, width, height, colour, style, share, label }) {
  const wide = width >= GAP_FROM_PX ? width - 1 : Math.max(width, 1.5);
  if (style === OK || style === RUNNING || style === MERGED) {
    const tall = style === MERGED ? height * (0.4 + 0.6 * share) : height;
    context.fillStyle = palette.bars[colour];
    context.globalAlpha = style === RUNNING ? 0.6 : 1;
    context.fillRect(x, y + height - tall, style === MERGED ? Math.max(width, 1.5) : wide, tall);
    context.globalAlpha = 1;
    if (style === RUNNING && width > 2) context.fillRect(x + width - 2, y, 2, height); // its growing end
  } else {
    context.fillStyle = palette.hatched(style, context, scale);
    context.fillRect(x, y, Math.max(wide, 3), height);
    context.strokeStyle = palette.edge(style);
    context.lineWidth = 1;
    context.strokeRect(x + 0.5, y + 0.5, Math.max(wide, 3) - 1, height - 1);
    if (style === RUNNING_LATE) context.fillRect(x + width - 2, y, 2, height);
  }
  if (label && width >= LABEL_PX && (style === OK || style === RUNNING)) {
    context.fillStyle = style === OK ? palette["on-bar"] : palette.ink;
    context.fillText(label, x + 5, y + height / 2 + 0.5, width - 10);
  }
}

/** Lines down from the axis at each mark, {x, label}, between ``left`` and ``right``. */
export function paintAxis(context, palette, found, { left, right, top, height }) {
  context.fillStyle = palette.muted;
  context.strokeStyle = palette.grid;
  context.lineWidth = 1;
  for (const { x, label } of found) {
    const at = Math.round(left + x) + 0.5;
    context.beginPath();
    context.moveTo(at, top - 5);
    context.lineTo(at, height);
    context.stroke();
    const wide = context.measureText(label).width;
    context.fillText(label, Math.min(Math.max(at - wide / 2, left), right - wide - 2), top / 2 - 2);
  }
}

/** A thin line under a row. */
export function paintLine(context, palette, y, width) {
  context.strokeStyle = palette.grid;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(0, Math.round(y) + 0.5);
  context.lineTo(width, Math.round(y) + 0.5);
  context.stroke();
}

/** A full circle computes, a ring is idle, a cross is silent or gone. */
export function paintState(context, palette, state, x, y) {
  context.strokeStyle = context.fillStyle = state === "busy" ? palette.accent : palette.muted;
  context.lineWidth = 1.5;
  context.beginPath();
  if (state === "busy" || state === "idle") {
    context.arc(x, y, 3.5, 0, 2 * Math.PI);
    if (state === "busy") context.fill();
  } else {
    for (const turn of [-3, 3]) {
      context.moveTo(x - turn, y - 3);
      context.lineTo(x + turn, y + 3);
    }
  }
  context.stroke();
}

/** A folded stretch of idle time, and how long it is. */
export function paintFold(context, palette, gap, { x, right, top, height, middle }) {
  context.fillStyle = palette.grid;
  context.fillRect(x, top, right - x, height);
  const text = duration((gap.to - gap.from) / 1e3);
  const wide = context.measureText(text).width;
  if (right - x < wide + 4) return;
  context.fillStyle = palette.muted;
  context.fillText(text, (x + right - wide) / 2, middle);
}
