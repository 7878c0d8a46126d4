"""Many updates, few edits: the newest text is shown at a bounded pace, older ones are skipped.

A platform's rate limiter may hold one edit for seconds. So edits run in a task of their own, the
reader of the stream never waits for them, and when the task comes back it takes the latest text.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

Shown = TypeVar("Shown")
"""What is shown: the text itself, or anything that tells one state of it from the next."""


class CoalescedEdits(Generic[Shown]):
    """Calls `show(text)` with the latest text, at most once every `interval_seconds`, one at a time.

    `interval_seconds` may be a function, asked before each pause, for a pace that follows the load.

    Usage: `edits.update(text)` as often as wanted, then `await edits.finish(text)` exactly once;
    or `await edits.close()`. An edit that fails is logged and the next one tried: only the failure of
    the last edit is raised, to the caller of `finish`.
    """

    def __init__(
        self,
        show: Callable[[Shown], Awaitable[None]],
        *,
        interval_seconds: float | Callable[[], float],
    ) -> None:
        self._show = show
        self._interval_seconds = interval_seconds
        self._latest: Shown | None = None
        self._shown: Shown | None = None
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name="coalesced-edits")

    def update(self, text: Shown) -> None:
        self._latest = text
        self._wake.set()

    async def finish(self, text: Shown) -> None:
        """Wait for the edit in flight, then show the final text (even if the pace says wait)."""
        self._closing.set()
        self._wake.set()
        await self._task
        if text != self._shown:
            await self._show(text)

    async def close(self) -> None:
        """Let go, also in the middle of an edit; nothing of it is left afterwards."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._closing.is_set():
                return
            text = self._latest
            if text is None or text == self._shown:
                continue
            try:
                await self._show(text)
                self._shown = text
            except asyncio.CancelledError:
                raise
            except Exception:
                log.warning("an edit failed; the next one carries the newer text", exc_info=True)
            try:
                pause = self._interval_seconds
                await asyncio.wait_for(self._closing.wait(), pause() if callable(pause) else pause)
            except TimeoutError:
                continue
            return
