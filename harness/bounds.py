"""Every latency that the service promises, in seconds; the real tier asserts these and no other speed."""

CANCELLED_CPU_IDLE = 0.5
"""From a caller's leaving to the workers' CPUs being idle."""
WORKER_STOPS = 0.1
"""From a batch being cancelled to its worker's compute thread being idle, in CPU time of that thread: a slice, or the
longest call without one, and a margin."""
DEADLINE = 0.25
"""By how much a deadline may be missed."""
SHORT_JOB_BEHIND_LONG = 0.3
"""The p99 of jobs of a millisecond behind one of minutes: about one batch."""
REFUSAL = 0.5
"""A 422 or 429, computed from the predicted cost alone."""
FROZEN_WORKER = 3.5
"""How long a small job may take if its worker stands still: it is late after two seconds, and has one more."""
WORKER_REPLACED = 30.0
"""From a worker's death to having as many workers as before."""
POOL_AGE = 1.0
"""How old GET /pool may be."""
POOL_ANSWER = 1.0
"""How long GET /pool may take, whatever its workers do."""
SHUTDOWN = 15.0
"""From a signal to the launcher's, or `serve run`'s, exit when no job is in flight."""
START_INTERRUPTED = 10.0
"""From a signal to the launcher's exit while it starts."""
NOTHING_LEFT = 30.0
"""From `kill -9` of the command to none of its processes being left."""
ADDED_BY_A_LOST_WORKER = 1.0
"""Added to the p99 of other jobs when one worker dies, beside one batch and the slowdown of the smaller pool."""
INGRESS_REPLACED = 15.0
"""From the death of one of two ingress replicas to having two again."""
ORPHANS_STOPPED = 2.0
"""From an ingress's death to its batches being stopped on the workers."""
PROXY_BACK = 15.0
"""How long nothing is answered after HAProxy, or Serve's own proxy, was killed."""
NEW_NODE_USED = 10.0
"""From a node joining to its worker computing."""
CUT_OFF_BACK = 60.0
"""From a node's link being up again to its worker, or another one there, replying."""
HEALTH_P99 = 0.1
"""GET /livez and /readyz while all workers compute and the queue is full."""
BESIDE_A_CROWD = 0.5
"""GET /livez and /readyz, and a tiny job, while 5,000 connections are idle."""
REFUSAL_P99 = 0.05
"""A 429 under ten times the sustainable load."""
IDLE_AGAIN = 5.0
"""From an overload's end to the latency of an idle service."""
INGRESS_GROWTH_MB = 50.0
"""What an ingress may hold in an overload beyond what it held idle."""
OVERLOAD_GOODPUT = 0.9
"""Fraction of the peak goodput, in jobs, that is left under ten times the sustainable load."""
OVERLOAD_WORK = 0.8
"""Fraction of the peak's work that is left for each CPU that the workers get."""
OVERLOAD_WAIT = 1.5
"""Times ``max_queued_seconds`` that the slowest admitted job may take, beside its own time."""
TIMES_ALONE = 3.3
"""A job of two seconds beside 32 callers of tiny ones, over its time alone."""
SERVED_ALIKE = 1.6
"""The p99 of 32 callers who post jobs of equal size, over the median."""
HOSTILE_REFUSED = 0.1
"""From the byte that makes a request hostile to the refusal."""
SLOW_REFUSED = 1.5
"""By how much a slow sender's time may be exceeded."""

KEYS_CHANGED = 4.0
"""From a change of the key file to its being in force in every ingress: two looks, a second apart, and a margin."""

MEMORY_FLAT = 5_000_000
"""By how many bytes a process may have grown after hundreds of refused requests."""
