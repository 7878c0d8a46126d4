"""Orders under way: each is taken once, admitted or refused, delivered, and let go.

In: a `Running`. Out: its `AnswerResult`, when all of it is done and its surface is closed. It knows what
runs in this process, so it is where answers are stopped, and where the end of the process is told.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import dataclass
from typing import Literal

from bot.core import recovery, views
from bot.core.conversation import Refused, holds
from bot.core.delivery import (
    LAST_SHOW_SECONDS,
    REMEMBERS,
    SHOWS_QUESTION,
    Delivery,
    Outcome,
    Room,
    Running,
)
from bot.core.intake import Intake
from bot.core.order import Order, Strength
from bot.core.people import Person, Place, Platform
from bot.core.policy import PolicySettings
from bot.core.rulebook import Rulebook
from bot.core.sentences import Say, speaker
from bot.core.surface import Surface
from bot.core.tasks import see_through
from bot.core.turnstile import Turnstile
from bot.state.records import AnswerRecord
from bot.state.store import State
from personae.errors import PersonaeError

log = logging.getLogger(__name__)

NewStrength = Strength | Literal["lighter", "stronger"]

WAIT_SECONDS = 10.0
"""How long to wait for a platform to say that something is being done, or for another answer's end."""
_HEED_SECONDS = 1.0
_STRENGTHS: tuple[Strength, ...] = ("light", "normal", "strong")


@dataclass(frozen=True)
class AnswerResult:
    """What became of an order.

    Attributes:
        id: of the answer; "" where none was begun (a refusal, a duplicate).
        outcome: "duplicate": the same event was answered before, nothing was shown; "refused": a private
            sentence said why not; "gone": nobody could see it any more.
    """

    id: str
    outcome: Outcome


@dataclass(frozen=True)
class Another:
    """Another try of an answer. `recovers`: nobody asked for it, but the first try was cut off."""

    answer_id: str
    persona: str | None = None
    strength: NewStrength | None = None
    recovers: bool = False


class Attendance:
    def __init__(
        self,
        *,
        room: Room,
        intake: Intake,
        rulebook: Rulebook,
        state: State,
        policy: PolicySettings,
        platform: Platform,
    ) -> None:
        self._room = room
        self._intake = intake
        self._rulebook = rulebook
        self._state = state
        self._policy = policy
        self._platform = platform
        self._running: dict[str, Running] = {}
        self._closing = False
        # One enters in each turn of the event loop: many at once would hold it for all others.
        self._turnstile = Turnstile()
        self._heeding: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._running)

    def running(self) -> list[Running]:
        return list(self._running.values())

    def get(self, answer_id: str) -> Running | None:
        return self._running.get(answer_id)

    async def ended(self, answer_id: str) -> AnswerRecord | None:
        """The record of an answer; of one whose last view is on its way, once that is shown.

        Raises:
            PersonaeError: the state fails.
        """
        running = self._running.get(answer_id)
        if running is not None and running.finishing:
            await all_ended([running], WAIT_SECONDS)
        return await self._state.answer(answer_id)

    async def attend(self, running: Running, another: Another | None = None) -> AnswerResult:
        self._running[running.id] = running
        if self._heeding is None or self._heeding.done():
            self._heeding = asyncio.create_task(self._heed_others(), name="heed-others")
        try:
            return await self._admit(running, another)
        except Exception:
            log.exception("answer %s failed", running.id)
            say = speaker(running.order.person.locale)
            await self._refuse(running, say("unexpected"), say)
            return AnswerResult(running.id, "failed")
        finally:
            del self._running[running.id]
            running.ended.set()
            await recovery.closed(running.surface)

    async def _heed_others(self) -> None:
        """End what another process of the bot was told to stop: a button there, the answer here."""
        while self._running and not self._closing:
            await asyncio.sleep(_HEED_SECONDS)
            admitted = [its.id for its in self._running.values() if its.admitted]
            try:
                wished = await self._state.ends_wished(admitted) if admitted else set()
            except PersonaeError as err:
                log.warning("who was told to stop elsewhere is not known: %s", err)
                continue
            for answer_id in wished & set(self._running):
                self._running[answer_id].end("stopped")

    async def _admit(self, running: Running, another: Another | None) -> AnswerResult:
        """Answer an event that nobody has answered yet."""
        order = running.order
        say = speaker(order.person.locale)
        try:
            await self._turnstile.passed()
            if not await self._state.claim(f"{self._platform}:{self._room.owner}:{order.event}"):
                return AnswerResult("", "duplicate")
            person = await self._state.person(order.person.key)
            say = speaker(person.locale or order.person.locale)
            self._count(running, say)
            await self._wait_on(running.surface)
            previous = None
            if another is not None:
                previous = await self._previous(another, order.person, say)
                running.order = _order_again(order, previous, another)
            else:
                await self._said_before(order)
            job = await self._intake.take(
                running.order,
                say,
                keep=not person.opted_out,
                previous=previous,
                repins=another is None or another.persona is not None,
                recovers=another is not None and another.recovers,
            )
            return AnswerResult(running.id, await Delivery(self._room, job, running).run())
        except Refused as refused:
            return await self._refuse(running, str(refused), say)
        except PersonaeError as err:
            return await self._refuse(running, say.error(err), say)
        except asyncio.CancelledError:
            if not running.finishing:
                await see_through(self._refuse(running, say("restarting"), say))
            raise

    async def _said_before(self, order: Order) -> None:
        """People reply to what they see: wait until what ends in the same conversation is remembered.

        In a whole channel, where those of others end all the time, only their own.
        """
        if not order.remembers:
            return
        here, shared = order.place.conversation, holds(order.place)
        ending = [
            its
            for its in self._running.values()
            if its.finishing and not its.refused and its.order.remembers
            if its.order.place.conversation == here
            if shared or its.order.person.key == order.person.key
        ]
        await all_ended(ending, WAIT_SECONDS)

    def _count(self, running: Running, say: Say) -> None:
        """Raises:
        Refused: the bot is being stopped, or this person has enough answers under way.
        """
        if self._closing:
            raise Refused(say("restarting"))
        key = running.order.person.key
        own = sum(
            its.admitted and not its.refused and its.order.person.key == key
            for its in self._running.values()
        )
        if own >= self._policy.answers_at_once:
            raise Refused(say("already-running", count=own))
        running.admitted = True

    async def _wait_on(self, surface: Surface) -> None:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await surface.wait()
        except Exception:
            log.warning("a place to answer in does not show that it waits", exc_info=True)

    async def _refuse(self, running: Running, sentence: str, say: Say) -> AnswerResult:
        running.finishing = running.refused = True
        if not running.surface.gone:
            try:
                async with asyncio.timeout(LAST_SHOW_SECONDS):
                    await running.surface.show(views.refusal(sentence, say))
            except Exception:
                log.warning("answer %s: a refusal can't be shown", running.id, exc_info=True)
        return AnswerResult("", "refused")

    async def _previous(self, another: Another, person: Person, say: Say) -> AnswerRecord:
        """Raises:
        Refused: this person may not ask it again, or it can't be.
        """
        record = await self.ended(another.answer_id)
        if record is None or record.state == "deleted":
            raise Refused(say("answer-gone"))
        if another.recovers:
            return record
        if record.person_key != person.key:
            if record.private:
                raise Refused(say("only-author"))
            if not await self._rulebook.may_administer(person, place_of(record)):
                raise Refused(say("only-author-or-manager"))
        if record.state == "open":
            raise Refused(say("is-running"))
        if not record.question:
            raise Refused(say("cant-again"))
        return record

    async def close(self, grace_seconds: float) -> None:
        """Take nothing more; running answers say that the bot is being stopped. Returns when all ended."""
        self._closing = True
        if self._heeding is not None:
            self._heeding.cancel()
            await asyncio.wait({self._heeding})
        running = self.running()
        for its in running:
            its.end("restarting")
        if await all_ended(running, grace_seconds):
            return
        left = [its for its in running if not its.ended.is_set()]
        log.warning("%d answers did not end in time", len(left))
        for _ in range(2):  # cancelled once they still say so
            tasks = {its.task for its in left if its.task is not None and not its.ended.is_set()}
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=1.0)


async def all_ended(running: list[Running], seconds: float) -> bool:
    """Whether all of them ended within that time."""
    try:
        async with asyncio.timeout(seconds):
            for its in running:
                await its.ended.wait()
    except TimeoutError:
        return False
    return True


def new_id() -> str:
    return secrets.token_hex(8)


def place_of(record: AnswerRecord, *, direct: bool = False) -> Place:
    platform: Platform = "discord" if record.platform == "discord" else "slack"
    return Place(platform, record.server, record.channel, record.thread, direct)


def _order_again(order: Order, previous: AnswerRecord, another: Another) -> Order:
    """The order of an answer, to be tried once more by who pressed the button."""
    extra = {key: str(value) for key, value in previous.extra.items()}
    remembers = bool(extra.pop(REMEMBERS, ""))
    shows_question = bool(extra.pop(SHOWS_QUESTION, ""))
    return order.of(
        task="rewrite" if previous.task == "rewrite" else "ask",
        place=place_of(previous, direct=order.place.direct),
        text=previous.question,
        persona=another.persona or previous.persona,
        remembers=remembers,
        private=previous.private,
        strength=_strength(previous.strength, another.strength),
        shows_question=shows_question,
        extra=extra,
    )


def _strength(before: str, wanted: NewStrength | None) -> Strength:
    at = _STRENGTHS.index(before) if before in _STRENGTHS else 1
    if wanted == "lighter":
        return _STRENGTHS[max(0, at - 1)]
    if wanted == "stronger":
        return _STRENGTHS[min(2, at + 1)]
    return wanted or _STRENGTHS[at]
