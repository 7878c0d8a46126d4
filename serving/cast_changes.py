"""What follows in the gateway when the cast has changed (`serving.live_cast`): adapters, indexes, numbers.

In: who joined, changed or left. Out: each base's adapters and the retriever are told. Loading and verifying
goes on in tasks, one persona for itself; an engine that is not ready yet is asked later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine

from personae.errors import PersonaeError
from personae.persona import Cast
from personae.prompt import fingerprint
from personae.registry import Registry
from serving.bases import Base, Bases
from serving.live_cast import CastChange
from serving.metrics import Metrics
from serving.retrieval.retriever import Retriever

log = logging.getLogger(__name__)


class CastChanges:
    def __init__(
        self,
        *,
        cast: Cast,
        bases: Bases,
        registry: Registry,
        retriever: Retriever,
        metrics: Metrics,
    ) -> None:
        self._cast = cast
        self._bases = bases
        self._registry = registry
        self._retriever = retriever
        self._metrics = metrics
        self._tasks: set[asyncio.Task[None]] = set()

    async def follow(self, change: CastChange) -> None:
        """Returns when new personas can be asked; their adapters may take longer."""
        for persona in change.left:
            self._leave(persona, self._bases.for_persona(change.before[persona]))
            self._metrics.forget(persona)
        for persona in change.changed:
            old, new = change.before[persona], self._cast[persona]
            before, now = self._bases.for_persona(old), self._bases.for_persona(new)
            if before is not now:
                self._leave(persona, before)
            elif fingerprint(old) == fingerprint(new):
                continue
            now.adapters.silence(persona)
            self._join(persona, now)
        for persona in change.joined:
            self._join(persona, self._bases.of(persona))
        await self._retriever.refresh()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _join(self, persona: str, base: Base) -> None:
        self._begin(self._joined(persona, base), f"join {persona}")

    def _leave(self, persona: str, base: Base) -> None:
        self._begin(base.adapters.left(persona), f"leave {persona}")

    def _begin(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _joined(self, persona: str, base: Base) -> None:
        try:
            folder = self._cast.folder(persona)
            await asyncio.to_thread(self._registry.import_shipped, persona, folder)
        except (PersonaeError, OSError) as err:
            log.error("%s: %s", persona, err)
        try:
            await base.adapters.joined(persona, engine_ready=base.engine.ready)
        except PersonaeError as err:
            log.warning("%s: its adapters wait: %s", persona, err)
        except Exception:
            log.exception("%s: its adapters were not looked at", persona)
