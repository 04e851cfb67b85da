"""How many processes each peer gets: as many as the service gets workers."""

from deployments.launcher.machine import usable_cpus

CPUS = usable_cpus()
