"""Work that must not be cut in half: the last words of an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def see_through(work: Coroutine[Any, Any, T]) -> T:
    """Do `work` to its end even if cancelled meanwhile, and only then be cancelled.

    A second cancellation ends the work itself.
    """
    task = asyncio.create_task(work, name="see-through")
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not complain of it
        raise
