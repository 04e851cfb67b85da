"""How many workers the pool wants, on these nodes and beside these other replicas."""

import threading
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from ray.serve.config import AutoscalingPolicy

from deployments.scaling import ClusterCpuPolicy, Others, count_workers, others_than


def node(name: str, cpus: float, *, alive: bool = True) -> dict[str, Any]:
    return {"NodeID": name, "Alive": alive, "Resources": {"CPU": cpus} if cpus else {}}


def others(*added: tuple[float, int, list[str | None]]) -> Others:
    made = Others()
    for each in added:
        made.add(*each)
    return made


NODES = [node("a", 4), node("b", 2.5), node("lost", 8, alive=False), node("head", 0)]


def test_a_worker_for_each_whole_cpu_of_a_live_node() -> None:
    assert count_workers(NODES, {}, Others()) == 4 + 2


def test_a_draining_node_is_left_out() -> None:
    assert count_workers(NODES, {"a": 0}, Others()) == 2


@pytest.mark.parametrize(
    ("other", "workers"),
    [
        ((1.0, 1, ["a"]), 5),
        ((0.5, 2, ["a", "b"]), 3 + 2),  # half a CPU of b was nobody's
        ((0.5, 2, ["a", "a"]), 3 + 2),
        ((1.0, 2, ["a"]), 4),  # one has no node yet
        ((1.0, 1, [None]), 5),
        ((0.5, 1, []), 5),
        ((1.0, 0, ["a"]), 5),  # it is on its way out, and holds its CPU until then
        ((0.0, 3, ["a", None]), 6),
        ((9.0, 1, ["a"]), 2),
    ],
)
def test_what_other_replicas_hold_or_wait_for_is_left_to_them(
    other: tuple[float, int, list[str | None]], workers: int
) -> None:
    assert count_workers(NODES, {}, others(other)) == workers


def deployment(cpus: float, num_replicas: int, *nodes: str, bundles: list[dict[str, float]] | None = None) -> Any:
    """As the controller has it."""
    replicas = [SimpleNamespace(actor_node_id=each) for each in nodes]
    config = SimpleNamespace(resource_dict={"CPU": cpus}, placement_group_bundles=bundles)
    return SimpleNamespace(
        target_info=SimpleNamespace(replica_config=config),
        target_num_replicas=num_replicas,
        _replicas=SimpleNamespace(get=lambda: replicas),
    )


@pytest.fixture
def deployments(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The controller's records."""
    found: dict[str, Any] = {}
    controller = mock.Mock()
    controller.deployment_state_manager._deployment_states = found
    monkeypatch.setattr("ray._private.worker.global_worker", SimpleNamespace(actors={"id": controller}))
    return found


def test_the_pools_own_workers_are_no_others(deployments: dict[str, Any]) -> None:
    deployments["pool"] = deployment(1.0, 2, "a", "a")
    deployments["hello"] = deployment(1.0, 2, "a")
    assert others_than("pool") == others((1.0, 2, ["a"]))


def test_a_replica_takes_all_bundles_of_its_placement_group(deployments: dict[str, Any]) -> None:
    deployments["hello"] = deployment(0.0, 1, "a", bundles=[{"CPU": 2.0}, {"GPU": 1.0}, {"CPU": 1.0}])
    assert others_than("pool") == others((3.0, 1, ["a"]))


def test_a_deployment_that_has_no_target_yet_takes_nothing(deployments: dict[str, Any]) -> None:
    deployments["hello"] = SimpleNamespace(target_info=None)
    assert others_than("pool") == Others()


def test_at_least_one_worker_is_wanted(deployments: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    deployments["hello"] = deployment(1.0, 8)
    monkeypatch.setattr("ray.nodes", lambda: NODES)
    monkeypatch.setattr("ray._private.state.state", mock.Mock(get_draining_nodes=dict))
    assert ClusterCpuPolicy()(mock.Mock(deployment_id="pool")) == (1, {})


def test_the_policy_can_be_sent_to_the_controller(monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve pickles it with all that it refers to, in a process that is connected to Ray."""
    monkeypatch.setattr("ray._private.state.state.gcs_options", threading.Lock(), raising=False)
    policy = AutoscalingPolicy(policy_function="deployments.scaling:ClusterCpuPolicy")  # type: ignore[no-untyped-call]
    assert policy.get_policy().__name__ == "ClusterCpuPolicy"
