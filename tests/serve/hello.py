"""Another application, as small as can be: one replica, with the CPU that Serve gives it by default."""

from ray import serve


@serve.deployment
class Hello:
    """Answers whatever it is asked."""

    async def __call__(self) -> str:
        """Say hello."""
        return "hello"


app = Hello.bind()  # type: ignore[attr-defined]
