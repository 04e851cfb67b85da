"""No test uses the folder where whoever runs it keeps durable jobs."""

from collections.abc import Iterator

import pytest

from deployments.launcher.state import VARIABLE


@pytest.fixture(scope="session", autouse=True)
def a_state_folder_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """For launchers that a test starts by itself; ``harness.service`` gives each of its own another one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(VARIABLE, raising=False)
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield
