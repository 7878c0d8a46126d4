"""From a question to a shown answer: gateway stream in, growing reply out, every task tracked.

`Answers` runs the streams and sets the pace of the edits; `Names` knows which personas there are,
for the parsing of what people type; `Tasks` keeps the running work and ends it at the stop.
None of them knows how a question arrived.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field

from bot.core.answer import Answer
from bot.core.edits import CoalescedEdits
from bot.core.gateway_client import GatewayClient
from bot.on_slack.blocks import pages
from bot.on_slack.errors import explain
from bot.on_slack.replies import Reply
from bot.on_slack.text import names_of
from personae.errors import PersonaeError
from personae.wire import AskRequest, ErrorEvent, RewriteRequest

log = logging.getLogger(__name__)

_NAMES_SECONDS = 2.0


@dataclass
class Talk:
    """One answer on its way: what it says so far, where it is shown, what stands above it."""

    reply: Reply
    heading: str = ""
    answer: Answer = field(default_factory=Answer)

    async def show(self) -> None:
        final = self.answer.finished
        await self.reply.show(pages(self.answer, self.heading), final=final)

    async def end(self, event: ErrorEvent) -> None:
        """End an answer that something stopped; a complete one is shown as it is."""
        if not self.answer.finished:
            self.answer.add(event)
        await self.show()


class Answers:
    """Streams answers into replies.

    Args:
        edit_seconds: the pace of edits while one answer is in flight. Slack counts edits for the
            whole app (50 a minute), so with n answers in flight each is edited n times as rarely:
            1.5 s makes 40 a minute and leaves room for the last edits.
    """

    def __init__(self, gateway: GatewayClient, *, edit_seconds: float) -> None:
        self._gateway = gateway
        self._edit_seconds = edit_seconds
        self._in_flight = 0

    async def run(self, request: AskRequest | RewriteRequest, talk: Talk) -> None:
        """Show the whole answer, as it grows. A failure of the gateway is part of the answer."""
        version = 0
        self._in_flight += 1
        edits = CoalescedEdits[int](lambda _: talk.show(), interval_seconds=self._pace)
        try:
            try:
                async with contextlib.aclosing(self._gateway.stream(request)) as events:
                    async for event in events:
                        if talk.reply.gone:
                            return
                        talk.answer.add(event)
                        version += 1
                        edits.update(version)
            except PersonaeError as err:
                talk.answer.add(explain(err))
            await edits.finish(version + 1)
        finally:
            edits.cancel()
            self._in_flight -= 1
        meta = talk.answer.meta
        log.info("answered request %s", meta.request_id if meta else "(refused)")

    def _pace(self) -> float:
        return self._edit_seconds * max(1, self._in_flight)


class Names:
    """The personas of the gateway by the names people type, remembered for a minute."""

    def __init__(self, gateway: GatewayClient, *, ttl_seconds: float = 60.0) -> None:
        self._gateway = gateway
        self._ttl_seconds = ttl_seconds
        self._known: dict[str, str] = {}
        self._fresh_until = 0.0
        self._asking = asyncio.Lock()

    async def get(self) -> Mapping[str, str]:
        """Lower-case name → id: the last known ones, perhaps none, when the gateway is slow.

        Raises:
            PersonaeError: the gateway fails, and no names are known from before.
        """
        async with self._asking:
            if time.monotonic() >= self._fresh_until:
                try:
                    async with asyncio.timeout(_NAMES_SECONDS):
                        cards = (await self._gateway.personas()).personas
                except TimeoutError:
                    log.info("the gateway is slow to name its personas")
                except PersonaeError:
                    if not self._known:
                        raise
                else:
                    self._known = names_of((card.id, card.display_name) for card in cards)
                    self._fresh_until = time.monotonic() + self._ttl_seconds
        return self._known


class Tasks:
    """The running work. Listeners only start tasks here, so that Slack is answered at once."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

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
