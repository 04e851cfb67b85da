// The last 65,536 bars in typed arrays: 2.5 MB, however long the page is open. Pure.

export const CAPACITY = 65_536;
/** What became of a batch, by its number; the last one is no batch but many: a worker's busy share for a while. */
export const OUTCOMES = ["ok", "lost", "failed", "late", "wrong", "cancelled", "dense"];
export const [OK, LOST, FAILED, LATE, WRONG, CANCELLED, DENSE] = OUTCOMES.keys();
const MOST = 65_535;

/** When a batch began to compute: before that it waited on its worker. One that never came back is all of it. */
export function computingFrom(start, end, computeMs) {
  return computeMs > 0 ? Math.max(start, end - computeMs) : start;
}

export class Ring {
  #next = 0;

  /** ``onDrop`` is called with the index of each bar that makes room for a new one. */
  constructor(capacity = CAPACITY, onDrop = () => {}) {
    this.capacity = capacity;
    this.onDrop = onDrop;
    this.length = 0;
    this.start = new Float64Array(capacity); // ms since 1970
    this.span = new Float32Array(capacity); // ms
    this.compute = new Float32Array(capacity); // ms
    this.units = new Float64Array(capacity);
    this.worker = new Uint16Array(capacity);
    this.job = new Uint32Array(capacity);
    this.jobs = new Uint16Array(capacity);
    this.colour = new Uint8Array(capacity);
    this.attempts = new Uint8Array(capacity);
    this.outcome = new Uint8Array(capacity);
  }

  push(bar) {
    const at = this.#next;
    if (this.length === this.capacity) this.onDrop(at);
    else this.length += 1;
    this.#next = (at + 1) % this.capacity;
    this.start[at] = bar.start;
    this.span[at] = Math.max(0, bar.end - bar.start);
    this.compute[at] = bar.compute;
    this.units[at] = bar.units;
    this.worker[at] = bar.worker;
    this.job[at] = bar.job;
    this.jobs[at] = Math.min(bar.jobs, MOST);
    this.colour[at] = bar.colour;
    this.attempts[at] = Math.min(bar.attempts, 255);
    this.outcome[at] = bar.outcome;
    return at;
  }

  /** Index of the bar that came ``age`` bars before the newest one. */
  at(age) {
    return (this.#next - 1 - age + 2 * this.capacity) % this.capacity;
  }

  end(index) {
    return this.start[index] + this.span[index];
  }

  /** When it began to compute; of a busy share, when that began. */
  begin(index) {
    if (this.outcome[index] === DENSE) return this.start[index];
    return computingFrom(this.start[index], this.end(index), this.compute[index]);
  }

  clear() {
    for (let age = 0; age < this.length; age += 1) this.onDrop(this.at(age));
    this.length = 0;
    this.#next = 0;
  }
}
