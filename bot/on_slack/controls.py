"""The buttons below answers, and the modals that some of them open. Each knows its answer by the id in
its value; nothing else is remembered, so they work after any restart."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from slack_sdk.errors import SlackApiError

from bot.core.surface import View
from bot.on_slack import modals
from bot.on_slack.dialogs import Dialogs, notes_for
from bot.on_slack.errors import slack_code
from bot.on_slack.live import Live
from bot.on_slack.messages import pages
from bot.on_slack.mrkdwn import visible
from bot.on_slack.posted import CANT_POST, GONE, ChannelSurface, Messages
from bot.on_slack.private import PrivateSurface
from bot.on_slack.spot import Spot, spot_of
from bot.on_slack.visits import Visit, Wiring
from bot.state.records import Rating

log = logging.getLogger(__name__)

_REVISION_CHARACTERS = 3_000


class Controls:
    """What happens when somebody presses a button. `by_name` holds them all."""

    def __init__(self, wiring: Wiring, live: Live, dialogs: Dialogs) -> None:
        self._wiring = wiring
        self._desk = wiring.desk
        self._live = live
        self._dialogs = dialogs
        self.by_name: dict[str, Callable[[Visit, str], Awaitable[None]]] = {
            "rate": self._rate,
            "up": lambda visit, answer: self._rate(visit, f"up:{answer}"),
            "down": lambda visit, answer: self._rate(visit, f"down:{answer}"),
            "again": self._again,
            "other": self._dialogs.other,
            "sources": self._sources,
            "stop": self._stop,
            "delete": self._delete,
            "revise": self._revise,
            "share": self._share,
            "copy": self._copy,
            "lighter": lambda visit, answer: self._again(visit, answer, strength="lighter"),
            "stronger": lambda visit, answer: self._again(visit, answer, strength="stronger"),
        }

    async def _rate(self, visit: Visit, value: str) -> None:
        """👎 counts at once; the modal asks why, and may be closed."""
        said, _, answer = value.partition(":")
        rating: Rating = "up" if said == "up" else "down"
        if rating == "down":
            notes = notes_for(visit) | {"answer": answer}
            await self._dialogs.open(visit, modals.reason(visit.say, notes))
        sentence = await self._desk.rate(answer, visit.person, rating)
        await visit.tell(sentence)

    async def give_reason(self, visit: Visit, answer: str, reason: str) -> None:
        if reason.strip():
            await self._desk.rate(answer, visit.person, "down", reason.strip())

    async def _again(self, visit: Visit, answer: str, *, strength: str | None = None) -> None:
        await self._live.again(answer, self._beside(visit), visit, strength=strength)

    async def by_other(self, visit: Visit, answer: str, persona: str) -> None:
        await self._live.again(answer, self._beside(visit), visit, persona=persona)

    def _beside(self, visit: Visit) -> ChannelSurface | PrivateSurface:
        """Where another try of an answer belongs: below it in its thread; a private one in its place."""
        if visit.arrival.private:
            return visit.privately(replaces=True)
        if visit.spot.thread is None:
            return visit.in_channel(None)
        return visit.in_thread(visit.spot.thread)

    async def _sources(self, visit: Visit, answer: str) -> None:
        view = await self._desk.sources(answer, visit.person)
        if self._desk.is_operator(visit.person) and view.phase == "finished":
            view = _with_revise(view, answer)
        await visit.privately().show(view)

    async def _stop(self, visit: Visit, answer: str) -> None:
        await visit.tell(await self._desk.stop(answer, visit.person))

    async def _delete(self, visit: Visit, answer: str) -> None:
        if not await self._desk.may_delete(answer, visit.person):
            await visit.tell(visit.say("only-author-or-manager"))
            return
        record = await self._desk.record(answer)
        await self._desk.deleted(answer)
        if visit.arrival.private:
            await visit.private.remove()
            return
        reference = {str(k): str(v) for k, v in record.reference.items()} if record else {}
        shown = reference.get("messages", "").split()
        if visit.arrival.message and visit.arrival.message not in shown:
            shown.append(visit.arrival.message)  # a draft that was shared stands elsewhere
        messages = Messages(
            visit.workspace.client,
            spot_of(reference) or visit.spot,
            post_seconds=0.0,
            shown=tuple(shown),
        )
        try:
            await messages.remove()
        except SlackApiError as err:
            if slack_code(err) not in GONE:
                raise
        await visit.tell(visit.say("slack-deleted"))

    async def _revise(self, visit: Visit, answer: str) -> None:
        if not self._desk.is_operator(visit.person):
            await visit.tell(visit.say("only-operators"))
            return
        record = await self._desk.record(answer)
        notes = notes_for(visit) | {"answer": answer}
        text = record.text if record and len(record.text) <= _REVISION_CHARACTERS else ""
        await self._dialogs.open(visit, modals.revise(visit.say, notes, text=text))

    async def take_revision(self, visit: Visit, answer: str, text: str) -> None:
        await visit.tell(await self._desk.revise(answer, visit.person, text))

    async def _share(self, visit: Visit, answer: str) -> None:
        """A private draft, for everybody in the channel it was made in."""
        view = await self._desk.shared(answer, visit.person)
        if view.phase == "failed":
            await visit.privately().show(view)
            return
        spot = Spot(visit.spot.team, visit.spot.channel, visit.spot.user, visit.spot.thread)
        surface = ChannelSurface(
            visit.workspace.client, spot, post_seconds=self._wiring.post_seconds
        )
        try:
            await surface.bring_to(view)
        except SlackApiError as err:
            if slack_code(err) not in CANT_POST:
                raise
            await visit.private.post_publicly(pages(view))
        await visit.private.say(visit.say("slack-shared"), visit.person.locale, replaces=True)

    async def _copy(self, visit: Visit, answer: str) -> None:
        record = await self._desk.record(answer)
        if record is None or record.person_key != visit.person.key or not record.text:
            await visit.tell(visit.say("answer-gone"))
            return
        await self._dialogs.open(visit, modals.copy(visit.say, visible(record.text)))


def _with_revise(view: View, answer: str) -> View:
    """Only an operator's own view of an answer offers to write a better one."""
    if "revise" in view.controls:
        return view
    return replace(view, controls=(*view.controls, "revise"), answer_id=answer)
