// Mouse, pen and fingers on the timeline: drag pans, two fingers or Ctrl and the wheel zoom, a click chooses.

const CLICK_PX = 4;
const WHEEL_PX = 600;

export class Pointing {
  #down = new Map();
  #moved = false;
  #apart = 0;

  /** ``on``: pan(share), zoom(factor, anchor), choose(place), open(place), hover(place); a place may be null. */
  constructor(timeline, on) {
    this.timeline = timeline;
    this.on = on;
    const { scroller } = timeline;
    scroller.addEventListener("pointerdown", (event) => this.#press(event));
    scroller.addEventListener("pointermove", (event) => this.#move(event));
    scroller.addEventListener("pointerup", (event) => this.#release(event));
    scroller.addEventListener("pointercancel", (event) => this.#down.delete(event.pointerId));
    scroller.addEventListener("pointerleave", () => on.hover(null));
    scroller.addEventListener("dblclick", (event) => on.open(this.#place(event)));
    scroller.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
  }

  get #width() {
    return Math.max(1, this.timeline.width - this.timeline.gutter);
  }

  #x(event) {
    return event.clientX - this.timeline.scroller.getBoundingClientRect().left;
  }

  #place(event) {
    const box = this.timeline.scroller.getBoundingClientRect();
    return this.timeline.at(event.clientX - box.left, event.clientY - box.top);
  }

  #press(event) {
    if (event.button !== 0) return;
    this.#down.set(event.pointerId, this.#x(event));
    this.#moved = this.#down.size > 1;
    this.#apart = this.#distance();
  }

  #move(event) {
    if (event.pointerType === "mouse" && !(event.buttons & 1)) this.#down.delete(event.pointerId); // let go outside
    const before = this.#down.get(event.pointerId);
    if (before === undefined) {
      if (event.pointerType === "mouse") this.on.hover(this.#place(event));
      return;
    }
    const x = this.#x(event);
    if (!this.#moved && Math.abs(x - before) < CLICK_PX) return;
    if (!this.#moved) this.timeline.scroller.setPointerCapture(event.pointerId);
    this.#moved = true;
    this.#down.set(event.pointerId, x);
    if (this.#down.size === 1) this.on.pan((before - x) / this.#width);
    else this.#pinch();
  }

  #pinch() {
    const apart = this.#distance();
    if (apart > 10 && this.#apart > 10) this.on.zoom(this.#apart / apart, this.#anchor(this.#middle()));
    this.#apart = apart;
  }

  #release(event) {
    if (!this.#down.delete(event.pointerId)) return;
    if (!this.#moved) this.on.choose(this.#place(event));
  }

  #wheel(event) {
    if (event.ctrlKey) {
      event.preventDefault();
      this.on.zoom(Math.exp(event.deltaY / WHEEL_PX), this.#anchor(this.#x(event)));
      return;
    }
    const across = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
    if (!event.shiftKey && Math.abs(across) <= Math.abs(event.deltaY)) return; // the page scrolls
    event.preventDefault();
    this.on.pan(across / this.#width);
  }

  /** Where it is, from 0 on the left to 1 on the right. */
  #anchor(x) {
    return Math.min(1, Math.max(0, (x - this.timeline.gutter) / this.#width));
  }

  #distance() {
    const [a, b] = this.#down.values();
    return b === undefined ? 0 : Math.abs(a - b);
  }

  #middle() {
    const [a, b] = this.#down.values();
    return (a + b) / 2;
  }
}
