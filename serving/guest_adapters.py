"""Voices beside the live ones: versions that conversations began with, and lighter or stronger variants.

A guest is loaded when a request wants it, one at a time and a bounded number of them, checked like a version
that goes live, and unloaded when nobody has needed it for the grace of `serving.loaded_adapters`, or sooner
when another guest wants its place. A version that a pointer needs is no guest and never makes room.

A request waits a bounded time. A load goes on when it has given up, for the next question.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection

from personae.errors import AdapterError, PersonaeError, UnknownVersion
from serving.loaded_adapters import LoadedAdapters
from serving.variants import Voice
from serving.wishes import Missing

log = logging.getLogger(__name__)


class GuestAdapters:
    """Guests in one engine.

    Args:
        most: how many may be loaded at a time, as things stand.
        needed: names of the versions that pointers need.
    """

    def __init__(
        self,
        loaded: LoadedAdapters,
        *,
        most: Callable[[], int],
        needed: Callable[[], Collection[str]],
    ) -> None:
        self._loaded = loaded
        self._most = most
        self._needed = needed
        self._loads: dict[str, asyncio.Task[Missing | None]] = {}
        self._one_at_a_time = asyncio.Lock()

    async def why_missing(self, voice: Voice, *, until: float) -> Missing | None:
        """None once a voice is sound in the engine, which is seen to; else why it is not.

        Args:
            until: the event loop's time to wait to; nothing is begun after it.
        """
        if self._loaded.is_sound(voice.name):
            return None
        left = until - asyncio.get_running_loop().time()
        task = self._loads.get(voice.name)
        if task is None:
            if left <= 0:
                return "later"
            if len(self._loads) > self._most():  # those in line for a place would fill them all
                return "full"
            task = asyncio.create_task(self._load(voice), name=f"load {voice.name}")
            self._loads[voice.name] = task
            task.add_done_callback(lambda _done: self._loads.pop(voice.name, None))
        done, _ = await asyncio.wait([task], timeout=max(0.0, left))
        return "later" if not done or task.cancelled() else task.result()

    async def close(self) -> None:
        """End what is being loaded."""
        tasks = list(self._loads.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _load(self, voice: Voice) -> Missing | None:
        try:
            await self._loaded.find(voice)  # before anybody waits, or makes room, for nothing
            async with self._one_at_a_time:
                await self._loaded.look()
                if not await self._has_room(voice):
                    return "full"
                await self._loaded.require(voice)
        except UnknownVersion:
            return "unknown"
        except AdapterError as err:
            log.info("%s can't be a guest: %s", voice.name, err.code)
            return "unusable"
        except PersonaeError as err:
            log.warning("%s can't be loaded now: %s", voice.name, err)
            return "later"
        except Exception:  # whatever it was, the live version can speak
            log.exception("%s can't be loaded", voice.name)
            return "later"
        log.info("%s is a guest", voice.name)
        return None

    async def _has_room(self, voice: Voice) -> bool:
        """Whether there is a place, made by the guest that was idle for longest if need be."""
        while voice.name not in self._needed():
            guests = [
                other
                for other in self._loaded.voices
                if other != voice and other.name not in self._needed()
            ]
            if len(guests) < self._most():
                return True
            if not await self._loaded.unload_longest_idle(guests):
                return False
        return True
