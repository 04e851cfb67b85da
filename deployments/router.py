"""Lets the dispatcher choose the worker: Serve's router sends each batch where its session id says.

Serve's own router picks the shorter of two queues by what it remembers of them, and polls with a
backoff when they are full; the dispatcher knows what every worker holds, to the batch.
"""

from typing import Any

from ray.serve._private.common import ReplicaID, ReplicaQueueLengthInfo, RunningReplicaInfo
from ray.serve._private.replica_result import ReplicaResult
from ray.serve._private.request_router.common import PendingRequest
from ray.serve._private.request_router.replica_wrapper import RunningReplica
from ray.serve.request_router import RequestRouter

from deployments import members


class WorkerReplica(RunningReplica):
    """A worker that takes every batch it is sent; the dispatcher has counted what it holds.

    Serve asks a replica first whether it has room, which makes a streaming call of every call:
    without, an ingress needs half the CPU for a batch.
    """

    def try_send_request(self, pr: PendingRequest, with_rejection: bool) -> ReplicaResult:  # noqa: ARG002 (Serve calls it so)
        """Called by Serve with a request for this replica."""
        result = super().try_send_request(pr, with_rejection=False)
        result.get_rejection_response = _accepted  # type: ignore[method-assign]
        return result


async def _accepted() -> ReplicaQueueLengthInfo:
    return ReplicaQueueLengthInfo(accepted=True, num_ongoing_requests=0)


class WorkerRouter(RequestRouter):
    """Routes by session id = worker id; to any worker if that one is gone.

    Without Serve's FIFO mixin, which would hand a worker to whichever request has waited longest.
    Requests are then told apart by their internal id, which only calls from an empty context have
    to themselves; the dispatcher sends from one.
    """

    def initialize_state(self, **kwargs: Any) -> None:  # noqa: ARG002 (Serve calls it so)
        """Called once by Serve, before any replica is known."""
        self._by_worker_id: dict[str, RunningReplica] = {}

    def create_replica_wrapper(self, replica_info: RunningReplicaInfo) -> RunningReplica:
        """Called by Serve with a replica that is new to it."""
        return WorkerReplica(replica_info)

    def update_replicas(self, replicas: list[RunningReplica]) -> None:
        """Called by Serve with all running replicas."""
        super().update_replicas(replicas)
        self._announce()

    def on_replica_actor_died(self, replica_id: ReplicaID) -> None:
        """Called by Serve when a call found the replica dead, before the controller knows."""
        super().on_replica_actor_died(replica_id)
        self._announce()

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        """The replica that the request names."""
        if pending_request is None:
            return [candidate_replicas]
        pending_request.routing_context.should_backoff = True
        named = self._by_worker_id.get(pending_request.metadata.session_id)
        return [candidate_replicas if named is None else [named]]

    def _announce(self) -> None:
        replicas = self.curr_replicas
        self._by_worker_id = {r.unique_id: replica for r, replica in replicas.items()}
        members.announce(list(self._by_worker_id))
