"""No finding of a linter is silenced without a reason, and none but those that are named."""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("app", "benchmarks", "chaos", "deployments", "set_up", "tests")
SILENCER = re.compile(
    r"#[\s:]*(noqa|nosec|type\s*:\s*ignore|(ruff|flake8|isort|mypy|pyright|pylint|codespell)\s*:)", re.IGNORECASE
)
"""Whatever orders a linter to be silent, as loosely written as linters allow."""
NAMED = re.compile(r"# noqa: [A-Z]+\d+(, [A-Z]+\d+)* \([^#]+\)$|# type: ignore\[[a-z-]+(, [a-z-]+)*\](?=$| +#)")
"""How this project writes it. A type is ignored where a library has none, or a wrong one: its code is reason enough."""


def unnamed_silencers(source: str) -> Iterator[str]:
    """What silences more than it names, or gives no reason."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            silencers = [token.string[found.start() :] for found in SILENCER.finditer(token.string)]
            yield from (silencer for silencer in silencers if not NAMED.match(silencer))


@pytest.mark.parametrize("path", [p for folder in FOLDERS for p in sorted((ROOT / folder).rglob("*.py"))], ids=str)
def test_every_silencer_names_its_rule_and_its_reason(path: Path) -> None:
    assert not list(unnamed_silencers(path.read_text()))


@pytest.mark.parametrize(
    "comment",
    [
        "#noqa", "# noqa", "# NOQA", "# noqa: S603", "# noqa:S603 (ours)", "# noqa (ours)", "# fine  # noqa",
        "# ruff: noqa", "# ruff: noqa: S603", "# flake8: noqa", "# nosec", "#nosec B603", "# type: ignore",
        "#type:ignore", "# mypy: ignore-errors", "# type: ignore[misc]  # noqa",
    ],
)  # fmt: skip
def test_a_silencer_in_another_form_is_found(comment: str) -> None:
    assert list(unnamed_silencers(f"x = 1  {comment}\n")) != []


@pytest.mark.parametrize(
    "comment",
    [
        "# noqa: S603 (ours)",
        "# noqa: S603, S607 (ours)",
        "# type: ignore[misc]",
        "# type: ignore[misc]  # noqa: A1 (it)",
    ],
)
def test_a_silencer_that_says_why_may_stand(comment: str) -> None:
    assert list(unnamed_silencers(f"x = 1  {comment}\n")) == []
