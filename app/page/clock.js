// The service's clock, seen from here: frames say what time it is there, and are under way for a while. Pure.

const DRIFT = 0.02; // of each later frame: a clock that is slow, or another ingress's, is followed within a minute
const JUMP_MS = 2_000;

export class Clock {
  #offset = null;

  /** A frame made at ``there`` (ms since 1970) has come at ``here`` (ms by a clock that never jumps). */
  hear(there, here) {
    const offset = there - here;
    const late = this.#offset === null ? Infinity : this.#offset - offset;
    // The least delayed frame knows best; one that is seconds off was sent by a clock that was set.
    if (late < 0 || late > JUMP_MS) this.#offset = offset;
    else this.#offset -= late * DRIFT;
  }

  /** What time it is there, ms since 1970; NaN before the first frame. */
  at(here) {
    return this.#offset === null ? NaN : here + this.#offset;
  }
}
