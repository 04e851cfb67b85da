"""Lets the dispatcher choose the worker: Serve's router sends each batch where its session id says.

Serve's own router picks the shorter of two queues by what it remembers of them, and polls with a
backoff when they are full; the dispatcher knows what every worker holds, to the batch.
"""

from typing import Any

from ray.serve._private.common import ReplicaID
from ray.serve._private.request_router.common import PendingRequest
from ray.serve._private.request_router.replica_wrapper import RunningReplica
from ray.serve.request_router import RequestRouter

from deployments import members


class WorkerRouter(RequestRouter):
    """Routes by session id = worker id; to any worker if that one is gone.

    Without Serve's FIFO mixin, which would hand a worker to whichever request has waited longest.
    Requests are then told apart by their internal id, which only calls from an empty context have
    to themselves; the dispatcher sends from one.
    """

    def initialize_state(self, **kwargs: Any) -> None:  # noqa: ARG002 (Serve calls it so)
        """Called once by Serve, before any replica is known."""
        self._by_worker_id: dict[str, RunningReplica] = {}

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
