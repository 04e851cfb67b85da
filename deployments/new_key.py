"""``make key``: a new API key, shown once, and the line with its hash for the service."""

import argparse
import hashlib
import secrets
import sys

from app.keys import KeysError, parse_keys
from deployments.config.api_keys import SETTING, VARIABLE

PREFIX = "fib_"
"""So that scanners for leaked secrets, and people, know one when they see it."""
KEY_BYTES = 32


def main(arguments: list[str] | None = None) -> int:
    """Print them; the exit code."""
    parser = argparse.ArgumentParser(prog="make key NAME=...", usage="%(prog)s", description=__doc__)
    parser.add_argument("name", help="whose key it is: at most 32 of A-Z a-z 0-9 . _ -")
    name = parser.parse_args(arguments).name
    if not name:
        parser.error("NAME is missing: make key NAME=alice")
    key = PREFIX + secrets.token_urlsafe(KEY_BYTES)
    line = f"{name}:{hashlib.sha256(key.encode()).hexdigest()}"
    try:
        parse_keys(line, "NAME")
    except KeysError:
        parser.error("NAME must begin with a letter or digit and have at most 32 of A-Z a-z 0-9 . _ -")
    sys.stdout.write(
        f"The key, shown only now; give it to {name}, who sends it as `Authorization: Bearer KEY`:\n\n  {key}\n\n"
        f"Its line, which is not secret; add it to the file that {SETTING} names, which a running service reads again, "
        f"or to {VARIABLE}, for the next start:\n\n  {line}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
