"""The console's files over HTTP: `GET /` and `GET /console/static/{name}`.

In: the folder `static/` of this package, read once when the routes are made. Out: routes. There is no build
step: the browser gets the files as they stand here, as ES modules. Every file goes with the headers that
keep a page honest: only this gateway's own scripts and styles run, nothing is asked of another host, nobody
may frame it, and no address of it leaks to a source that somebody follows. Browsers ask each time whether a
file has changed (`ETag`), so that an old script never meets a new gateway.

It knows no page and no API: sessions and data are `serving.console_api`'s.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from personae.errors import UnknownRoute

FOLDER = Path(__file__).parent / "static"

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}
_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Asset:
    body: bytes
    packed: bytes
    """The same by gzip: a quarter of it."""
    content_type: str
    tag: str
    """Changes with the file."""


def load_assets(folder: Path = FOLDER) -> dict[str, Asset]:
    """Every file of the console by its name."""
    assets = {}
    for path in sorted(folder.iterdir()):
        if content_type := _TYPES.get(path.suffix):
            body = path.read_bytes()
            tag = hashlib.sha256(body).hexdigest()[:16]
            packed = gzip.compress(body, mtime=0)
            assets[path.name] = Asset(body, packed, content_type, tag)
    return assets


def routes() -> list[web.RouteDef]:
    """The page and its files, open to everybody: they hold nothing of this gateway's."""
    assets = load_assets()

    async def page(request: web.Request) -> web.Response:
        return _reply(request, assets["index.html"])

    async def file(request: web.Request) -> web.Response:
        asset = assets.get(request.match_info["name"])
        if asset is None:
            raise UnknownRoute(f"There is nothing at {request.path}.")
        return _reply(request, asset)

    return [web.get("/", page), web.get("/console/static/{name}", file)]


def _reply(request: web.Request, asset: Asset) -> web.Response:
    """The file, or 304 for a browser that has it."""
    packs = "gzip" in request.headers.get("Accept-Encoding", "")
    # Two encodings are two representations, and a strong tag names one.
    tag = f"{asset.tag}-gzip" if packs else asset.tag
    if any(held.value in (tag, "*") for held in request.if_none_match or ()):
        response = web.Response(status=304, headers=HEADERS)
    else:
        response = web.Response(
            body=asset.packed if packs else asset.body,
            headers=HEADERS,
            content_type=asset.content_type,
            charset="utf-8",
        )
        if packs:
            response.headers["Content-Encoding"] = "gzip"
    response.etag = tag
    return response
