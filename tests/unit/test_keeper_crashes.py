"""Whatever the keeper was doing when it died: what it acknowledged is so, and the next one goes on."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.durable.records import State
from app.errors import NoSuchJobError
from harness.config import ROOT
from tests.durable_pool import available, done, keeping, new_job
from tests.keeper_child import KILLED


@pytest.mark.parametrize("when", ["before", "in", "after"])
@pytest.mark.parametrize("number", range(1, 9))
def test_a_keeper_that_dies(tmp_path: Path, when: str, number: int) -> None:
    command = [sys.executable, "-m", "tests.keeper_child", str(tmp_path), when, str(number)]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert child.returncode == KILLED, child.stderr
    said = child.stdout.splitlines()
    asyncio.run(goes_on(tmp_path, said))


async def goes_on(folder: Path, said: list[str]) -> None:
    async with asyncio.timeout(60), keeping(folder) as keeper:
        await available(keeper)
        for job_id in ("short", "long", "cancelled"):
            try:
                record = (await keeper.get(job_id, "")).record
            except NoSuchJobError:
                deleted = job_id == "short" and "over cancelled" in said  # it may have been, without saying so
                assert f"submitted {job_id}" not in said or deleted
                continue
            if job_id == "cancelled" and "over cancelled" in said:
                assert record.state is State.CANCELLED
            if f"succeeded {job_id}" in said:
                assert record.state is State.SUCCEEDED
            if job_id == "short" and "deleted short" in said:
                pytest.fail("it was deleted")
            if job_id == "long":
                assert record.units_done >= max(
                    (int(line.split()[1]) for line in said if "progress" in line), default=0
                )
            if record.state is not State.CANCELLED:
                over = (await done(keeper, job_id)).record
                assert over.state is State.SUCCEEDED
                assert over.units_done == over.total_units
                assert json.loads(over.result or "")["found"]["index"] == (999 if job_id == "short" else 19_999)
        if "submitted short" in said and "over cancelled" not in said:
            assert not (await keeper.submit(new_job("again", key="k"))).is_new
