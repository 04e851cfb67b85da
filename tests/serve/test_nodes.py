"""The pool follows the cluster's nodes, and a node that is lost in the middle of a job is not noticed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.timeout(240)
def test_the_pool_grows_and_shrinks_with_the_nodes_and_no_job_is_lost(tmp_path: Path) -> None:
    environment = os.environ | {"RAY_AUTH_MODE": "disabled"}
    command = [sys.executable, "-m", "tests.serve.growing_cluster", str(tmp_path / "report")]
    subprocess.run(command, env=environment, capture_output=True, timeout=220, check=True)
    report = json.loads((tmp_path / "report").read_text())
    assert (report["alone"], report["joined"], report["left"]) == (1, 2, 1)
    assert report["statuses"] == [200]
    assert report["nodes"] == [2], "both nodes computed for the job"
