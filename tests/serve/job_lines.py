"""The lines of the jobs of a running service."""

import json
import re
from typing import Any

from harness.processes import wait_until
from harness.service import Service

FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)')


def read(line: str) -> dict[str, Any]:
    """A line of either form; of a text all values are strings."""
    if line.startswith("{"):
        fields: dict[str, Any] = json.loads(line)
        return fields
    return {name: json.loads(value) if value.startswith('"') else value for name, value in FIELD.findall(line)}


def lines_with(service: Service, text: str, deployment: str = "FibonacciIngress") -> list[str]:
    """Of all that have been written so far."""
    files = sorted((service.logs / "serve").glob(f"jobs_fibonacci_{deployment}_*.log"))
    return [line for path in files for line in path.read_text().splitlines() if text in line]


def line_of(service: Service, text: str, deployment: str = "FibonacciIngress") -> dict[str, Any]:
    """The only one with this in it."""
    wait_until(lambda: bool(lines_with(service, text, deployment)), 10, "the line is written")
    (line,) = lines_with(service, text, deployment)
    return read(line)
