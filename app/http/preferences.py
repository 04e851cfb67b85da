"""How a caller wants its answer: the headers ``Prefer`` (RFC 7240) and ``Idempotency-Key``."""

import re
from dataclasses import dataclass

from fastapi import HTTPException, Request

MAX_POST_WAIT_SECONDS = 60
MAX_GET_WAIT_SECONDS = 30
"""A shorter one: whoever polls has the job's address already, and may ask again."""
TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 (RFC 9110's name for a word)
QUOTED = r'"(?:[^"\\]|\\.)*"'
PREFERENCE = re.compile(rf"\s*({TOKEN})\s*(?:=\s*({TOKEN}|{QUOTED})\s*)?(?:;.*)?", re.ASCII | re.DOTALL)
MEMBER = re.compile(rf'(?:[^",]|{QUOTED}|")+')
"""What stands between two commas that are not in quotes."""
MAX_LENGTH = 1_000
"""Of all such headers together; longer ones are ignored: an unclosed quote in each of thousands of members would take
seconds."""
KEY = re.compile(r"[!-~]{1,255}")
KEY_RULE = "Idempotency-Key must be 1 to 255 visible ASCII characters, in quotes or not."


@dataclass(frozen=True, slots=True)
class Preferences:
    """Those of a request that are honoured here; all others are ignored, as RFC 7240 wants it."""

    respond_async: bool = False
    wait_seconds: int | None = None
    """No longer than the route waits."""

    @property
    def applied(self) -> str:
        """What ``Preference-Applied`` says; empty if there was none."""
        wait = () if self.wait_seconds is None else (f"wait={self.wait_seconds}",)
        return ", ".join((*(("respond-async",) if self.respond_async else ()), *wait))


def preferences_of(request: Request, max_wait_seconds: int) -> Preferences:
    """What the request prefers. Anything malformed is as if it had not been sent; of two the first one counts."""
    found: dict[str, str] = {}
    headers = request.headers.getlist("prefer")
    for header in headers if sum(map(len, headers)) <= MAX_LENGTH else ():
        for member in MEMBER.findall(header):
            if (match := PREFERENCE.fullmatch(member)) is not None:
                found.setdefault(match[1].lower(), _unquoted(match[2] or ""))
    wait = found.get("wait", "")
    seconds = min(int(wait), max_wait_seconds) if re.fullmatch("[0-9]+", wait) else None
    return Preferences(found.get("respond-async") == "", seconds)


def wants_job(request: Request) -> bool:
    """Whether it prefers a job that it can come back for. Costs requests without ``Prefer`` one look at the headers."""
    return "prefer" in request.headers and preferences_of(request, MAX_POST_WAIT_SECONDS).respond_async


def idempotency_key(request: Request) -> str | None:
    """The key, without its quotes; None if there is none. Raises HTTPException, 400, if it is malformed."""
    shown = request.headers.getlist("idempotency-key")
    if not shown:
        return None
    if len(shown) > 1:
        raise HTTPException(400, f"{len(shown)} Idempotency-Key headers were sent; send one.")
    value = shown[0].strip(" \t")
    key = _unquoted(value) if re.fullmatch(QUOTED, value) else value
    if KEY.fullmatch(key) is None or (key is value and value.startswith('"')):
        raise HTTPException(400, KEY_RULE)
    return key


def _unquoted(word: str) -> str:
    return re.sub(r"\\(.)", r"\1", word[1:-1], flags=re.DOTALL) if word.startswith('"') else word
