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
KEEPER_REPLACED = 15.0
"""From the death of the keeper to its durable jobs being computed again."""
KEEPER_FROZEN = 30.0
"""From the keeper's standing still, or the controller's death, to durable jobs being computed."""
KEEPER_CUT_OFF = 90.0
"""The same from the link of the keeper's node being down: Ray takes the node for dead after a minute."""
COMPUTED_TWICE = 2.0
"""Core-seconds a worker that the death of a keeper may cost."""
DURABLE_AGAIN = 5.0
"""From "ready" of a service that was started again, or from its database being back, to durable jobs being computed."""
ACCEPTED_P99, ACCEPTED_BUSY_P99 = 0.05, 0.15
"""A 202, of an idle service and while all workers compute."""
STATUS_P99 = 0.1
"""GET /jobs/{id} while all workers compute."""
CANCEL_P99 = 0.1
"""The answer to a cancellation."""
OTHER_INGRESS = 1.0
"""From an ingress's death to the other's serving every request."""
BESIDE_DURABLE, BESIDE_DURABLE_MORE = 1.2, 0.02
"""By how many times, and by how many seconds more, a durable job that fills the pool may lengthen tiny jobs' p99."""
DURABLE_SHARE = 0.1
"""Fraction of the workers' computing that durable jobs get, whatever else is there."""
DURABLE_COST = 1.02
"""A durable job's time over that of the same job synchronously."""
FORECAST = 0.25
"""The median error of a predicted end, as a fraction of the time that was left."""
NO_STORE = 5.0
"""From "ready" of a service that cannot have the stored jobs to its saying so."""
DISK_FULL = 0.1
"""How long the refusal of a durable job may take while the disk is full."""
DISK_FREE = 3.0
"""From there being space again to durable jobs being accepted."""
TAKEN_OVER = 10.0
"""From one service's end to durable jobs being computed by another that waited for them."""
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
WATCHED, WATCHED_MORE = 1.05, 0.005
"""By how many times, and by how many seconds more, viewers of the page may lengthen tiny jobs' p99."""
WATCHED_MB = 16.0
"""By how much the ingress may grow with as many viewers as there may be, none of whom reads."""
