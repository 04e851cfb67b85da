// What the page says of itself: live, paused, reconnecting, stopped; why; and how large the service is.

import { by, setText } from "./dom.js";
import { many } from "./text.js";

const PASSING_MS = 10_000;
const WORDS = {
  connecting: "connecting",
  live: "live",
  reconnecting: "reconnecting",
  full: "waiting for a place",
  stopped: "stopped",
};

export class Status {
  #state = "connecting";
  #sentence = "";
  #retryAt = null;
  #paused = false;
  #ticking = null;

  constructor(announcer) {
    this.announcer = announcer;
  }

  get state() {
    return this.#state;
  }

  /** Of the feed. ``retryAt``: by performance.now(), where it tries again by itself. */
  feed(state, sentence, retryAt = null) {
    const before = this.words();
    [this.#state, this.#sentence, this.#retryAt] = [state, sentence, retryAt];
    clearInterval(this.#ticking);
    if (retryAt !== null) this.#ticking = setInterval(() => this.#notice(), 1_000);
    this.#show(before);
  }

  /** Something that has gone wrong beside the feed; it goes by itself. */
  tell(sentence) {
    this.announcer.say(sentence);
    setText(by("passing"), sentence);
    by("passing").hidden = false;
    setTimeout(() => (by("passing").hidden = true), PASSING_MS);
  }

  paused(paused) {
    const before = this.words();
    this.#paused = paused;
    this.#show(before);
  }

  words() {
    const word = WORDS[this.#state];
    if (!this.#paused) return word;
    return this.#state === "live" ? "paused" : `paused, ${word}`;
  }

  #show(before) {
    const words = this.words();
    setText(by("state-text"), words);
    by("state").dataset.state = this.#paused && this.#state === "live" ? "paused" : this.#state;
    by("connect").hidden = this.#state !== "stopped";
    this.#notice();
    if (words !== before) this.announcer.say(`The page is ${words}. ${this.#sentence}`.trim());
  }

  #notice() {
    const left = this.#retryAt === null ? 0 : Math.ceil((this.#retryAt - performance.now()) / 1e3);
    const again = left > 0 ? `Trying again in ${left} s.` : this.#retryAt === null ? "" : "Trying again.";
    const text = [this.#sentence, again].filter(Boolean).join(" ");
    setText(by("notice"), text);
    by("notice").hidden = !this.#sentence;
  }

  /** Workers, ingresses, and what could not be told. */
  service(store) {
    const workers = store.rows().map((number) => store.workers.get(number).state);
    const silent = workers.filter((state) => state === "silent").length;
    const parts = [many(store.numWorkers, "worker"), many(store.numIngresses, "ingress", "ingresses")];
    if (silent) parts[0] += ` (${silent} silent)`;
    setText(by("pool"), parts.join(", "));
    const missing = [];
    if (store.gap)
      missing.push(
        `${many(store.gap, "batch is", "batches are")} not shown: the service no longer remembered them.`,
      );
    if (store.silent)
      missing.push(`${many(store.silent, "part")} of the service did not answer in time: some batches may be missing.`);
    setText(by("missing"), missing.join(" "));
    by("missing").hidden = !missing.length;
  }
}
