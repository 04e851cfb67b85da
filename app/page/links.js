// What the address says after its #: which job is looked at, or what is to be compared. Never sent anywhere. Pure.

/** {job: id}, {compare: {kernel, values}}, or {}. ``#compare=100000x64``, ``#compare=primes:0x1000000``. */
export function readLink(hash) {
  const [name, value] = decoded(hash.replace(/^#/, "")).split(/=(.*)/s);
  if (name === "job" && value) return { job: value };
  if (name !== "compare" || !value) return {};
  const [, kernel, rest] = /^(?:([a-z][a-z0-9-]*):)?(.*)$/s.exec(value);
  return { compare: { kernel: kernel ?? null, values: rest.split("x") } };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

export function jobLink(id) {
  return `#job=${encodeURIComponent(id)}`;
}

/** ``values``: as they are in the form, from its first field; empty ones at the end are left out. */
export function compareLink(kernel, values) {
  const told = [...values];
  while (told.length && told.at(-1) === "") told.pop();
  return `#compare=${kernel}:${told.map(encodeURIComponent).join("x")}`;
}
