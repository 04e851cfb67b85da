"""The page at ``/``: what the service does, live. Its files are in ``app/page``; it loads nothing from elsewhere."""

import hashlib
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response

from app.http.docs import Assets

FOLDER = Path(__file__).parents[1] / "page"
PLACEHOLDER = "{{assets}}"
"""In ``index.html``, where the folder of the other files is named."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
FOR_EVER = "public, max-age=31536000, immutable"


class Files(Assets):
    """Files whose address changes with what is in them."""

    async def get_response(self, path: str, scope: object) -> Response:
        """Called by Starlette: the file, or 304."""
        response = await super().get_response(path, scope)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = FOR_EVER
        return response


def assets_hash(folder: Path = FOLDER) -> str:
    """Twelve hexadecimal digits that change with any of the page's files."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def add_page(app: FastAPI) -> None:
    """Serve the page at the root. All its addresses are relative, so behind a route prefix it needs the slash."""
    assets = f"page/{assets_hash()}"
    page = (FOLDER / "index.html").read_text("utf-8").replace(PLACEHOLDER, assets)

    @app.head("/", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    @app.head("", include_in_schema=False)
    @app.get("", include_in_schema=False)
    async def root(request: Request) -> Response:
        if last := request.scope["path"].rpartition("/")[2]:
            return Response(status_code=307, headers={"Location": f"{last}/"})
        return HTMLResponse(page, headers={"Content-Security-Policy": POLICY})

    app.mount(f"/{assets}", Files(directory=FOLDER))
