// Numbers, durations and states as a person reads them. Pure.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const PREFIXES = [
  [1e12, " T"],
  [1e9, " G"],
  [1e6, " M"],
  [1e3, " k"],
];
const NOTHING = "–";

/** Three digits that count, without trailing zeros after a point. */
function brief(number) {
  const digits = Math.abs(number) >= 100 ? 0 : Math.abs(number) >= 10 ? 1 : 2;
  return number.toFixed(digits);
}

/** 1,234,567. */
export function count(number) {
  return number === null || number === undefined ? NOTHING : whole.format(number);
}

/** 14.1 M; 950; 0.5. */
export function amount(number) {
  if (number === null || number === undefined || Number.isNaN(number)) return NOTHING;
  for (const [size, prefix] of PREFIXES) {
    if (Math.abs(number) >= size * 0.9995) return brief(number / size) + prefix;
  }
  return Number.isInteger(number) ? String(number) : brief(number);
}

/** 0.3 ms; 88 ms; 1.41 s; 2 min 5 s; 3 h 4 min; 2 d 3 h. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return NOTHING;
  if (seconds <= 0) return "0 s";
  if (seconds < 0.00095) return `${(seconds * 1e3).toFixed(1)} ms`;
  if (seconds < 0.9995) return `${brief(seconds * 1e3).replace(/\.0+$/, "")} ms`;
  if (seconds < 119.5) return `${brief(seconds)} s`;
  const rounded = Math.round(seconds);
  if (rounded < 7_200) return pair(Math.floor(rounded / 60), "min", rounded % 60, "s");
  const minutes = Math.round(seconds / 60);
  if (minutes < 2_880) return pair(Math.floor(minutes / 60), "h", minutes % 60, "min");
  const hours = Math.round(seconds / 3_600);
  return pair(Math.floor(hours / 24), "d", hours % 24, "h");
}

/** Without zeros that say nothing: 10 s, 1.5 s. For an axis. */
export function roundDuration(seconds) {
  return duration(seconds)
    .replace(/(\.\d*?)0+ /, "$1 ")
    .replace(". ", " ");
}

function pair(large, unit, small, subunit) {
  return small ? `${large} ${unit} ${small} ${subunit}` : `${large} ${unit}`;
}

/** 21:40:03, with the tenths if they matter, in the reader's time zone. */
export function clockTime(ms, tenths = false) {
  const date = new Date(ms);
  const parts = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, "0"));
  return parts.join(":") + (tenths ? `.${Math.floor(date.getMilliseconds() / 100)}` : "");
}

/** 71 %. Never 100 % of what is not whole. */
export function percent(share) {
  return `${share >= 1 ? 100 : Math.min(99, Math.floor(share * 100))} %`;
}

/** The beginning of an id: enough to tell those on one page apart. */
export function shortId(id) {
  return id.slice(0, 8);
}

/** 64 × 100,000 terms. */
export function size(job) {
  const line = `${count(job.length)} ${job.unit}`;
  return job.num_lines > 1 ? `${count(job.num_lines)} × ${line}` : line;
}

/** 1 batch; 2 batches. */
export function many(number, one, several = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : several}`;
}

const STATES = { succeeded: "done", unheard: "not heard of" };

/** What became of a job, in a word. */
export function stateWord(job) {
  return STATES[job.state] ?? job.state;
}

export function isUnfinished(job) {
  return job.state === "queued" || job.state === "running";
}

/** sequence_size as a label: Sequence size. */
export function label(name) {
  const words = name.replaceAll("_", " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
