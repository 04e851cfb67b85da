// The canvas's colours, as the style sheet has them, and its hatching. The choice between light and dark.

import { make } from "./dom.js";
import { keep, recall } from "./memory.js";
import { CANCELLED, FAILED, LATE, LOST, WRONG } from "./ring.js";
import { RUNNING_LATE } from "./layout.js";
import { NUM_COLOURS } from "./store.js";

const NAMES = ["ink", "muted", "panel", "line", "grid", "danger", "warn", "accent", "accent-soft", "on-bar"];
const THEMES = ["auto", "light", "dark"];
const STORED = "theme";
const TILE = 8;

export class Palette {
  #hatched = new Map();
  #probe = make("span", { hidden: true });

  constructor(onChange) {
    document.body.append(this.#probe);
    this.theme = recall("localStorage", STORED) ?? "auto";
    this.onChange = onChange;
    this.#apply();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#changed());
  }

  /** The next of the three. */
  turn() {
    this.theme = THEMES[(THEMES.indexOf(this.theme) + 1) % THEMES.length];
    keep("localStorage", STORED, this.theme);
    this.#changed();
  }

  #changed() {
    this.#apply();
    this.onChange();
  }

  #apply() {
    document.documentElement.dataset.theme = this.theme;
    this.#hatched.clear();
    for (const name of NAMES) this[name] = this.#read(`--${name}`);
    // The last one is grey: what is not told, and many jobs in one bar.
    this.bars = Array.from({ length: NUM_COLOURS + 1 }, (_, at) => this.#read(`--bar-${at}`));
  }

  /** As the browser has resolved it, for light or dark. */
  #read(variable) {
    this.#probe.style.color = `var(${variable})`;
    return getComputedStyle(this.#probe).color;
  }

  /** A pattern for what did not go well: it differs by more than its colour. */
  hatched(style, context, scale) {
    const key = `${style}@${scale}`;
    let pattern = this.#hatched.get(key);
    if (!pattern) {
      pattern = this.#hatch(style, context, scale);
      this.#hatched.set(key, pattern);
    }
    return pattern;
  }

  /** The colour of its outline. */
  edge(style) {
    if (style === LATE || style === RUNNING_LATE) return this.warn;
    return style === CANCELLED ? this.muted : this.danger;
  }

  #hatch(style, context, scale) {
    const tile = make("canvas", { width: TILE * scale, height: TILE * scale });
    const on = tile.getContext("2d");
    on.scale(scale, scale);
    on.fillStyle = this.panel;
    on.fillRect(0, 0, TILE, TILE);
    on.strokeStyle = this.edge(style);
    on.lineWidth = 2;
    for (const [x, y] of strokes(style)) {
      for (const shift of [-TILE, 0, TILE]) {
        on.beginPath();
        on.moveTo(x + shift, 0);
        on.lineTo(x + shift + y, TILE);
        on.stroke();
      }
    }
    const pattern = context.createPattern(tile, "repeat");
    pattern.setTransform(new DOMMatrix().scale(1 / scale));
    return pattern;
  }
}

/** Where lines begin at the top of a tile, and how far to the right they end at its bottom. */
function strokes(style) {
  if (style === LATE || style === RUNNING_LATE) return [[0, TILE]];
  if (style === LOST) return [[TILE, -TILE]];
  if (style === FAILED || style === WRONG)
    return [
      [0, TILE],
      [TILE, -TILE],
    ];
  return [[TILE / 2, 0]]; // cancelled
}
