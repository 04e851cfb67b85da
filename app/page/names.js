// Small numbers for what many bars refer to: workers and jobs. A number is free again when nothing holds it. Pure.

export class Names {
  #numbers = new Map();
  #entries = [];
  #free = [];

  /** How many numbers there have been at most: each is below it. */
  get bound() {
    return this.#entries.length;
  }

  get size() {
    return this.#numbers.size;
  }

  /** The number of this key, held once more; ``make`` gives what stands there first. */
  hold(key, make) {
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#free.pop() ?? this.#entries.length;
      this.#entries[number] = { key, value: make(), holders: 0 };
      this.#numbers.set(key, number);
    }
    this.#entries[number].holders += 1;
    return number;
  }

  /** Held once less. */
  drop(number) {
    const entry = this.#entries[number];
    entry.holders -= 1;
    if (entry.holders) return;
    this.#numbers.delete(entry.key);
    this.#entries[number] = null;
    this.#free.push(number);
  }

  get(number) {
    return this.#entries[number].value;
  }

  /** The number of this key; undefined if nothing holds it. */
  find(key) {
    return this.#numbers.get(key);
  }

  /** [number, value] of all, in the order in which they came. */
  *all() {
    for (const number of this.#numbers.values()) yield [number, this.#entries[number].value];
  }
}
