"""``Authorization: Bearer`` in front of the API: who calls, or 401 before any of the body is read (RFC 6750)."""

from typing import Any

from fastapi import FastAPI, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.http.problem_docs import problem_docs
from app.http.problems import problem_response, untyped_problem
from app.keys import KnowsCallers

OPEN_PATHS = frozenset({"", "/", "/livez", "/readyz", "/docs", "/openapi.json", "/problems"})
OPEN_FOLDERS = ("/problems/", "/docs/", "/page/")
"""Open to probes and browsers. Everything else needs a key, even paths that do not exist: a new route is closed."""
SCHEME = "apiKey"
CHALLENGE = 'Bearer realm="fibonacci"'
NEEDED = "An API key is needed: Authorization: Bearer KEY."
OTHER_SCHEMES = {
    name.lower().encode(): name for name in ("Basic", "Digest", "Negotiate", "NTLM", "OAuth", "Token", "ApiKey", "Key")
}
"""Schemes that clients are seen to send instead. Anything else before the space may be the key itself."""
NETRC = " (from a .netrc file, or a name in the address?)"
EXAMPLES: dict[str, list[bytes]] = {"none": [], "basic": [b"Basic YTpi"], "invalid": [b"Bearer fib_0"]}


def is_open(path: str) -> bool:
    """Whether the path needs no key."""
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)


def caller_of(request: Request) -> str:
    """The name of the caller's key; empty if the service has no keys."""
    caller: str = request.scope.get("caller", "")
    return caller


def require_keys(app: FastAPI, keys: KnowsCallers) -> None:
    """Answer requests without one of ``keys`` with 401, and say so in the OpenAPI document."""
    app.add_middleware(Authentication, keys=keys)
    undocumented = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _document(undocumented())
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]


class Authentication:
    """Lets requests with a key through, with its name as ``caller`` in the scope."""

    def __init__(self, app: ASGIApp, keys: KnowsCallers) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer 401."""
        if scope["type"] == "http" and not is_open(scope["path"].removeprefix(scope.get("root_path", ""))):
            shown = [value for name, value in scope["headers"] if name == b"authorization"]
            caller = self._caller(shown)
            if caller is None:
                await _refusal(Request(scope), shown)(scope, receive, send)
                return
            scope["caller"] = caller
        await self._app(scope, receive, send)

    def _caller(self, shown: list[bytes]) -> str | None:
        """Whose key it is; bytes throughout, since anything may have been sent."""
        if len(shown) != 1:
            return None
        scheme, _, key = shown[0].partition(b" ")
        return self._keys.caller(key.strip(b" ")) if scheme.lower() == b"bearer" else None


def _refusal(request: Request, shown: list[bytes]) -> ASGIApp:
    challenge = f'{CHALLENGE}, error="invalid_token"' if any(map(_is_bearer, shown)) else CHALLENGE
    return problem_response(request, untyped_problem(401, _detail(shown)), {"WWW-Authenticate": challenge})


def _is_bearer(value: bytes) -> bool:
    return value[:6].lower() == b"bearer"


def _detail(shown: list[bytes]) -> str:
    """What is wrong with what was sent. Only the name of a scheme is repeated: the rest may be a secret."""
    if not shown:
        return NEEDED
    if len(shown) > 1:
        return f"{NEEDED} {len(shown)} Authorization headers were sent; send one."
    (value,) = shown
    if not value.strip():
        return f"{NEEDED} The header is empty."
    if _is_bearer(value):
        return "This API key is not valid." if value[6:].strip() else f"{NEEDED} Bearer was sent without one."
    scheme, space, _ = value.partition(b" ")
    if space and (name := OTHER_SCHEMES.get(scheme.lower())):
        return f"{NEEDED} {name} was sent instead{NETRC if name == 'Basic' else ''}."
    return f"{NEEDED} The header does not begin with Bearer."


def _document(document: dict[str, Any]) -> None:
    schemes = document["components"].setdefault("securitySchemes", {})
    schemes[SCHEME] = {"type": "http", "scheme": "bearer", "description": "A key made by `make key`."}
    challenge = {"schema": {"type": "string"}, "description": "Bearer, as in RFC 6750."}
    refusal = problem_docs(401)[401] | {"headers": {"WWW-Authenticate": challenge}}
    refusal["content"]["application/problem+json"]["examples"] = {
        name: {"value": untyped_problem(401, _detail(shown)).model_dump(exclude_none=True)}
        for name, shown in EXAMPLES.items()
    }
    for path, operations in document["paths"].items():
        if not is_open(path):
            for operation in operations.values():
                operation["security"] = [{SCHEME: []}]
                operation["responses"]["401"] = refusal
