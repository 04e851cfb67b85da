"""For how long no worker has been known to be alive."""


class Outage:
    """Begins when it is made: no worker has been named yet."""

    def __init__(self, limit_seconds: float, now: float) -> None:
        self._limit_seconds = limit_seconds
        self._since: float | None = now

    def note(self, now: float, *, any_worker: bool) -> None:
        """Say whether there is a worker now."""
        if any_worker:
            self._since = None
        elif self._since is None:
            self._since = now

    def lasts_too_long(self, now: float) -> bool:
        """Whether there has been no worker for at least the limit."""
        return self._since is not None and now - self._since >= self._limit_seconds
