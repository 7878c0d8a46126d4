"""Modals: opened within the three seconds that Slack gives, filled with what takes longer, taken back.

The personas to choose from may have to be asked for. So when they are not there at once, the modal opens
empty and is filled when they are.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from bot.on_slack import modals
from bot.on_slack.messages import Block
from bot.on_slack.mrkdwn import visible
from bot.on_slack.visits import Visit, Wiring
from personae.wire import PersonaCard

log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 1.0
_ABOUT_CHARACTERS = 1_000  # of the 3,000 that a modal can carry, each perhaps written as two


class Dialogs:
    """Opens modals for people."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring

    async def ask(self, visit: Visit, *, persona: str | None = None, about: str = "") -> None:
        notes = notes_for(visit) | ({"about": visible(about)[:_ABOUT_CHARACTERS]} if about else {})
        await self._with_personas(
            visit,
            "slack-ask-title",
            lambda cards: modals.ask(visit.say, cards, notes, persona=persona, about=about),
        )

    async def rewrite(self, visit: Visit, *, persona: str | None = None, text: str = "") -> None:
        notes = notes_for(visit)
        await self._with_personas(
            visit,
            "slack-rewrite-title",
            lambda cards: modals.rewrite(visit.say, cards, notes, persona=persona, text=text),
        )

    async def other(self, visit: Visit, answer_id: str) -> None:
        """Who else should answer the same."""
        notes = notes_for(visit) | {"answer": answer_id}
        record = await self._wiring.desk.record(answer_id)
        spoke = record.persona if record else ""

        def built(cards: Sequence[PersonaCard]) -> Block:
            others = [card for card in cards if card.id != spoke] or list(cards)
            return modals.other(visit.say, others, notes)

        await self._with_personas(visit, "slack-other-title", built)

    async def open(self, visit: Visit, view: Block) -> str:
        """The modal's id."""
        opened = await visit.workspace.client.views_open(
            trigger_id=visit.arrival.trigger_id or "", view=view
        )
        return str(opened["view"]["id"])

    async def _with_personas(
        self, visit: Visit, title: str, built: Callable[[Sequence[PersonaCard]], Block]
    ) -> None:
        asking = asyncio.ensure_future(self._wiring.desk.personas(visit.place, visit.person))
        try:
            cards = await asyncio.wait_for(asyncio.shield(asking), _PATIENCE_SECONDS)
        except TimeoutError:
            loading = modals.sentence(visit.say, title, visit.say("slack-loading"))
            view_id = await self.open(visit, loading)
            cards = await asking
            view = built(cards) if cards else await self._nobody(visit, title)
            await visit.workspace.client.views_update(view_id=view_id, view=view)
            return
        await self.open(visit, built(cards) if cards else await self._nobody(visit, title))

    async def _nobody(self, visit: Visit, title: str) -> Block:
        return modals.sentence(visit.say, title, await visit.why_nobody())


def notes_for(visit: Visit) -> dict[str, str]:
    """What the sending of a modal has to know of where it was opened."""
    arrival = visit.arrival
    notes = {"channel": arrival.channel}
    if arrival.thread:
        notes["thread"] = arrival.thread
    if arrival.response_url:
        notes["url"] = arrival.response_url
    if arrival.private:
        notes["private"] = "yes"
    return notes
