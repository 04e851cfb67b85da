"""The page that shows the OpenAPI document. It loads nothing from elsewhere: Swagger UI is in a locked package."""

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

# Addresses relative to the page, so that it works under any route prefix.
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Fibonacci service</title>
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
<link rel="icon" type="image/png" href="docs/assets/favicon.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
# A file of its own: the policy allows no script in the page.
SCRIPT = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
});
"""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
CACHE_CONTROL = "public, max-age=86400"


class Assets(StaticFiles):
    """Files that change only with a release, always whole."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As if no range had been asked for: one that does not exist Starlette refuses in plain text."""
        headers = [(name, value) for name, value in scope.get("headers", []) if name not in (b"range", b"if-range")]
        await super().__call__({**scope, "headers": headers}, receive, send)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Called by Starlette: the file, or 304."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = CACHE_CONTROL
        response.headers["Accept-Ranges"] = "none"
        return response


def add_docs_page(app: FastAPI) -> None:
    """Serve the page at ``/docs``."""

    @app.head("/docs", include_in_schema=False)
    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(PAGE, headers={"Content-Security-Policy": POLICY})

    @app.head("/docs/start.js", include_in_schema=False)
    @app.get("/docs/start.js", include_in_schema=False)
    async def start() -> Response:
        return Response(SCRIPT, media_type="text/javascript", headers={"Cache-Control": CACHE_CONTROL})

    app.mount("/docs/assets", Assets(packages=[("fastapi_offline", "static")]))
