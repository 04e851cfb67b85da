"""How many processes each peer gets: as many as the service gets workers."""

import os

CPUS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
