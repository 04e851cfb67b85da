// The stream of frames: it ends and goes on, is refused and waits, and always says how it is.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Clock } from "../../app/page/clock.js";
import { Feed } from "../../app/page/feed.js";
import { frame } from "./frames.mjs";

const event = (cursor) => `event: frame\nid: ${cursor}\ndata: ${JSON.stringify(frame({ cursor }))}\n\n`;
const AGAIN = "event: again\ndata: {}\n\n";
const stream = (...parts) => new Response(parts.join(""), { headers: { "Content-Type": "text/event-stream" } });
const refusal = (status, detail, headers = {}) =>
  new Response(JSON.stringify({ title: "No", status, detail }), { status, headers });

/** A feed that is given these answers, one after the other; what it asked, said and waited for. */
async function fed(...answers) {
  const told = { asked: [], states: [], waits: [], cursors: [], restarts: 0 };
  await new Promise((resolve) => {
    const end = () => {
      resolve();
      return new Promise(() => {});
    };
    const feed = new Feed({
      open: (path) => {
        told.asked.push(new URLSearchParams(path.split("?")[1]).get("after"));
        const answer = answers.shift();
        if (!answer) return end();
        return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
      },
      on: {
        frame: ({ cursor }) => told.cursors.push(cursor),
        state: (state, sentence) => {
          told.states.push(sentence ? `${state}: ${sentence}` : state);
          if (state === "stopped") resolve();
        },
        restart: () => (told.restarts += 1),
      },
      sleep: (ms) => Promise.resolve(told.waits.push(ms)),
      random: () => 0.5,
    });
    feed.start();
  });
  return told;
}

test("a stream that ends itself goes on with its cursor, and nobody is told of it", async () => {
  const told = await fed(stream(event("a"), event("b"), AGAIN), stream(event("c"), AGAIN));
  assert.deepEqual(told.asked, ["", "b", "c"]);
  assert.deepEqual(told.cursors, ["a", "b", "c"]);
  assert.deepEqual(told.states, ["connecting", "live", "live"]);
  assert.deepEqual(told.waits, [150, 150]);
});

test("one that is cut off is opened again, later and later, and says so", async () => {
  const told = await fed(
    stream(event("a")),
    new TypeError("network"),
    new TypeError("network"),
    stream(event("b"), AGAIN),
  );
  assert.deepEqual(told.asked, ["", "a", "a", "a", "b"]);
  assert.deepEqual(told.waits, [500, 1_000, 2_000, 150]);
  assert.deepEqual(
    told.states.map((state) => state.split(":")[0]),
    ["connecting", "live", "reconnecting", "reconnecting", "reconnecting", "live"],
  );
});

test("the longest wait is eight seconds", async () => {
  const told = await fed(...Array.from({ length: 9 }, () => new TypeError("network")));
  assert.equal(Math.max(...told.waits), 8_000);
});

test("where there is no place it waits as long as it is told", async () => {
  const told = await fed(refusal(429, "16 pages are open.", { "Retry-After": "5" }));
  assert.deepEqual(told.states, ["connecting", "full: No. 16 pages are open."]);
  assert.deepEqual(told.waits, [5_150]);
});

test("a service that is not there yet is tried again, no sooner than it says", async () => {
  const told = await fed(refusal(503, "No new jobs.", { "Retry-After": "10" }));
  assert.deepEqual([told.states.at(-1), told.waits], ["reconnecting: No. No new jobs.", [10_000]]);
});

test("what is refused for good stops it, with the reason", async () => {
  assert.deepEqual(
    (await fed(refusal(401, "An API key is needed."))).states.at(-1),
    "stopped: No. An API key is needed.",
  );
});

test("what was under way when it was forgotten is not told", async () => {
  const cursors = [];
  const states = [];
  const feed = new Feed({
    open: () => Promise.resolve(stream(event("a"), event("b"))),
    on: {
      frame: ({ cursor }) => {
        cursors.push(cursor);
        feed.forget("The key is forgotten.");
      },
      state: (state) => states.push(state),
      restart: () => {},
    },
    sleep: () => assert.fail("it goes on"),
  });
  feed.start();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual([cursors, states], [["a"], ["connecting", "live", "stopped"]]);
});

test("a cursor that nobody knows any more is given up, and all is told anew", async () => {
  const told = await fed(stream(event("a"), AGAIN), refusal(422, "The cursor is invalid."), stream(event("b"), AGAIN));
  assert.deepEqual([told.asked, told.restarts], [["", "a", "", "b"], 1]);
});

test("the other side's clock is that of the frame that came fastest", () => {
  const clock = new Clock();
  assert.ok(Number.isNaN(clock.at(0)));
  clock.hear(10_000, 150);
  clock.hear(10_500, 600); // 50 ms faster
  assert.equal(clock.at(600), 10_500);
  clock.hear(11_000, 1_300); // 200 ms late
  assert.ok(clock.at(1_300) > 11_190);
  clock.hear(99_000, 1_800); // it was set
  assert.equal(clock.at(1_800), 99_000);
  clock.hear(20_000, 2_000);
  assert.equal(clock.at(2_000), 20_000);
});
