"""What the load generators agree on."""

LEAD_SECONDS = 0.5
"""Between an open loop's start, when connections are made, and its first arrival."""
LINGER_SECONDS = 2.0
"""How long an open loop waits for answers after its last arrival."""


class LoadError(Exception):
    """Requests failed: the figures would mean nothing."""
