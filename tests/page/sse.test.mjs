// The parser of server-sent events: it may be cut anywhere.

import assert from "node:assert/strict";
import { test } from "node:test";

import { EventParser } from "../../app/page/sse.js";

const STREAM = [
  ": a comment\n",
  "retry: 2000\n",
  'event: frame\nid: a-1\ndata: {"now": 1}\n\n',
  "event: frame\r\nid: a-2\r\ndata: one\r\ndata:two\r\n\r\n",
  "data\n\n",
  "event: again\ndata: {}\n\n",
].join("");
const EVENTS = [
  { event: "frame", data: '{"now": 1}', id: "a-1" },
  { event: "frame", data: "one\ntwo", id: "a-2" },
  { event: "message", data: "", id: "a-2" },
  { event: "again", data: "{}", id: "a-2" },
];

/** The events of the text in these pieces. */
function parsed(pieces) {
  const parser = new EventParser();
  return pieces.flatMap((piece) => parser.push(piece));
}

test("a whole stream has its events", () => {
  assert.deepEqual(parsed([STREAM]), EVENTS);
});

test("wherever it is cut, they are the same", () => {
  for (let at = 0; at <= STREAM.length; at += 1) {
    assert.deepEqual(parsed([STREAM.slice(0, at), STREAM.slice(at)]), EVENTS, `cut at ${at}`);
  }
  assert.deepEqual(parsed([...STREAM]), EVENTS);
});

test("lines may end in carriage returns alone", () => {
  assert.deepEqual(
    parsed(["data: a\r\rdata: b\r\r", "data: c\r\n\r\n"]).map(({ data }) => data),
    ["a", "b", "c"],
  );
});

test("what has no blank line after it is no event yet", () => {
  assert.deepEqual(parsed(["event: frame\ndata: {}\n"]), []);
});

test("an event without data is none, and gives its name to no other", () => {
  assert.deepEqual(parsed(["event: frame\n\ndata: x\n\n"]), [{ event: "message", data: "x", id: "" }]);
});

test("a line without end is refused before it fills the memory", () => {
  const parser = new EventParser();
  const piece = "x".repeat(1024 * 1024);
  assert.throws(() => {
    for (let megabytes = 0; megabytes < 40; megabytes += 1) parser.push(piece);
  }, RangeError);
});
