"""Lets the dispatcher choose the worker, and call it without a queue in between.

Serve's own router picks the shorter of two queues by what it remembers of them, and polls with a
backoff when they are full; the dispatcher knows what every worker holds, to the batch.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from ray.exceptions import ActorDiedError
from ray.serve._private import constants
from ray.serve._private.common import ReplicaID, RequestMetadata, RunningReplicaInfo
from ray.serve._private.request_router.common import PendingRequest
from ray.serve._private.request_router.replica_wrapper import RunningReplica
from ray.serve._private.utils import generate_request_id
from ray.serve.request_router import RequestRouter

from deployments.routing import roster


class WorkerReplica(RunningReplica):
    """A worker as the dispatcher calls it."""

    def __init__(self, replica_info: RunningReplicaInfo, on_died: Callable[[ReplicaID], object]) -> None:
        super().__init__(replica_info)
        self._on_died = on_died

    async def call(self, method: str, *arguments: Any) -> Any:
        """What the method returns. Cancelling the call stops it on the worker.

        Directly to the replica, with none of what a handle adds: no queue, no question whether there is room, no count
        of what is out, from which Serve's own autoscaling would learn of the load. The replica takes any number of
        calls; the dispatcher bounds them.
        Raises a ``RayError`` or, over gRPC, an ``AioRpcError`` if the worker is lost; ``RayTaskError`` if the method
        raised.
        """
        request_id = generate_request_id()
        metadata = RequestMetadata(
            request_id=request_id,
            internal_request_id=request_id,
            call_method=method,
            _by_reference=not constants.RAY_SERVE_USE_GRPC_BY_DEFAULT,
            _on_separate_loop=False,
        )
        request = PendingRequest(args=list(arguments), kwargs={}, metadata=metadata)
        result = self.try_send_request(request, with_rejection=False)
        try:
            return await result.get_async()  # type: ignore[no-untyped-call]
        except asyncio.CancelledError:
            # Cancelling the await alone would leave the worker computing.
            result.cancel()  # type: ignore[no-untyped-call]
            raise
        except ActorDiedError:
            self._on_died(self.replica_id)
            raise


class WorkerRouter(RequestRouter):
    """Announces which workers there are; calls through a handle go to any of them."""

    def create_replica_wrapper(self, replica_info: RunningReplicaInfo) -> RunningReplica:
        """Called by Serve with a replica that is new to it."""
        return WorkerReplica(
            replica_info, lambda died: self._event_loop.call_soon_threadsafe(self.on_replica_actor_died, died)
        )

    def update_replicas(self, replicas: list[RunningReplica]) -> None:
        """Called by Serve with all running replicas."""
        super().update_replicas(replicas)
        self._announce()

    def on_replica_actor_died(self, replica_id: ReplicaID) -> None:
        """Called when a call found the replica dead, before Serve's controller knows."""
        super().on_replica_actor_died(replica_id)
        self._announce()

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,  # noqa: ARG002 (Serve calls it so)
    ) -> list[list[RunningReplica]]:
        """All of them."""
        return [candidate_replicas]

    def _announce(self) -> None:
        workers = {replica_id.unique_id: replica for replica_id, replica in self.curr_replicas.items()}
        roster.announce(cast("dict[str, WorkerReplica]", workers))
