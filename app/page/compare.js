// The comparison: a job run on one worker, then on all, and both runs on one time scale.

import { Problem, sentenceOf } from "./api.js";
import { by, make, setText } from "./dom.js";
import { Fields } from "./form.js";
import { compareLink } from "./links.js";
import { Runs } from "./runs.js";
import { bodyOf, kernelsOf } from "./schema.js";
import { duration, shortId } from "./text.js";

export class Compare {
  #kernels = [];
  #fields = null;
  #running = null;
  #ticking = null;
  #wanted = null;

  /** ``on``: openJob(id), say(text). */
  constructor({ api, store, palette, on }) {
    Object.assign(this, { api, store, on });
    this.runs = new Runs(by("compare-runs"), palette, "Both runs on one time scale");
    by("compare-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#run();
    });
    by("compare-stop").addEventListener("click", () => this.#running?.abort());
    by("compare-kernel").addEventListener("change", () => this.#choose(by("compare-kernel").value));
  }

  /** The OpenAPI document has come. */
  offer(document) {
    this.#kernels = kernelsOf(document);
    const options = this.#kernels.map(({ kernel }) => make("option", { value: kernel }, kernel));
    by("compare-kernel").replaceChildren(...options);
    by("compare-kernel-field").hidden = options.length < 2;
    by("compare-run").disabled = !options.length;
    if (options.length) this.#choose(this.#kernels[0].kernel);
    if (this.#wanted) this.fill(this.#wanted);
  }

  get #kernel() {
    return this.#kernels.find(({ kernel }) => kernel === by("compare-kernel").value);
  }

  #choose(kernel) {
    by("compare-kernel").value = kernel;
    this.#fields = new Fields(by("compare-fields"), this.#kernel);
  }

  /** What a link says. */
  fill({ kernel, values }) {
    this.#wanted = this.#kernels.length ? null : { kernel, values };
    if (!this.#kernels.length) return;
    if (this.#kernels.some((each) => each.kernel === kernel)) this.#choose(kernel);
    this.#fields.fill(values);
  }

  /** Its result is somebody else's now. */
  forget() {
    this.#running?.abort();
    by("compare-result").hidden = true;
  }

  focus() {
    by("compare").scrollIntoView({ block: "nearest" });
    this.#fields?.first?.focus();
  }

  async #run() {
    if (this.#running || !this.#fields) return;
    const kernel = this.#kernel;
    const texts = this.#fields.texts();
    this.#running = new AbortController();
    this.#begin();
    try {
      const body = JSON.stringify(bodyOf(kernel.fields, texts));
      const answer = await this.api.json(`${kernel.kernel}/compare`, {
        method: "POST",
        body,
        signal: this.#running.signal,
      });
      this.#show(answer, kernel.kernel);
      history.replaceState(null, "", compareLink(kernel.kernel, Object.values(texts)));
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#running = null;
      by("compare-run").disabled = false;
      by("compare-stop").hidden = true;
    }
  }

  #begin() {
    const begun = performance.now();
    clearInterval(this.#ticking);
    this.#fields.complain([]);
    by("compare-problem").hidden = true;
    by("compare-run").disabled = true;
    by("compare-stop").hidden = false;
    const tick = () =>
      setText(
        by("compare-progress"),
        `Running for ${Math.floor((performance.now() - begun) / 1e3)} s: on one worker, then on all.`,
      );
    tick();
    this.#ticking = setInterval(tick, 1_000);
    this.on.say("The comparison has begun.");
  }

  #calm() {
    clearInterval(this.#ticking);
    setText(by("compare-progress"), "");
  }

  #fail(error) {
    this.#calm();
    const stopped = this.#running.signal.aborted;
    const sentence = stopped ? "Stopped: the service computes no more of it." : sentenceOf(error);
    const errors = error instanceof Problem ? error.errors : [];
    const rest = this.#fields.complain(errors);
    setText(by("compare-problem"), [sentence, ...rest].join(" "));
    by("compare-problem").hidden = false;
    by("compare-problem").scrollIntoView({ block: "nearest" });
    this.on.say(sentence);
    if (!stopped && error.retryAfter) this.#countDown(error.retryAfter);
  }

  /** Until it may be tried again; nothing keeps anybody from trying sooner. */
  #countDown(seconds) {
    const until = performance.now() + seconds * 1e3;
    const tick = () => {
      const left = Math.ceil((until - performance.now()) / 1e3);
      setText(by("compare-progress"), left > 0 ? `Try again in ${left} s.` : "It may be tried again now.");
      if (left <= 0) clearInterval(this.#ticking);
    };
    tick();
    this.#ticking = setInterval(tick, 1_000);
  }

  #show({ local, distributed, speedup, efficiency, pool_workers: workers }, kernel) {
    this.#calm();
    const unit = this.store.units[kernel] ?? "units";
    const runs = [
      ["on one worker", local],
      ["on all", distributed],
    ].map(([name, job]) => ({
      name,
      unit,
      colour: this.store.colourOf(job.job_id),
      seconds: job.timing.total_seconds,
      batches: job.batches.map((batch) => ({ ...batch, num_units: batch[`num_${unit}`] ?? 0 })),
    }));
    by("compare-result").hidden = false;
    setText(by("compare-speedup"), speedup.toFixed(2));
    setText(by("compare-efficiency"), efficiency.toFixed(2));
    setText(by("compare-workers"), workers === 1 ? "1 worker" : `${workers} workers`);
    setText(by("compare-local"), duration(local.timing.total_seconds));
    setText(by("compare-distributed"), duration(distributed.timing.total_seconds));
    this.#link("compare-local-job", local.job_id);
    this.#link("compare-distributed-job", distributed.job_id);
    this.runs.show(runs);
    by("compare-result").scrollIntoView({ block: "nearest" });
    this.on.say(
      `On ${workers} workers it was ${speedup.toFixed(2)} times as fast; efficiency ${efficiency.toFixed(2)}.`,
    );
  }

  #link(id, job) {
    const button = by(id);
    setText(button, shortId(job));
    button.onclick = () => this.on.openJob(job);
  }
}
