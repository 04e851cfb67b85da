// Idle time, folded away: long stretches without any work get a narrow place on the time axis. Pure.

export const FOLDED_MS = 500;
const MIN_GAP_MS = 2_000;
const BUCKET_MS = 250;
const MAX_BUCKETS = (6 * 3_600_000) / BUCKET_MS; // what is older is left as it is

export class Fold {
  #gaps;

  /** ``gaps``: [from, to] in order, each longer than FOLDED_MS. */
  constructor(gaps = []) {
    let removed = 0;
    this.#gaps = gaps.map(([from, to]) => {
      const gap = { from, to, before: removed, rate: FOLDED_MS / (to - from) };
      removed += to - from - FOLDED_MS;
      return gap;
    });
  }

  get gaps() {
    return this.#gaps;
  }

  /** A time's place on the axis, in ms. */
  fold(time) {
    if (!this.#gaps.length) return time;
    const gap = this.#last((each) => each.from <= time);
    if (!gap) return time;
    const beyond = time - gap.from;
    const length = gap.to - gap.from;
    return gap.from - gap.before + (beyond <= length ? beyond * gap.rate : FOLDED_MS + beyond - length);
  }

  /** The time at a place. */
  unfold(place) {
    const gap = this.#last((each) => each.from - each.before <= place);
    if (!gap) return place;
    const beyond = place - (gap.from - gap.before);
    return beyond <= FOLDED_MS ? gap.from + beyond / gap.rate : gap.to + beyond - FOLDED_MS;
  }

  /** The last gap of which this holds; it holds of all up to some one. */
  #last(holds) {
    let low = 0;
    let high = this.#gaps.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (holds(this.#gaps[middle])) low = middle + 1;
      else high = middle;
    }
    return this.#gaps[low - 1];
  }
}

/** Where no worker did anything for two seconds or more, up to ``now``. */
export function idleGaps(ring, running, now) {
  let oldest = now;
  for (let age = 0; age < ring.length; age += 1) oldest = Math.min(oldest, ring.start[ring.at(age)]);
  const from = Math.max(oldest, now - MAX_BUCKETS * BUCKET_MS);
  const busy = new Uint8Array(Math.ceil((now - from) / BUCKET_MS) + 1);
  const mark = (start, end) => {
    const first = Math.max(0, Math.floor((start - from) / BUCKET_MS));
    const last = Math.min(busy.length - 1, Math.floor((end - from) / BUCKET_MS));
    if (first <= last) busy.fill(1, first, last + 1);
  };
  for (let age = 0; age < ring.length; age += 1) {
    const index = ring.at(age);
    mark(ring.begin(index), ring.end(index));
  }
  for (const { start } of running) mark(start, now);
  return gapsOf(busy, from, now);
}

function gapsOf(busy, from, now) {
  const gaps = [];
  let begun = 0;
  for (let bucket = 0; bucket <= busy.length; bucket += 1) {
    if (bucket < busy.length && !busy[bucket]) continue;
    const gap = [from + begun * BUCKET_MS, Math.min(from + bucket * BUCKET_MS, now)];
    if (gap[1] - gap[0] >= MIN_GAP_MS) gaps.push(gap);
    begun = bucket + 1;
  }
  return gaps;
}
