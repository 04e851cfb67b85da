// The page's beginning: makes its parts, and draws them when a frame has come or somebody has done something.

import { Api, sentenceOf } from "./api.js";
import { Clock } from "./clock.js";
import { Compare } from "./compare.js";
import { Controls } from "./controls.js";
import { Announcer, by } from "./dom.js";
import { Feed } from "./feed.js";
import { Fold, idleGaps } from "./fold.js";
import { Frames } from "./frames.js";
import { JobView } from "./job_view.js";
import { Jobs } from "./jobs.js";
import { Keys } from "./keys.js";
import { Lines } from "./lines.js";
import { readLink } from "./links.js";
import { Palette } from "./palette.js";
import { needsKey } from "./schema.js";
import { Status } from "./status.js";
import { Store } from "./store.js";
import { Timeline } from "./timeline.js";
import { View } from "./view.js";

const BEHIND_MS = 1_000; // the picture is so late, and grows smoothly though frames come twice a second
const SPAN_MS = 30_000;
const PHONE_SPAN_MS = 10_000;
const PHONE_PX = 560;

const announcer = new Announcer(by("announcer"));
const status = new Status(announcer);
const clock = new Clock();
const store = new Store();
const view = new View(window.innerWidth < PHONE_PX ? PHONE_SPAN_MS : SPAN_MS);
const palette = new Palette(() => {
  lines.redraw();
  change(true);
});
const keys = new Keys((key) => {
  if (!begun) return;
  feed.forget("The key is forgotten.");
  jobView.close();
  compare.forget();
  controls.forget();
  controls.follow();
  if (key !== null) feed.start();
});
const api = new Api(keys);
const timeline = new Timeline(store, view, palette);
const lines = new Lines(store, palette);
const on = { cancel, open: openJob, openJob, say: (text) => announcer.say(text), closed: forgetLink };
const jobs = new Jobs(store, on);
const jobView = new JobView({ api, store, palette, on });
const compare = new Compare({ api, store, palette, on });
const controls = new Controls({
  view,
  store,
  timeline,
  compare,
  palette,
  status,
  on: { ...on, change: () => change(true), edge },
});
const frames = new Frames(paint, isMoving);
const feed = new Feed({
  open: (path, options) => api.open(path, options),
  on: {
    frame: take,
    state: (state, sentence, retryAt) => status.feed(state, sentence, retryAt),
    restart: () => {
      store.clear();
      change(true);
    },
  },
});
let begun = false;
let keyed = false;
let linked = false;
let reading = null; // of the OpenAPI document
let hasRead = false;
let stale = false; // more than the timeline has to be shown anew

/** The latest moment that can be drawn: a second ago, and never after what the last frame knew. */
function edge() {
  return Math.min(clock.at(performance.now()) - BEHIND_MS, store.now);
}

/** Whether the picture changes by itself: something runs, or ends within the second that it is behind. */
function isMoving() {
  if (view.paused || !view.following) return false;
  const now = edge();
  return now < store.now && (store.running.length > 0 || store.lastEnd > now);
}

function take(frame) {
  clock.hear(frame.now, performance.now());
  store.take(frame);
  status.service(store);
  jobView.refresh();
  if (!hasRead) readDocument(); // it could not be had when the page began
  if (!view.paused) change(false);
  if (!linked) followLink(); // now it is known which jobs there are
  linked = true;
}

/** Something else is to be seen; ``urgent``: because somebody did something. */
function change(urgent) {
  if (Number.isNaN(store.now)) return;
  stale = true;
  frames.draw(urgent);
}

function paint() {
  const now = edge();
  if (stale) {
    stale = false;
    view.fold = controls.collapsed ? new Fold(idleGaps(store.ring, store.running, store.now)) : new Fold();
    if (!view.paused) jobs.show();
    lines.show(view.stretch(now), view.paused ? view.end(now) + BEHIND_MS : Infinity); // figures are not behind
    controls.show(now);
  }
  timeline.draw(now);
}

function openJob(id) {
  if (readLink(location.hash).job !== id) history.pushState(null, "", `#job=${encodeURIComponent(id)}`);
  jobView.open(id);
}

function forgetLink() {
  if (readLink(location.hash).job) history.replaceState(null, "", location.pathname + location.search);
}

function followLink() {
  const { job, compare: wanted } = readLink(location.hash);
  if (job) jobView.open(job);
  else if (jobView.id) jobView.close();
  if (wanted) compare.fill(wanted);
}

async function cancel(id) {
  try {
    await api.json(`jobs/${encodeURIComponent(id)}/cancel`, { method: "POST" });
    announcer.say("The job is being cancelled.");
  } catch (error) {
    status.tell(sentenceOf(error));
  }
}

/** What can be asked here, and whether it takes a key: told before anything is refused. */
function readDocument() {
  reading ??= tryToRead().finally(() => (reading = null));
  return reading;
}

async function tryToRead() {
  try {
    const document = await api.json("openapi.json");
    hasRead = true;
    compare.offer(document);
    keyed = needsKey(document);
    await askForKey();
  } catch {
    // The feed says why, and with its next frame it is read again.
  }
}

async function askForKey() {
  if (keyed && keys.key === null) await keys.ask("This service wants an API key.");
}

async function begin() {
  await readDocument();
  begun = true;
  if (document.visibilityState === "visible") feed.start();
}

document.addEventListener("visibilitychange", () => {
  if (!begun) return;
  if (document.visibilityState === "visible") feed.start();
  else feed.stop("Nobody looks at this tab.");
});
by("connect").addEventListener("click", () => askForKey().then(() => feed.start()));
window.addEventListener("hashchange", followLink);
window.addEventListener("resize", () => change(true));
by("timeline-scroller").addEventListener("scroll", () => change(true), { passive: true });
begin();
