"""The console's files over HTTP."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from serving.console.assets import FOLDER, load_assets
from tests.conftest import RunningGateway

MOST_BYTES = 200_000


@pytest_asyncio.fixture(loop_scope="session")
async def http(gateway: RunningGateway) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(gateway.url, auto_decompress=False) as session:
        yield session


async def test_the_page_is_served_with_the_headers_that_keep_it_honest(http):
    """Only own scripts run, nobody frames it, and no address leaks; the same for each file."""
    for path in ("/", "/console/static/main.js"):
        async with http.get(path) as response:
            assert response.status == 200
            policy = response.headers["Content-Security-Policy"]
            assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Referrer-Policy"] == "no-referrer"
            assert response.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_a_browser_that_has_a_file_gets_none(http, encoding):
    headers = {"Accept-Encoding": encoding}
    async with http.get("/console/static/style.css", headers=headers) as response:
        body = await response.read()
        tag = response.headers["ETag"]
        assert response.headers.get("Content-Encoding", "identity") == encoding
    whole = gzip.decompress(body) if encoding == "gzip" else body
    assert whole == (FOLDER / "style.css").read_bytes()
    headers |= {"If-None-Match": tag}
    async with http.get("/console/static/style.css", headers=headers) as response:
        assert (response.status, await response.read()) == (304, b"")
        assert response.headers["ETag"] == tag
    headers |= {"If-None-Match": '"of yesterday"'}
    async with http.get("/console/static/style.css", headers=headers) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    "name", ["nothing.js", "..%2f__init__.py", "%2e%2e/assets.py", "assets.py", ".", "a%00b"]
)
async def test_nothing_but_the_console_is_served(http, name):
    async with http.get(f"/console/static/{name}") as response:
        assert response.status == 404
        assert (await response.json())["error"]["code"] == "not_found"


def test_all_of_the_console_is_small():
    """Every file together, unpacked: what a phone reads the first time is a quarter of it."""
    sizes = {name: len(asset.body) for name, asset in load_assets().items()}
    assert len(sizes) > 10
    assert sum(sizes.values()) <= MOST_BYTES, sizes
    assert {path.name for path in FOLDER.iterdir()} == set(sizes), "a file that is not served"
