"""``Authorization: Bearer`` in front of the API: who calls, or 401 before anything of the body is read (RFC 6750)."""

from typing import Any

from fastapi import FastAPI, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.keys import ApiKeys
from app.problems import problem_docs, problem_response, untyped_problem

OPEN_PATHS = frozenset({"/livez", "/readyz", "/docs", "/openapi.json"})
OPEN_FOLDERS = ("/problems/", "/docs/")
"""What probes and people read. Everything else needs a key, also what does not exist: a new route is closed."""
SCHEME = "apiKey"
CHALLENGE = 'Bearer realm="fibonacci"'


def is_open(path: str) -> bool:
    """Whether the path needs no key."""
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)


def caller_of(request: Request) -> str:
    """The name of the caller's key; empty if the service has no keys."""
    caller: str = request.scope.get("caller", "")
    return caller


def require_keys(app: FastAPI, keys: ApiKeys) -> None:
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

    def __init__(self, app: ASGIApp, keys: ApiKeys) -> None:
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
        """Whose key it is; bytes all the way, since anything may stand there."""
        if len(shown) != 1:
            return None
        scheme, _, key = shown[0].partition(b" ")
        return self._keys.caller(key.strip(b" ")) if scheme.lower() == b"bearer" else None


def _refusal(request: Request, shown: list[bytes]) -> ASGIApp:
    if any(value[:6].lower() == b"bearer" for value in shown):
        detail, challenge = "This API key is not valid.", f'{CHALLENGE}, error="invalid_token"'
    else:
        detail, challenge = "An API key is needed: Authorization: Bearer KEY.", CHALLENGE
    return problem_response(request, untyped_problem(401, detail), {"WWW-Authenticate": challenge})


def _document(document: dict[str, Any]) -> None:
    schemes = document["components"].setdefault("securitySchemes", {})
    schemes[SCHEME] = {"type": "http", "scheme": "bearer", "description": "A key made by `make key`."}
    challenge = {"schema": {"type": "string"}, "description": "Bearer, as in RFC 6750."}
    refusal = problem_docs(401)[401] | {"headers": {"WWW-Authenticate": challenge}}
    for path, operations in document["paths"].items():
        if not is_open(path):
            for operation in operations.values():
                operation["security"] = [{SCHEME: []}]
                operation["responses"]["401"] = refusal
