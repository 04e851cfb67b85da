// The API key, where the service wants one: asked for in a dialog, kept in this tab alone, never in an address.

import { by, setText } from "./dom.js";
import { keep, recall } from "./memory.js";

const STORED = `key of ${location.pathname}`;

export class Keys {
  #key = recall("sessionStorage", STORED);
  #asking = null;

  /** ``onChange`` is called when there is another key, or none. */
  constructor(onChange) {
    this.onChange = onChange;
    by("key").hidden = this.#key === null;
    this.dialog = by("key-dialog");
    this.field = by("key-field");
    by("key-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#answer(this.field.value.trim());
    });
    by("key-cancel").addEventListener("click", () => this.#answer(""));
    this.dialog.addEventListener("close", () => this.#answer(""));
    by("key-forget").addEventListener("click", () => {
      if (this.#key !== null) this.#set(null);
      this.#answer("");
    });
    by("key").addEventListener("click", () => this.ask("Another key takes the place of this one."));
  }

  /** The key, or null. */
  get key() {
    return this.#key;
  }

  /** Ask for one, and say why. True if there is another one now; whoever asks meanwhile waits for the same answer. */
  ask(why) {
    if (!this.#asking) {
      const asked = {};
      asked.promise = new Promise((resolve) => (asked.resolve = resolve));
      this.#asking = asked;
      setText(by("key-why"), why);
      this.field.value = "";
      by("key-forget").hidden = this.#key === null;
      this.dialog.showModal();
    }
    return this.#asking.promise;
  }

  #answer(key) {
    const asked = this.#asking;
    if (!asked) return;
    this.#asking = null;
    this.dialog.close();
    const changed = key !== "" && key !== this.#key;
    if (changed) this.#set(key);
    asked.resolve(key !== "");
  }

  #set(key) {
    this.#key = key;
    keep("sessionStorage", STORED, key);
    by("key").hidden = key === null;
    this.onChange(key);
  }
}
