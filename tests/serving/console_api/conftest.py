"""A browser's end: it keeps the cookie, and may sign in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from personae.console_wire import CONSOLE_HEADER
from tests.conftest import RunningGateway

CONSOLE = {CONSOLE_HEADER: "1"}


class Browser:
    """Requests as the console sends them."""

    def __init__(self, http: aiohttp.ClientSession, gateway: RunningGateway) -> None:
        self.http = http
        self.gateway = gateway

    async def get(self, path: str, status: int = 200) -> Any:
        async with self.http.get(path) as response:
            assert response.status == status, await response.text()
            return await response.json()

    async def post(self, path: str, body: dict[str, Any], status: int = 200) -> Any:
        headers = CONSOLE | {"Origin": self.gateway.url}
        async with self.http.post(path, json=body, headers=headers) as response:
            assert response.status == status, await response.text()
            return await response.json() if response.content_type == "application/json" else None

    async def sign_in(self) -> None:
        await self.post("/console/session", {"key": self.gateway.admin_key}, status=204)


@pytest.fixture
async def browser(gateway: RunningGateway) -> AsyncIterator[Browser]:
    jar = aiohttp.CookieJar(unsafe=True)  # or it takes no cookie of an IP address
    async with aiohttp.ClientSession(gateway.url, cookie_jar=jar) as http:
        yield Browser(http, gateway)
