"""What is told in one line of a job that is over: who asked, what it cost, what became of it. Not what was asked.

A template is filled for each: a dictionary and ``json.dumps`` took more than twice as long, which small jobs showed.
"""

import json
import re
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring_ascii
from typing import NamedTuple

from app.observer import EndedJob, name_of

PLAIN = re.compile(r"[^\s\"'=\\]+")
"""What stands in a text as it is; anything else, which a caller may have made up, is in quotes."""
WORD, SAID, FLAG, SECONDS, NUMBER = range(5)
"""What a field holds: a word of ours, what somebody else may have made up, true or false, a duration, a number."""
ASKED = {
    "time": WORD,
    "fibonacci_job": WORD,  # Serve deletes what is called job_id from a record of its own
    "request_id": SAID,
    "caller": SAID,
    "kernel": WORD,
    "execution": WORD,
    "durable": FLAG,
    "outcome": WORD,
    "predicted_seconds": SECONDS,
    "total_seconds": SECONDS,
}
COMPUTED = {
    "queued_seconds": SECONDS,
    "compute_seconds": SECONDS,
    "num_workers": NUMBER,
    "num_batches": NUMBER,
    "num_recomputed": NUMBER,
    "max_attempts": NUMBER,
}
"""What else is known of a job that has a result."""
UNDONE = {"error": WORD}
"""And of one that has none."""


class Form(NamedTuple):
    """How a line is written: a template of a job with a result, one of a job without, and how to quote what is said."""

    computed: str
    undone: str
    quote: Callable[[str], str]


def line_of(ended: EndedJob, time: str, form: Form, *, durable: bool) -> str:
    """With its end. ``time``: when the job was over."""
    job, result = ended.job, ended.result
    quote = form.quote
    asked = (
        time,
        job.job_id,
        quote(job.request_id),
        quote(job.caller),
        job.task.kernel,
        job.execution.value,
        "true" if durable else "false",
        ended.outcome.value,
        ended.predicted_seconds,
        ended.ended_at - ended.accepted_at,
    )
    if result is None:
        return form.undone % (*asked, "" if ended.error is None else name_of(ended.error))
    timing = result.timing
    return form.computed % (
        *asked,
        timing.queued_seconds,
        timing.compute_seconds,
        timing.num_workers,
        timing.num_batches,
        result.num_recomputed,
        max([record.attempts for record in result.batches], default=0),
    )


def _text(fields: Mapping[str, int]) -> str:
    kinds = {WORD: "%s", SAID: "%s", FLAG: "%s", SECONDS: "%.6f", NUMBER: "%d"}
    return " ".join(f"{name}={kinds[kind]}" for name, kind in fields.items()) + "\n"


def _json(fields: Mapping[str, int]) -> str:
    kinds = {WORD: '"%s"', SAID: "%s", FLAG: "%s", SECONDS: "%.6f", NUMBER: "%d"}
    return "{" + ", ".join(f'"{name}": {kinds[kind]}' for name, kind in fields.items()) + "}\n"


def _plain(said: str) -> str:
    return said if PLAIN.fullmatch(said) else json.dumps(said)


TEXT = Form(_text(ASKED | COMPUTED), _text(ASKED | UNDONE), _plain)
"""``name=value``, separated by spaces."""
JSON = Form(_json(ASKED | COMPUTED), _json(ASKED | UNDONE), encode_basestring_ascii)
FORMS = {"text": TEXT, "json": JSON}
