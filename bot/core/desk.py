"""The desk: where every question is taken, answered and looked after, on whatever platform it came.

A platform makes an `Order` of its event and a `Surface` of the place to answer in, and calls `answer`.
Everything people do with an answer afterwards (stop, rate, another try, sources, share, delete) comes
back here by the answer's id. In: people, places, orders. Out: `View`s on surfaces, and sentences in the
person's language. It knows the gateway's client and the bots' state; it knows no platform.

Nothing here raises a `PersonaeError` to the platform: what went wrong is said to the person.

    desk.py          who asks for what                attendance.py  what is under way
    intake.py        may it be answered, by whom      rulebook.py, rules.py, policy.py
    delivery.py      one answer, stream to surface    views.py      what is shown of it
    conversation.py  pins, defaults, memory           limits.py     quotas
    turnstile.py     a burst, one at a time           own_data.py    what is kept of people
    directory.py     which personas there are         feedback.py, alerts.py, recovery.py, admin.py
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from weakref import WeakValueDictionary

from bot.core import directory, feedback, recovery, views
from bot.core.alerts import Alerts, Post
from bot.core.attendance import (
    Another,
    AnswerResult,
    Attendance,
    NewStrength,
    new_id,
    place_of,
)
from bot.core.conversation import Conversations, holds
from bot.core.delivery import Room, Running
from bot.core.directory import Directory
from bot.core.gateway_client import GatewayClient
from bot.core.intake import Intake
from bot.core.limits import Limits
from bot.core.order import Order
from bot.core.own_data import OwnData
from bot.core.people import Person, Place, Platform
from bot.core.policy import PolicySettings
from bot.core.recovery import Reopen
from bot.core.rulebook import Rulebook
from bot.core.rules import Rules
from bot.core.sentences import LANGUAGES, Say, speaker
from bot.core.surface import Speaker, Surface, View
from bot.state.records import AnswerRecord, Rating
from bot.state.store import State
from personae.errors import PersonaeError
from personae.wire import PersonaCard

__all__ = ["AnswerResult", "Desk", "NewStrength"]

log = logging.getLogger(__name__)


class Desk(OwnData):
    """One for each bot application (Discord) or process (Slack).

    Args:
        owner: names the application or installation, the same after every restart.
        edit_seconds: pace of the edits of one answer; a function is asked before each pause.
        alert: posts a sentence (server, channel, Markdown) to the channel that people set for unanswered
            questions; None: nobody is told.
        alert_seconds: at most one alert of a persona in so long.
        alone: whether the bot is in one server only, so that who manages it may do what holds for all.
    """

    def __init__(
        self,
        *,
        gateway: GatewayClient,
        state: State,
        platform: Platform,
        owner: str,
        edit_seconds: float | Callable[[], float],
        policy: PolicySettings | None = None,
        alert: Post | None = None,
        alert_seconds: float = 60.0,
        alone: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._alone = alone
        self._ratings: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        for language in LANGUAGES:
            speaker(language)  # read here, where nobody waits yet: it takes a tenth of a second
        self.gateway = gateway
        self.state = state
        self.policy = policy or PolicySettings()
        self.platform: Platform = platform
        self.directory = Directory(gateway)
        self.conversations = Conversations(
            state, memory_seconds=self.policy.memory_seconds, clock=clock
        )
        self.limits = Limits(state, self.policy)
        self._owner = owner
        self._rulebook = Rulebook(state)
        self._alerts = Alerts(alert, every_seconds=alert_seconds)
        intake = Intake(
            state=state,
            directory=self.directory,
            conversations=self.conversations,
            limits=self.limits,
            is_operator=self.is_operator,
        )
        room = Room(
            gateway=gateway,
            state=state,
            conversations=self.conversations,
            limits=self.limits,
            alerts=self._alerts,
            owner=owner,
            edit_seconds=edit_seconds,
        )
        self._attendance = Attendance(
            room=room,
            intake=intake,
            rulebook=self._rulebook,
            state=state,
            policy=self.policy,
            platform=platform,
        )

    # Who and where

    async def personas(self, place: Place, person: Person) -> list[PersonaCard]:
        """Those that may speak in this place; the last known ones while the gateway is slow or away.

        [] also where none can be known: `why_nobody` says so.
        """
        try:
            allowed = (await self.rules(place)).allowed
            cards = await self.directory.cards()
        except PersonaeError as err:
            log.info("personas can't be listed: %s", err.code)
            return []
        return [card for card in cards if allowed is None or card.id in allowed]

    async def why_nobody(self, say: Say) -> str:
        """Why there is no persona to choose: none is allowed here, there is none, or the gateway is away."""
        try:
            cards = await self.directory.cards()
        except PersonaeError as err:
            return say.error(err)
        return say("none-allowed" if cards else "no-personas")

    async def suggest(self, place: Place, person: Person, typed: str) -> list[PersonaCard]:
        """Those that fit what was typed so far, the best first."""
        return directory.suggest(await self.personas(place, person), typed)

    async def rules(self, place: Place) -> Rules:
        """What the server's administrators have set.

        Raises:
            PersonaeError: the state fails.
        """
        return await self._rulebook.rules(place)

    async def say(self, person: Person) -> Say:
        """The sentences in this person's language."""
        return await self._rulebook.say(person)

    async def may_administer(self, person: Person, place: Place) -> bool:
        """Whether they may change this server's settings."""
        return await self._rulebook.may_administer(person, place)

    def is_operator(self, person: Person) -> bool:
        """Whether they may do what holds for all servers (reload, revise, export …)."""
        return (self.has_named_operators or self._alone()) and self.policy.is_operator(person)

    @property
    def has_named_operators(self) -> bool:
        return bool(self.policy.operators)

    # Answers

    def running(self) -> int:
        """Answers under way."""
        return len(self._attendance)

    async def answer(self, order: Order, surface: Surface) -> AnswerResult:
        """Answer an order, to its end. The surface is closed afterwards, whatever happened.

        Cancelled, it says so on the surface before it lets go.
        """
        return await self._attendance.attend(Running(new_id(), order, surface))

    async def again(
        self,
        answer_id: str,
        person: Person,
        place: Place,
        event: str,
        surface: Surface,
        *,
        persona: str | None = None,
        strength: NewStrength | None = None,
    ) -> AnswerResult:
        """Another try of an answer, by another persona or in another strength if asked; see `answer`.

        Another persona becomes the thread's.
        """
        order = Order(
            event=event, task="ask", person=person, place=place, text="", instead_of=answer_id
        )
        another = Another(answer_id, persona, strength)
        return await self._attendance.attend(Running(new_id(), order, surface), another)

    # What people do with answers

    async def record(self, answer_id: str) -> AnswerRecord | None:
        """What is kept of an answer; of one whose last view is on its way, once that is shown."""
        try:
            return await self._attendance.ended(answer_id)
        except PersonaeError as err:
            log.warning("answer %s can't be read: %s", answer_id, err)
            return None

    async def stop(self, answer_id: str, person: Person) -> str:
        """End an answer under way; what was said stays. A sentence for the one who pressed."""
        say = await self.say(person)
        running = self._attendance.get(answer_id)
        if running is None:
            return await self._stop_elsewhere(answer_id, person, say)
        if running.finishing:
            return say("not-running")
        order = running.order
        if order.person.key != person.key and not await self.may_administer(person, order.place):
            return say("only-author-or-manager")
        running.end("stopped")
        return say("stopping")

    async def _stop_elsewhere(self, answer_id: str, person: Person, say: Say) -> str:
        """An answer that another process of the bot is giving, if it is one."""
        try:
            record = await self.state.answer(answer_id)
            if record is None or record.state != "open":
                return say("not-running")
            place = place_of(record)
            if record.person_key != person.key and not await self.may_administer(person, place):
                return say("only-author-or-manager")
            await self.state.wish_end(answer_id)
        except PersonaeError as err:
            return say.error(err)
        return say("stopping")

    async def rate(
        self, answer_id: str, person: Person, rating: Rating | None, reason: str = ""
    ) -> str:
        """Note what somebody thinks of an answer; None takes it back. A sentence for them.

        In the order of the calls: a reason is not lost to the bare rating that was pressed before it.
        """
        one_at_a_time = self._ratings.setdefault((answer_id, person.key), asyncio.Lock())
        async with one_at_a_time:
            return await self._rate(answer_id, person, rating, reason)

    async def _rate(
        self, answer_id: str, person: Person, rating: Rating | None, reason: str
    ) -> str:
        say = await self.say(person)
        try:
            record = await self._attendance.ended(answer_id)
            if (await self.state.person(person.key)).opted_out:
                return say("rating-opted-out")
            refused = _cant_rate(record, say)
            if record is None or refused:
                return refused
            replaced = None
            if record.instead_of:
                replaced = await self.state.answer(record.instead_of)
            request = feedback.rating_request(record, person, rating, reason, replaced)
            await self.gateway.feedback(request)
            await self.state.note_rating(answer_id, person.key, rating)
        except PersonaeError as err:
            return say.error(err)
        return say(f"rated-{rating}" if rating else "rated-withdrawn")

    async def revise(self, answer_id: str, person: Person, text: str) -> str:
        """An operator's better answer, kept for training. A sentence for them."""
        say = await self.say(person)
        if not self.is_operator(person):
            return say("only-operators")
        if not text.strip():
            return say("revision-empty")
        try:
            record = await self._attendance.ended(answer_id)
            refused = _cant_rate(record, say)
            if record is None or refused:
                return refused
            await self.gateway.revise(feedback.revision_request(record, person, text))
        except PersonaeError as err:
            return say.error(err)
        return say("revised", persona=str(record.details.get("name") or record.persona))

    async def sources(self, answer_id: str, person: Person) -> View:
        """A private view: sources, version, what is quoted, supported or inferred."""
        say = await self.say(person)
        try:
            record = await self._attendance.ended(answer_id)
        except PersonaeError as err:
            return views.refusal(say.error(err), say)
        if record is None or record.state == "deleted":
            return views.refusal(say("answer-gone"), say)
        if record.private and record.person_key != person.key:
            return views.refusal(say("only-author"), say)
        if record.state == "open":
            return views.refusal(say("is-running"), say)
        if not record.text:
            return views.refusal(say("nothing-kept"), say)
        return views.sources(record, say)

    async def shared(self, answer_id: str, person: Person) -> View:
        """The public form of somebody's private draft; phase "failed" and private where it can't be."""
        say = await self.say(person)
        try:
            record = await self._attendance.ended(answer_id)
            if record is None or record.state != "finished" or not record.text.strip():
                return views.refusal(say("answer-gone"), say)
            if record.person_key != person.key:
                return views.refusal(say("only-author"), say)
            return views.shared(record, say, await self._speaker(record, person, say))
        except PersonaeError as err:
            return views.refusal(say.error(err), say)

    async def _speaker(self, record: AnswerRecord, person: Person, say: Say) -> Speaker | None:
        place = place_of(record)
        if not (await self.rules(place)).own_names:
            return None
        cards = await self.personas(place, person)
        card = next((card for card in cards if card.id == record.persona), None)
        return views.speaker_of(card, say) if card else None

    async def may_delete(self, answer_id: str, person: Person) -> bool:
        """Whether this person may take the answer away: who asked, or who manages the server."""
        running = self._attendance.get(answer_id)
        try:
            record = None if running else await self.state.answer(answer_id)
        except PersonaeError:
            return person.manages
        if running is not None:
            author, place = running.order.person.key, running.order.place
        elif record is not None:
            author, place = record.person_key, place_of(record)
        else:
            return person.manages
        return author == person.key or await self.may_administer(person, place)

    async def deleted(self, answer_id: str) -> None:
        """The answer was taken away by its button: end it if it runs, forget what is kept of it."""
        running = self._attendance.get(answer_id)
        if running is not None:
            running.end("gone")
        try:
            await self.state.delete_answer(answer_id)
        except PersonaeError as err:
            log.warning("answer %s was deleted and is still kept: %s", answer_id, err)

    async def message_deleted(self, message: str, channel: str = "") -> None:
        """Somebody deleted a message. Where it held an answer under way (an id in the surface's reference,
        whose values may hold several, space-separated), that ends at once; where it was the question (the
        order's event, or an id in its `extra`), the answer ends with what was said, and nothing is kept.

        Args:
            channel: where, if ids of messages are unique in a channel only.
        """
        for running in self._attendance.running():
            place = running.order.place
            if channel and channel not in (place.channel, place.thread):
                continue
            if running.asks(message):
                # First: on Slack a question names the thread of its answer, too.
                running.end("withdrawn")
            elif running.shows(message):
                running.end("gone")

    async def place_deleted(self, place: Place) -> None:
        """A channel or thread is gone: answers there end, its conversation is forgotten."""
        for running in self._attendance.running():
            its = running.order.place
            if its.channel == place.channel and place.thread in (None, its.thread):
                running.end("gone")
        if holds(place):
            try:
                await self.state.forget_turns(place.conversation)
                await self.state.unpin(place.conversation)
            except PersonaeError as err:
                log.warning("a conversation is gone and still kept: %s", err)

    # Beginning and end of a process

    async def recover(self, reopen: Reopen) -> int:
        """Take up the answers of processes that are gone: begun anew where they can be, else ended with a
        true sentence; how many. Call it at the start and a few times a minute. `reopen` gives a surface
        over the record's reference, or None."""
        return await recovery.recover(
            self.state, self.platform, self._owner, reopen, self._answer_anew
        )

    async def _answer_anew(self, record: AnswerRecord, surface: Surface) -> bool:
        """See `recovery.Again`."""
        person = Person(
            self.platform,
            record.person_key.rpartition(":")[2],
            record.person_name,
            record.server,
            locale=record.locale,
        )
        if person.key != record.person_key:
            return False
        try:
            # A gateway that is away refuses here, and not to the person.
            await self.directory.cards()
            await self.state.end_answer(record.id, state="failed")
        except PersonaeError as err:
            log.info("answer %s can't be begun anew: %s", record.id, err.code)
            return False
        order = Order(
            event=f"recovered:{record.id}",
            task="ask",
            person=person,
            place=place_of(record),
            text="",
            instead_of=record.id,
        )
        await self._attendance.attend(
            Running(new_id(), order, surface), Another(record.id, recovers=True)
        )
        return True

    async def close(self, *, grace_seconds: float) -> None:
        """Take nothing more; running answers say that the bot is being stopped. Returns when all ended."""
        await self._attendance.close(grace_seconds)
        await self._alerts.close()
        await self.directory.close()


def _cant_rate(record: AnswerRecord | None, say: Say) -> str:
    """Why nobody can say what they think of an answer; "" where they can."""
    if record is None or record.state == "deleted":
        return say("answer-gone")
    if record.state == "open":
        return say("is-running")
    if not record.question:
        return say("rating-not-kept")
    return "" if record.text.strip() and record.request_id else say("cant-rate")
