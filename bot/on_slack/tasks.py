"""The work that runs behind the listeners: each piece a task of its own, none lost, all ended at the stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine

log = logging.getLogger(__name__)


class Tasks:
    """The running work. Listeners only start tasks here, so that Slack is answered at once."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def start(self, work: Coroutine[object, object, None], *, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)

    async def stop(self, *, grace_seconds: float) -> None:
        """Cancel everything and let it say its last words."""
        running = set(self._running)
        for task in running:
            task.cancel()
        if running:
            _, left = await asyncio.wait(running, timeout=grace_seconds)
            for task in left:
                log.warning("%s did not end in time", task.get_name())
                task.cancel()
            if left:
                await asyncio.wait(left, timeout=1.0)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("%s failed", task.get_name(), exc_info=task.exception())
