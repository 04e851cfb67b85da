// Which stretch of time is looked at: it follows the present, stays where it was panned to, or is paused. Pure.

import { Fold } from "./fold.js";

export const MIN_SPAN_MS = 100;
export const MAX_SPAN_MS = 3_600_000;

/** A stretch of the axis, and where times are on it. */
export class Stretch {
  constructor(fold, left, right) {
    this.fold = fold;
    this.left = left;
    this.right = right;
    this.from = fold.unfold(left);
    this.to = fold.unfold(right);
  }

  get span() {
    return this.right - this.left;
  }

  /** Pixels from the left; beyond the edges too. */
  x(time, width) {
    return ((this.fold.fold(time) - this.left) / this.span) * width;
  }

  time(x, width) {
    return this.fold.unfold(this.left + (x / width) * this.span);
  }
}

export class View {
  #end = 0;

  constructor(span) {
    this.span = span;
    this.following = true;
    this.paused = false;
    this.fold = new Fold();
  }

  /** The latest moment that is drawn; ``edge`` is the present. */
  end(edge) {
    return this.following && !this.paused ? edge : Math.min(this.#end, edge);
  }

  stretch(edge) {
    const right = this.fold.fold(this.end(edge));
    return new Stretch(this.fold, right - this.span, right);
  }

  pause(edge) {
    this.#end = this.end(edge);
    this.paused = true;
  }

  /** Back to the present. */
  follow() {
    this.paused = false;
    this.following = true;
  }

  /** By a part of what is seen: to the past if it is negative. */
  pan(share, edge) {
    const place = this.fold.fold(this.end(edge)) + share * this.span;
    this.#moveTo(place, edge);
  }

  /** So that what is at ``anchor`` (0 is left, 1 right) stays there. In the present, that is the right edge. */
  zoom(factor, edge, anchor = 1) {
    const before = this.span;
    this.span = Math.min(MAX_SPAN_MS, Math.max(MIN_SPAN_MS, before * factor));
    if (this.following && !this.paused) return;
    const right = this.fold.fold(this.end(edge));
    this.#moveTo(right + (1 - anchor) * (this.span - before), edge);
  }

  #moveTo(place, edge) {
    const end = this.fold.unfold(place);
    this.following = !this.paused && end >= edge;
    this.#end = Math.min(end, edge);
  }
}
