// What somebody can do to the picture: pan, zoom, pause, follow, fold idle time away, choose a bar, see tables.

import { by, fillRows, setText, table } from "./dom.js";
import { Keyboard } from "./keyboard.js";
import { Pointing } from "./pointing.js";
import { clockTime, shortId } from "./text.js";
import { BATCH_COLUMNS, BATCH_NUMBERS, batchFields, batchRow, batchSentence, batchesSeen } from "./words.js";

const HINT = matchMedia("(pointer: coarse)").matches
  ? "Tap a bar to read of its batch; drag to look back."
  : "Point at a bar, or choose one: ↑ ↓ a worker, Shift and ← → its batches, Enter opens the job.";
const SUMMARY_MS = 5_000;

export class Controls {
  #chosen = null;
  #summedAt = -Infinity;

  /** ``on``: change(), openJob(id), edge(), say(text). */
  constructor({ view, store, timeline, compare, palette, status, on }) {
    Object.assign(this, { view, store, timeline, compare, palette, status, on });
    this.collapsed = false;
    this.tables = false;
    this.table = table("Batches in the picture, the newest first", BATCH_COLUMNS, BATCH_NUMBERS);
    by("timeline-table").append(this.table);
    this.#listen();
    this.#showTheme();
    this.describe(null);
  }

  #listen() {
    const pan = (share) => this.#move(() => this.view.pan(share, this.on.edge()));
    const zoom = (factor, anchor) => this.#move(() => this.view.zoom(factor, this.on.edge(), anchor));
    const actions = {
      pan,
      zoom,
      pause: () => this.pause(),
      follow: () => this.follow(),
      collapse: () => this.collapse(),
      tables: () => this.showTables(),
      compare: () => this.compare.focus(),
      help: () => by("help-dialog").showModal(),
      worker: (step) => this.#chooseWorker(step),
      batch: (step) => this.#chooseBatch(step),
      open: () => this.#openChosen(),
    };
    new Keyboard(actions);
    new Pointing(this.timeline, {
      pan,
      zoom,
      hover: (place) => this.describe(this.#batchAt(place)),
      choose: (place) => this.#choose(place),
      open: () => this.#openChosen(), // its first click has chosen
    });
    for (const [id, action] of Object.entries({
      pause: actions.pause,
      follow: actions.follow,
      collapse: actions.collapse,
      tables: actions.tables,
      help: actions.help,
      "zoom-in": () => zoom(1 / 1.5),
      "zoom-out": () => zoom(1.5),
      earlier: () => pan(-0.5),
      later: () => pan(0.5),
      "open-chosen": actions.open,
      "help-close": () => by("help-dialog").close(),
      theme: () => {
        this.palette.turn();
        this.#showTheme();
      },
    })) {
      by(id).addEventListener("click", action);
    }
  }

  /** Before the first frame there is nothing to move. */
  #move(how) {
    if (Number.isNaN(this.on.edge())) return;
    how();
    this.on.change();
  }

  pause() {
    if (this.view.paused) this.follow();
    else
      this.#move(() => {
        this.view.pause(this.on.edge());
        this.#paused(true);
      });
  }

  follow() {
    this.view.follow();
    this.#paused(false);
    this.on.change();
  }

  #paused(paused) {
    this.status.paused(paused);
    by("pause").setAttribute("aria-pressed", String(paused));
    setText(by("pause"), paused ? "Go on" : "Pause");
  }

  collapse() {
    this.collapsed = !this.collapsed;
    by("collapse").setAttribute("aria-pressed", String(this.collapsed));
    this.on.change();
  }

  showTables() {
    this.tables = !this.tables;
    by("tables").setAttribute("aria-pressed", String(this.tables));
    for (const element of document.querySelectorAll("[data-table]")) element.hidden = !this.tables;
    this.on.change();
  }

  /** With every frame: where the picture is, its table, its summary for those who hear it. */
  show(edge) {
    const { view } = this;
    const stretch = view.stretch(edge);
    const past = view.paused || !view.following;
    const until = past ? `until ${clockTime(stretch.to)}` : "until now";
    setText(by("timeline-span"), `${Number((view.span / 1e3).toPrecision(3))} s ${until}`);
    by("follow").hidden = !past;
    if (this.tables) {
      const seen = batchesSeen(this.store, stretch, view.end(edge));
      fillRows(this.table.tBodies[0], seen.map(batchRow));
    }
    if (performance.now() - this.#summedAt < SUMMARY_MS) return;
    this.#summedAt = performance.now();
    const { store } = this;
    const rows = store.rows().map((number) => store.workers.get(number));
    const said = rows.slice(0, 20).map(({ id, state }) => `${shortId(id)} ${state}`);
    setText(
      by("timeline-summary"),
      `${rows.length} rows, one for each worker: ${said.join(", ")}. ${HINT} T shows a table.`,
    );
  }

  #batchAt(place) {
    return place?.bar === undefined ? null : { batch: this.timeline.batch(place.bar) };
  }

  #choose(place) {
    this.timeline.worker = place?.worker ?? null;
    const found = this.#batchAt(place);
    this.#keep(found?.batch ?? null);
    this.describe(found);
    this.on.change();
  }

  /** As it is now: its place in the ring may soon be another's. */
  #keep(batch) {
    this.#chosen = batch && batchFields(this.store, batch, this.timeline.edge);
    this.timeline.chosen = batch && { worker: batch.worker, start: batch.start };
  }

  /** What was chosen is somebody else's now. */
  forget() {
    this.timeline.worker = null;
    this.#keep(null);
    this.describe(null);
  }

  #chooseWorker(step) {
    const { rows, worker } = this.timeline;
    const at = Math.max(0, Math.min(rows.length - 1, rows.indexOf(worker) + step));
    if (rows.indexOf(worker) < 0) this.timeline.worker = rows[step > 0 ? 0 : rows.length - 1] ?? null;
    else this.timeline.worker = rows[at];
    this.timeline.reveal();
    this.#take(this.timeline.batchesOf(this.timeline.worker).at(-1));
  }

  #chooseBatch(step) {
    if (!this.timeline.rows.includes(this.timeline.worker)) return this.#chooseWorker(1); // none, or one that is gone
    const batches = this.timeline.batchesOf(this.timeline.worker);
    const at = batches.findIndex(({ start }) => start === this.timeline.chosen?.start);
    return this.#take(at < 0 ? batches.at(-1) : (batches[at + step] ?? batches[at]));
  }

  #take(batch) {
    this.#keep(batch ?? null);
    this.describe(null);
    if (!batch && this.timeline.worker !== null) {
      const { id, state } = this.store.workers.get(this.timeline.worker);
      setText(by("batch-details"), `worker ${id} · ${state} · no batch of it can be chosen in this picture`);
    }
    this.on.say(by("batch-details").textContent);
    this.on.change();
  }

  #openChosen() {
    if (this.#chosen?.id) this.on.openJob(this.#chosen.id);
  }

  /** What is pointed at, else what was chosen, else how to. ``found``: {batch}, null where many are one. */
  describe(found) {
    let text = this.#chosen ? batchSentence(this.#chosen) : HINT;
    if (found) {
      text = found.batch
        ? batchSentence(batchFields(this.store, found.batch, this.timeline.edge))
        : "Many short batches: zoom in to tell them apart.";
    }
    setText(by("batch-details"), text);
    by("open-chosen").hidden = !this.#chosen?.id;
  }

  #showTheme() {
    setText(by("theme-name"), this.palette.theme);
  }
}
