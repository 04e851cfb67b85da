// Server-sent events out of text that comes in pieces (the HTML standard, 9.2.6). Pure.

const MAX_PENDING = 16 * 1024 * 1024; // characters: a frame has at most a few hundred thousand

export class EventParser {
  #rest = "";
  #event = "";
  #data = [];
  #id = "";

  /** The events that are whole now: {event, data, id}. Throws RangeError at a line without end. */
  push(text) {
    const lines = this.#lines(text);
    const events = [];
    for (const line of lines) {
      if (line === "") this.#dispatch(events);
      else if (!line.startsWith(":")) this.#take(line);
    }
    return events;
  }

  /** Whole lines; a \r at the very end may be the first half of \r\n. */
  #lines(text) {
    const pending = this.#rest + text;
    const lines = pending.split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    if (this.#rest.length > MAX_PENDING) throw new RangeError("a line of the stream has no end");
    return lines;
  }

  #take(line) {
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#event = value;
    else if (field === "data") this.#data.push(value);
    else if (field === "id" && !value.includes("\0")) this.#id = value;
  }

  #dispatch(events) {
    if (this.#data.length) {
      events.push({ event: this.#event || "message", data: this.#data.join("\n"), id: this.#id });
    }
    this.#event = "";
    this.#data = [];
  }
}
