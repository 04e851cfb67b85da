"""API keys: who a caller is, by the key that it sends. Only names and SHA-256 hashes are known here, never keys.

A key is 256 random bits, so a plain hash of it is as hard to invert as the key is to guess.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Protocol

MAX_KEYS = 1_000
"""Each request's key is compared with all of them: a thousand take a quarter of a millisecond."""
LINE = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,31}):(?P<digest>[0-9A-Fa-f]{64})")


class KeysError(ValueError):
    """No usable keys; the message is for the operator and repeats nothing of what was read."""


class KnowsCallers(Protocol):
    """Keys, wherever they come from."""

    def caller(self, key: bytes) -> str | None:
        """The name of the key; None if it is nobody's."""


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """Who may call: each name with the SHA-256 digest (32 bytes) of its key."""

    digests: tuple[tuple[str, bytes], ...] = field(repr=False)

    def caller(self, key: bytes) -> str | None:
        """The name of the key; None if it is nobody's. It takes the same time whoever's it is."""
        digest = hashlib.sha256(key).digest()
        caller = None
        for name, known in self.digests:
            if hmac.compare_digest(known, digest):
                caller = name
        return caller


def parse_keys(text: str, source: str) -> ApiKeys:
    """The keys in lines of ``name:sha256hex``; empty lines and those that begin with # are skipped.

    Raises ``KeysError``, which names ``source`` and the line, for any other line, for a name or a hash that is used
    twice, and if there are no keys.
    """
    digests: dict[str, bytes] = {}
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if not line or line.startswith("#"):
            continue
        if (match := LINE.fullmatch(line)) is None:
            rule = "a name of at most 32 of A-Z a-z 0-9 . _ - and 64 hexadecimal digits"
            raise KeysError(f"{source}, line {number}: not NAME:SHA256, {rule}")
        name, digest = match["name"], bytes.fromhex(match["digest"])
        if name in digests:
            raise KeysError(f"{source}, line {number}: its name is already used on an earlier line")
        if digest in digests.values():
            raise KeysError(f"{source}, line {number}: its hash is already used on an earlier line")
        digests[name] = digest
    if not digests:
        raise KeysError(f"{source}: no keys")
    if len(digests) > MAX_KEYS:
        raise KeysError(f"{source}: more than {MAX_KEYS} keys")
    return ApiKeys(tuple(digests.items()))
