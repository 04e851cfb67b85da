// Requests to the service, at addresses relative to the page, with the key if there is one; and its problems in words.

export class Api {
  constructor(keys) {
    this.keys = keys;
  }

  /** The answer, whatever its status; after 401 a key is asked for, and it is sent again. Throws as fetch does. */
  async open(path, { body, ...options } = {}) {
    for (;;) {
      const { key } = this.keys;
      const headers = {
        ...(key && { Authorization: `Bearer ${key}` }),
        ...(body && { "Content-Type": "application/json" }),
      };
      const response = await fetch(path, { ...options, body, headers, cache: "no-store" });
      if (response.status !== 401) return response;
      const another = this.keys.key !== key; // somebody was asked while this one was under way
      if (another) continue;
      const { sentence } = await problemOf(response.clone());
      if (!(await this.keys.ask(sentence))) return response;
    }
  }

  /** The JSON of a good answer. Throws ``Problem``, and as fetch does. */
  async json(path, options) {
    const response = await this.open(path, options);
    if (!response.ok) throw new Problem(await problemOf(response));
    return response.json();
  }
}

/** An answer that is an error: its sentence, status, and what it says beside. */
export class Problem extends Error {
  constructor({ sentence, status, errors, retryAfter }) {
    super(sentence);
    this.status = status;
    this.errors = errors;
    this.retryAfter = retryAfter;
  }
}

/** What an answer that is an error says: a sentence, the fields it complains of, seconds to wait. */
export async function problemOf(response) {
  const said = await response.json().catch(() => ({})); // HAProxy's own answers are not JSON
  const title = said.title ?? `The service answered ${response.status}`;
  const sentence = [title, said.detail].filter(Boolean).map(ended).join(" ");
  const retryAfter = Number(response.headers.get("Retry-After")) || null;
  return { sentence, status: response.status, errors: said.errors ?? [], retryAfter };
}

function ended(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** What an error means to a person. */
export function sentenceOf(error) {
  return error instanceof Problem ? error.message : "The service cannot be reached.";
}
