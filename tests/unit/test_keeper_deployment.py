"""The keeper as Serve runs it: whether there is one, where, and what its methods return."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ray import serve
from ray.serve._private.build_app import build_app
from ray.serve._private.common import ReplicaState

from app.durable.records import NewJob
from app.errors import NoSuchJobError
from app.settings import Settings
from deployments import keeper as deployment
from deployments.application import ON_THE_HEAD, application
from deployments.config import jobs_store
from deployments.ingress import FibonacciIngress
from deployments.keeper import DeposedKeeperError, FibonacciKeeper, count_ingresses, instance_of
from deployments.launcher import state
from deployments.routing.keeper_calls import Failure
from harness.virtual_time import run_virtually

NEW = NewJob("id", "alice", "fibonacci", "{}", 2, None)
KEPT = Settings(jobs_folder="/var/lib/jobs")
CONFIG = Path(__file__).parents[2] / "serve_config.yaml"


def built(settings: Settings) -> dict[str, Any]:
    """The deployments, as Serve finds them in what was bound."""
    return {each.name: each for each in build_app(application(settings, None), name="fibonacci").deployments}


def test_without_a_place_for_durable_jobs_there_is_no_keeper() -> None:
    deployments = built(Settings())
    assert sorted(deployments) == ["FibonacciIngress", "FibonacciWorker"]
    assert deployments["FibonacciIngress"].init_args[3] is None


def test_the_keeper_and_the_ingress_have_the_same_workers() -> None:
    deployments = built(KEPT)
    assert sorted(deployments) == ["FibonacciIngress", "FibonacciKeeper", "FibonacciWorker"]
    ingress, keeper = deployments["FibonacciIngress"], deployments["FibonacciKeeper"]
    assert ingress.init_args[1].deployment_id == keeper.init_args[1].deployment_id
    assert ingress.init_args[3].deployment_name == "FibonacciKeeper"


def test_there_is_one_and_the_old_one_goes_first() -> None:
    keeper = built(KEPT)["FibonacciKeeper"]
    config = keeper._deployment_config
    assert (config.num_replicas, config.max_surge_percent, config.autoscaling_config) == (1, 0, None)


def test_it_takes_no_cpu_and_a_file_stays_on_the_node_where_it_is() -> None:
    assert built(KEPT)["FibonacciKeeper"].ray_actor_options == {"num_cpus": 0, "resources": ON_THE_HEAD}
    database = Settings(jobs_database="postgresql://alice@db/jobs")
    assert built(database)["FibonacciKeeper"].ray_actor_options == {"num_cpus": 0}


def test_the_names_that_others_look_for_are_the_deployments() -> None:
    names = {FibonacciKeeper.__name__, FibonacciIngress.__name__, "FibonacciWorker"}
    assert names == set(built(KEPT))
    assert {state.KEEPER, deployment.INGRESS} < names


def test_the_file_names_no_keeper_or_serve_would_refuse_it_without_a_place() -> None:
    (configured,) = yaml.safe_load(CONFIG.read_text())["applications"]
    assert (configured["args"]["jobs_folder"], configured["args"]["jobs_database"]) == (None, None)
    assert {each["name"] for each in configured["deployments"]} <= set(built(Settings()))


def test_the_password_comes_from_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr(jobs_store, "postgresql_store", lambda *arguments: given.append(arguments))
    url = "postgresql://alice@db/jobs"
    for environ in ({}, {jobs_store.PASSWORD: "secret"}):
        jobs_store.store_of(Settings(jobs_database=url, jobs_folder="/unused"), environ)
    assert given == [(url, None), (url, "secret")]
    assert "secret" not in Settings(jobs_database=url).model_dump_json()


def test_nothing_is_made_before_a_keeper_takes_it(tmp_path: Path) -> None:
    jobs_store.store_of(Settings(jobs_folder=str(tmp_path / "jobs")), {})
    assert not list(tmp_path.iterdir())


class FakeKeeper:
    """In the place of ``app.durable.keeper.Keeper``."""

    def __init__(self, answer: Callable[[], Awaitable[Any]]) -> None:
        self.deposed = False
        self.closed = 0
        self._answer = answer

    async def submit(self, *_: object) -> Any:
        return await self._answer()

    get = submit

    async def close(self) -> int:
        self.closed += 1
        return 3


def replica(fake: FakeKeeper) -> FibonacciKeeper:
    """A replica without Serve, and without its constructor."""

    class Replica(FibonacciKeeper):
        def __init__(self) -> None:
            self._keeper = fake  # type: ignore[assignment]
            self._tasks: set[asyncio.Task[Any]] = set()
            self._closing = None

        def __del__(self) -> None:  # type: ignore[override]
            """Only Serve calls the real one."""

    return Replica()  # type: ignore[no-any-return, unused-ignore]


async def refuse() -> Any:
    raise NoSuchJobError


def test_an_error_of_a_job_is_returned_and_a_fault_is_raised() -> None:
    async def fault() -> Any:
        raise ValueError("a fault")

    async def main() -> None:
        for answer in (
            await replica(FakeKeeper(refuse)).get("id", "bob"),
            await replica(FakeKeeper(refuse)).submit(NEW),
        ):
            assert isinstance(answer, Failure)
            assert isinstance(answer.error, NoSuchJobError)
        with pytest.raises(ValueError, match="a fault"):
            await replica(FakeKeeper(fault)).submit(NEW)

    run_virtually(main())


def test_a_call_that_is_cancelled_has_its_job_written_all_the_same() -> None:
    written = []

    async def slow() -> str:
        await asyncio.sleep(1)
        written.append(True)
        return "submitted"

    async def main() -> None:
        call = asyncio.create_task(replica(FakeKeeper(slow)).submit(NEW))
        await asyncio.sleep(0.5)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.sleep(1)
        assert written == [True]

    run_virtually(main())


def test_serve_replaces_a_keeper_that_was_deposed() -> None:
    async def main() -> None:
        fake = FakeKeeper(refuse)
        await replica(fake).check_health()
        fake.deposed = True
        with pytest.raises(DeposedKeeperError):
            await replica(fake).check_health()

    run_virtually(main())


def test_it_says_how_many_go_on_and_lets_go_of_the_store_once() -> None:
    async def main() -> None:
        fake = FakeKeeper(refuse)
        served = replica(fake)
        assert await served.close() == 3
        await FibonacciKeeper.__del__(served)  # as Serve does, whoever was faster
        assert fake.closed == 1

    run_virtually(main())


def test_the_service_has_one_name_for_all_keepers_of_an_application_and_another_after_a_restart() -> None:
    first = instance_of("session_2026-11-26_15-17-03_120000_4711", "fibonacci")
    assert first == instance_of("session_2026-11-26_15-17-03_120000_4711", "fibonacci")
    others = {instance_of("session_2026-11-26_15-18-09_450000_4711", "fibonacci"), instance_of(first[:39], "other")}
    assert first not in others


def test_it_shares_the_workers_with_every_ingress(monkeypatch: pytest.MonkeyPatch) -> None:
    for states, number in (
        ({ReplicaState.RUNNING: 2, ReplicaState.STARTING: 1}, 3),
        ({}, 1),  # not there yet
    ):
        ingress = SimpleNamespace(replica_states=states)
        found = {"fibonacci": SimpleNamespace(deployments={deployment.INGRESS: ingress})}
        monkeypatch.setattr(serve, "status", lambda found=found: SimpleNamespace(applications=found))
        assert asyncio.run(count_ingresses("fibonacci")) == number
    assert asyncio.run(count_ingresses("unknown")) == 1
