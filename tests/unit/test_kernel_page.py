"""The kernel of docs/kernel.md, exactly as it stands there, computes in a whole service."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from app.kernel import KernelError, load, offers_of
from app.settings import KernelChoice, Settings
from tests.http.client import Client

PAGE = (Path(__file__).parents[2] / "docs/kernel.md").read_text()
MAX_LINES = 60


def block(language: str) -> str:
    return PAGE.partition(f"```{language}\n")[2].partition("```")[0]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """As the page writes them, with the file that it shows."""
    (tmp_path / "digits.py").write_text(block("python"))
    monkeypatch.syspath_prepend(tmp_path)
    yield Settings.model_validate(yaml.safe_load(block("yaml"))["args"])
    sys.modules.pop("digits", None)


def test_it_is_short() -> None:
    lines = [line for line in block("python").splitlines() if line]
    assert 20 < len(lines) < MAX_LINES


@pytest.mark.anyio
@pytest.mark.parametrize("length", [0, 1, 999, 12_345])
@pytest.mark.parametrize("first", [0, 987])
async def test_it_adds_up_the_digits(settings: Settings, first: int, length: int) -> None:
    async with Client(settings) as client:
        response = await client.post("/digits", json={"first": first, "length": length})
        answer = response.json()
        assert response.status_code == 200, answer
        assert answer["digit_sum"] == sum(int(digit) for n in range(first, first + length) for digit in str(n))
        assert list(answer) == [
            "job_id", "execution", "digit_sum", "verification", "timing", "batches",
        ]  # fmt: skip
        assert sum(batch["num_integers"] for batch in answer["batches"]) == length
        both = (await client.post("/digits/compare", json={"first": first, "length": length})).json()
        assert both["local"]["digit_sum"] == both["distributed"]["digit_sum"] == answer["digit_sum"]


@pytest.mark.anyio
async def test_the_call_on_the_page_gives_the_sum_on_the_page(settings: Settings) -> None:
    body = PAGE.partition("$ curl")[2].partition("-d '")[2].partition("'")[0]
    async with Client(settings) as client:
        answer = (await client.post("/digits", content=body, headers={"Content-Type": "application/json"})).json()
        assert f"`digit_sum` is {answer['digit_sum']}" in PAGE


@pytest.mark.anyio
async def test_it_stands_beside_fibonacci(settings: Settings) -> None:
    async with Client(settings) as client:
        assert (await client.post("/fibonacci", json={"sequence_size": 10})).status_code == 200
        schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
        assert {"JobRequest", "DigitsJobRequest", "BatchModel", "DigitsBatchModel"} <= set(schemas)
        assert (await client.post("/digits", json={"sequence_size": 10})).status_code == 422
        too_many = await client.post("/digits", json={"length": 2 * 10**9})
        assert too_many.status_code == 422


@pytest.mark.anyio
async def test_what_is_wrong_is_computed_again_and_then_fails(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    offers_of(settings)
    module = sys.modules["digits"]
    monkeypatch.setattr(module, "sum_below", lambda _: 1)
    async with Client(settings) as client:
        assert (await client.post("/digits", json={"length": 100})).status_code == 500


@pytest.mark.parametrize(
    ("import_path", "limits", "reason"),
    [
        ("nowhere:KERNEL", {}, "no kernel at nowhere:KERNEL: No module named 'nowhere'"),
        ("app.job:KERNEL", {}, "no kernel at app.job:KERNEL: .* has no attribute 'KERNEL'"),
        ("app.job:Job", {}, "app.job:Job is not a kernel"),
        ("app.kernels.fibonacci:KERNEL", {"max_size": 1}, "the limits of .*: max_size: Extra"),
        (
            "app.kernels.fibonacci:KERNEL",
            {"max_sequence_size": 0},
            "max_sequence_size: Input should",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(import_path: str, limits: dict[str, int], reason: str) -> None:
    with pytest.raises(KernelError, match=reason):
        load(import_path, limits)


def test_two_of_one_name_are_refused() -> None:
    twice = Settings(kernels=(KernelChoice(import_path="app.kernels.fibonacci:KERNEL"),) * 2)
    with pytest.raises(KernelError, match="two kernels are called 'fibonacci'"):
        offers_of(twice)
