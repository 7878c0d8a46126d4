"""One at a time through a door: a burst that arrives in one turn of the event loop is spread over many.

Two hundred handlers that begin in the same turn hold the loop for all their first steps together; through
the turnstile each begins in a turn of its own, and heartbeats come between. No I/O; it keeps nothing.
"""

from __future__ import annotations

import asyncio


class Turnstile:
    """`await turnstile.passed()` returns in the order of the calls, one in each turn of the loop."""

    def __init__(self) -> None:
        self._door = asyncio.Lock()

    async def passed(self) -> None:
        async with self._door:
            await asyncio.sleep(0)
