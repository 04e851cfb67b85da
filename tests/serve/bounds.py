"""Every latency that the service promises, in seconds; the real tier asserts these and no other speed."""

CANCELLED_CPU_IDLE = 0.5
"""From a caller's leaving to the workers' CPUs being idle."""
DEADLINE = 0.25
"""By how much a deadline may be missed."""
SHORT_JOB_BEHIND_LONG = 0.3
"""A job of a millisecond behind one of minutes, in all but the slowest twentieth: about one batch."""
REFUSAL = 0.5
"""A 422 or 429, computed from the predicted cost alone."""
WORKER_REPLACED = 30.0
"""From a worker's death to as many workers as before."""
POOL_AGE = 1.0
"""How old GET /pool may be."""
SHUTDOWN = 15.0
"""From a signal to the launcher's, or `serve run`'s, exit when no job is in flight."""
NOTHING_LEFT = 30.0
"""From `kill -9` of the command to none of its processes being there."""
