// The stream of frames: opened, read, opened again with its cursor where it ended; always in a state that can be told.

import { problemOf } from "./api.js";
import { EventParser } from "./sse.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8_000;
const JITTER_MS = 300;
const SILENCE_MS = 8_000; // it sends something every two seconds
const FULL_SECONDS = 5;
const REFUSED = [400, 401, 403, 404, 405, 422];

export class Feed {
  #reading = null;
  #cursor = "";

  /** ``open(path, options)`` is ``Api.open``. ``on``: frame(frame), state(state, sentence, retryAt), restart(). */
  constructor({ open, on, sleep = pause, random = Math.random }) {
    this.open = open;
    this.on = on;
    this.sleep = sleep;
    this.random = random;
  }

  start() {
    if (this.#reading) return;
    this.#reading = new AbortController();
    this.on.state(this.#cursor ? "reconnecting" : "connecting", "");
    this.#read(this.#reading.signal);
  }

  stop(sentence = "") {
    this.#reading?.abort();
    this.#reading = null;
    this.on.state("stopped", sentence);
  }

  /** As if it had never been read: with another key, something else is to be seen. */
  forget(sentence) {
    this.stop(sentence);
    this.#cursor = "";
    this.on.restart();
  }

  async #read(signal) {
    let failures = 0;
    while (!signal.aborted) {
      const ended = await this.#connection(signal).catch(() => ({}));
      if (signal.aborted) return;
      if (ended.refused && !this.#begunAnew(ended)) return;
      failures = ended.heard ? 0 : failures + 1;
      await this.sleep(this.#wait(ended, failures), signal);
    }
  }

  /** One request. {heard, again} when it has ended or was cut off, {full} or {refused} if it was not accepted. */
  async #connection(signal) {
    const watch = new Watchdog(SILENCE_MS);
    const either = AbortSignal.any([signal, watch.signal]);
    const ended = { heard: false, again: false };
    try {
      const path = `timeline/stream?after=${encodeURIComponent(this.#cursor)}`;
      const response = await this.open(path, { signal: either });
      if (!response.ok) return await refusal(response);
      watch.kick();
      const parser = new EventParser();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return ended;
        watch.kick();
        for (const event of parser.push(value)) {
          signal.throwIfAborted(); // what was under way when it was stopped may be of another key
          this.#take(event, ended);
        }
      }
    } catch (error) {
      if (signal.aborted) throw error;
      return ended;
    } finally {
      watch.stop();
    }
  }

  #take({ event, data, id }, ended) {
    if (event === "again") ended.again = true;
    if (event !== "frame") return;
    const frame = JSON.parse(data);
    if (!ended.heard) this.on.state("live", "");
    ended.heard = true;
    this.#cursor = frame.cursor || id;
    this.on.frame(frame);
  }

  /** Says what is waited for, and returns for how long, in ms. */
  #wait(ended, failures) {
    if (ended.again) return this.random() * JITTER_MS;
    if (ended.full) {
      const wait = (ended.retryAfter ?? FULL_SECONDS) * 1e3;
      this.on.state("full", ended.sentence, performance.now() + wait);
      return wait + this.random() * JITTER_MS;
    }
    const backoff = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failures, 10)) * (0.75 + this.random() / 2);
    const wait = Math.max(backoff, (ended.retryAfter ?? 0) * 1e3);
    this.on.state("reconnecting", ended.sentence ?? "The connection was lost.", performance.now() + wait);
    return wait;
  }

  /** A cursor that is not accepted is given up once: the history is told again. Otherwise this is the end. */
  #begunAnew({ sentence, status }) {
    if (this.#cursor && status !== 401) {
      this.#cursor = "";
      this.on.restart();
      return true;
    }
    this.#reading = null;
    this.on.state("stopped", sentence);
    return false;
  }
}

async function refusal(response) {
  const problem = await problemOf(response);
  return { ...problem, full: response.status === 429, refused: REFUSED.includes(response.status) };
}

/** Aborts when it has not been kicked for a while. */
class Watchdog {
  #abort = new AbortController();
  #timer = null;

  constructor(ms) {
    this.ms = ms;
    this.kick();
  }

  get signal() {
    return this.#abort.signal;
  }

  kick() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#abort.abort(), this.ms);
  }

  stop() {
    clearTimeout(this.#timer);
  }
}

/** Ends early when it is aborted. */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}
