"""The answers that are being shown right now, so that Slack's own stop button finds them; and how the
answers of a process that is gone are found again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from dataclasses import replace

from bot.core.order import Order
from bot.core.surface import Surface, View
from bot.on_slack.installs import Workspaces
from bot.on_slack.posted import ChannelSurface
from bot.on_slack.private import PrivateSurface
from bot.on_slack.spot import Spot, spot_of
from bot.on_slack.visits import Visit, Wiring
from bot.state.records import AnswerRecord

log = logging.getLogger(__name__)


class Known:
    """A surface that remembers whose answer it shows."""

    def __init__(self, surface: Surface, spot: Spot) -> None:
        self._surface = surface
        self.spot = spot
        self.answer_id = ""
        self.ended = asyncio.Event()

    @property
    def gone(self) -> bool:
        return self._surface.gone

    @property
    def reference(self) -> dict[str, str]:
        return self._surface.reference

    async def wait(self) -> None:
        await self._surface.wait()

    async def show(self, view: View) -> None:
        self.answer_id = view.answer_id or self.answer_id
        await self._surface.show(view)

    async def close(self) -> None:
        await self._surface.close()


class Live:
    """Hands orders to the desk and knows where their answers are."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._shown: set[Known] = set()

    async def answer(
        self, order: Order, surface: ChannelSurface | PrivateSurface, visit: Visit
    ) -> None:
        visit.handed_over = True
        spot = replace(surface.spot, thread=order.place.thread)
        with self._showing(surface, spot) as known:
            await self._wiring.desk.answer(order, known)

    async def again(
        self,
        answer_id: str,
        surface: ChannelSurface | PrivateSurface,
        visit: Visit,
        *,
        persona: str | None = None,
        strength: str | None = None,
    ) -> None:
        visit.handed_over = True
        with self._showing(surface, surface.spot) as known:
            await self._wiring.desk.again(
                answer_id,
                visit.person,
                surface.spot.place(),
                visit.arrival.key,
                known,
                persona=persona,
                strength=strength,  # type: ignore[arg-type]
            )

    def goes_on_in(self, spot: Spot) -> bool:
        """Whether an answer is under way in this thread."""
        return bool(self._in(spot))

    async def quiet(self, spot: Spot) -> None:
        """Wait until the answers under way in this thread have ended: what is asked next refers to them."""
        for known in self._in(spot):
            await known.ended.wait()

    def _in(self, spot: Spot) -> list[Known]:
        here = (spot.team, spot.channel, spot.thread)
        return [
            known
            for known in self._shown
            if (known.spot.team, known.spot.channel, known.spot.thread) == here
        ]

    @contextlib.contextmanager
    def _showing(self, surface: Surface, spot: Spot) -> Iterator[Known]:
        known = Known(surface, spot)
        self._shown.add(known)
        try:
            yield known
        finally:
            self._shown.discard(known)
            known.ended.set()

    async def stop(self, visit: Visit) -> None:
        """Somebody pressed Slack's stop button in a thread: every answer there ends, if it is theirs."""
        found = [known for known in self._in(visit.spot) if known.answer_id]
        for known in found:
            sentence = await self._wiring.desk.stop(known.answer_id, visit.person)
            log.info("an answer was stopped by Slack's own button")
            if len(found) == 1 and known in self._shown and not visit.spot.direct:
                await visit.tell(sentence)


async def reopened(
    record: AnswerRecord, workspaces: Workspaces, *, post_seconds: float
) -> Surface | None:
    """Where an answer of an earlier process stands, to be ended there; None where nothing is known."""
    spot = spot_of({str(name): str(value) for name, value in record.reference.items()})
    if spot is None:
        return None
    workspace = await workspaces.of(spot.team)
    if record.reference.get("private"):
        return PrivateSurface(workspace.client, spot)
    shown = tuple(str(record.reference.get("messages", "")).split())
    return ChannelSurface(workspace.client, spot, post_seconds=post_seconds, shown=shown)
