"""What every stream of server-sent events over HTTP has: its headers, and signs of life."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

_KEEP_ALIVE_SECONDS = 15.0

SSE_HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # nginx would hold the stream back
}


@contextlib.asynccontextmanager
async def kept_alive(response: web.StreamResponse) -> AsyncIterator[None]:
    """Send a comment now and then, so that no proxy takes a waiting stream for a dead one."""

    async def beat() -> None:
        with contextlib.suppress(ConnectionResetError):
            while True:
                await asyncio.sleep(_KEEP_ALIVE_SECONDS)
                await response.write(b": still here\n\n")

    beating = asyncio.create_task(beat(), name="keep-alive")
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.wait({beating})
