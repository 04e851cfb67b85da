// When the page is drawn: at most 30 times a second while something moves, once when something has changed.

const FRAME_MS = 1_000 / 30;
const CALM_MS = 1_000; // for those who prefer reduced motion: a step a second, but what they do is seen at once
const SLACK_MS = 4; // screens are not punctual
const LONG_MS = 100;

export class Frames {
  #due = Infinity;
  #drawnAt = -Infinity;
  #timer = null;
  #asked = null;
  #calm = matchMedia("(prefers-reduced-motion: reduce)");

  /** ``paint`` draws; ``isMoving``: whether it must be drawn again soon. */
  constructor(paint, isMoving) {
    this.paint = paint;
    this.isMoving = isMoving;
  }

  /** Soon. ``urgent``: somebody has done something, and waits to see it. */
  draw(urgent = false) {
    const due = this.#drawnAt + (this.#calm.matches && !urgent ? CALM_MS : FRAME_MS);
    if (due >= this.#due) return;
    this.#due = due;
    clearTimeout(this.#timer);
    cancelAnimationFrame(this.#asked);
    this.#wait();
  }

  #wait() {
    const left = this.#due - performance.now();
    if (left > LONG_MS) this.#timer = setTimeout(() => this.#wait(), left);
    else this.#asked = requestAnimationFrame(() => this.#frame());
  }

  #frame() {
    if (performance.now() < this.#due - SLACK_MS) return this.#wait();
    this.#due = Infinity;
    this.#drawnAt = performance.now();
    this.paint();
    if (this.isMoving()) this.draw();
  }
}
