"""What one simulated run is made of."""

from dataclasses import dataclass

from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Parameters:
    """A cluster, its troubles and the work. All durations are seconds."""

    num_workers: int = 1_000
    num_ingresses: int = 1
    """Replicas of the ingress: each has a dispatcher and one job of its own; the workers are everybody's."""
    seconds_per_worker: float = 10.0
    """Work: core-seconds over all jobs, a worker."""
    sequence_terms: int = 100_000
    """Terms of each sequence of the jobs."""
    dispatch_seconds: float = Settings.model_fields["dispatch_cpu_seconds"].default
    """What one batch takes of its ingress's event loop, in which everything takes its turn."""
    send_share: float = 0.85
    """The part of ``dispatch_seconds`` that is spent on sending, as measured; the rest when the batch returns."""
    latency_seconds: float = 0.002
    """Least network and queue time of a round trip, beside ``dispatch_seconds``."""
    jitter_seconds: float = 0.001
    """Mean of what comes on top, exponentially distributed."""
    death_share: float = 0.0
    """The part of the workers that die, at random moments of the time that the work ideally takes."""
    notice_seconds: float = 0.1
    """From a death until the dispatchers hear that the worker is gone."""
    replacement_seconds: float = 8.0
    """From a death until another worker joins; Serve takes 6 to 10."""
    straggler_share: float = 0.0
    straggler_factor: float = 3.0
    """How many times longer stragglers compute."""
    seed: int = 1

    @property
    def settings(self) -> Settings:
        """The service's own, told what a dispatch costs, with nothing refused: what is simulated is dispatching."""
        return Settings(
            max_compute_seconds=1e9,
            max_queued_seconds=1e9,
            max_queued_jobs=1_000_000,
            max_caller_jobs=1_000_000,
            max_caller_queued_seconds=1e9,
            max_timeout_seconds=86_400,
            dispatch_cpu_seconds=self.dispatch_seconds,
        )
