// Keys: single ones for what is done often. They can be switched off, and never take a key from a field or a button.

import { by } from "./dom.js";
import { keep, recall } from "./memory.js";

const STORED = "single keys";
const TAKES_TEXT = "input, select, textarea, [contenteditable]";
const PAN = 0.2;
const ZOOM = 1.5;

export class Keyboard {
  /** ``on``: pan, zoom, worker, batch, open, pause, follow, collapse, tables, compare, help. */
  constructor(on) {
    this.on = on;
    this.box = by("single-keys");
    this.box.checked = recall("localStorage", STORED) !== "off";
    this.box.addEventListener("change", () => keep("localStorage", STORED, this.box.checked ? null : "off"));
    document.addEventListener("keydown", (event) => this.#press(event));
  }

  #press(event) {
    const { target, key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]") || target.matches?.(TAKES_TEXT)) return;
    const onTimeline = target === by("timeline-scroller");
    const free = onTimeline || target === document.body;
    const action =
      (onTimeline && this.#choosing(key)) ||
      (free && this.#moving(key, event.shiftKey)) ||
      (this.box.checked && this.#single(key, free));
    if (!action) return;
    event.preventDefault();
    action();
  }

  /** Keys that elsewhere scroll the page or press something. */
  #choosing(key) {
    const { on } = this;
    switch (key) {
      case "ArrowUp":
        return () => on.worker(-1);
      case "ArrowDown":
        return () => on.worker(1);
      case "Enter":
        return () => on.open();
      default:
        return null;
    }
  }

  #moving(key, shift) {
    const { on } = this;
    const way = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (!way) return null;
    return shift ? () => on.batch(way) : () => on.pan(way * PAN);
  }

  #single(key, free) {
    const { on } = this;
    switch (key.toLowerCase()) {
      case " ":
        return free ? () => on.pause() : null; // elsewhere it presses a button
      case "+":
      case "=":
        return () => on.zoom(1 / ZOOM);
      case "-":
        return () => on.zoom(ZOOM);
      case "f":
        return () => on.follow();
      case "t":
        return () => on.tables();
      case "c":
        return () => on.compare();
      case "i":
        return () => on.collapse();
      case "?":
        return () => on.help();
      default:
        return null;
    }
  }
}
