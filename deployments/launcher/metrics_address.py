"""Where Prometheus finds the metrics: Ray's agent shows them on loopback and, if asked to, HAProxy beyond it."""

from dataclasses import dataclass

from deployments.launcher.addresses import LOOPBACK, Address, resolve
from deployments.launcher.console import LaunchError
from deployments.launcher.ports import check_free, free_port

PORT = 9464
"""The usual one of OpenTelemetry's: beyond loopback somebody has to know it beforehand."""


@dataclass(frozen=True, slots=True)
class MetricsAddress:
    """What was asked for."""

    shown: Address | None
    """Where HAProxy shows them; None: nowhere but on loopback."""
    port: int | None
    """The agent's; None: any that is free."""

    @property
    def taken(self) -> Address | None:
        """What nobody else may have, if that is known beforehand."""
        return self.shown or (None if self.port is None else Address((LOOPBACK,), self.port))

    @property
    def exposure(self) -> str:
        """What an operator who shows them beyond loopback should know; empty on loopback."""
        if self.shown is None or self.shown.is_loopback:
            return ""
        where = ", ".join(self.shown.hosts)
        return f"{where} is not loopback: anyone who reaches port {self.shown.port} can read the metrics"

    def agent_port(self) -> int:
        """For one start. Raises ``PortTakenError`` if the one that was asked for is taken."""
        if (address := self.taken) is not None:
            for host in address.hosts:
                check_free(host, address.port)
        return free_port() if self.port is None else self.port

    def url(self, agent_port: int) -> str:
        """Where this machine reads them."""
        return f"{self.shown.url if self.shown else f'http://{LOOPBACK}:{agent_port}'}/metrics"

    def for_haproxy(self, agent_port: int) -> str:
        """What ``deployments.haproxy`` is told: the agent's port and where to show it; empty if nowhere."""
        return "" if self.shown is None else " ".join((str(agent_port), ",".join(self.shown.binds)))


def read_metrics_address(host: str | None, port: int | None) -> MetricsAddress:
    """Raises ``PortTakenError`` if nothing can listen there, ``LaunchError`` if they are not a host and a port."""
    beyond = host not in (None, LOOPBACK)
    try:
        address = resolve(host, (PORT if beyond else 0) if port is None else port)
    except ValueError as error:
        raise LaunchError(f"metrics: {error}") from None
    if beyond:
        return MetricsAddress(address, None)
    return MetricsAddress(None, address.port if port else None)
