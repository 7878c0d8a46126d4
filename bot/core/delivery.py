"""One answer, from the gateway's stream to its surface and into the bots' state.

In: a `Job`. The stream is read by a task of its own, so that a stop, a deleted message or the end of the
bot is seen at once; edits are coalesced. Whatever happens, the last view says truly how it ended, keeps
what was said, and carries the disclosure; then the state learns of it. Nothing of it is left running.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from bot.core import views
from bot.core.alerts import Alerts
from bot.core.answer import Answer
from bot.core.answer_stream import Anew
from bot.core.conversation import Conversations
from bot.core.difference import difference
from bot.core.edits import CoalescedEdits
from bot.core.gateway_client import GatewayClient
from bot.core.intake import Job
from bot.core.limits import Limits
from bot.core.order import Order
from bot.core.recovery import RECOVERED
from bot.core.surface import Speaker, Surface, View
from bot.core.tasks import see_through
from bot.state.records import AnswerRecord, AnswerState
from bot.state.store import State
from personae.errors import PersonaeError
from personae.wire import ErrorEvent

log = logging.getLogger(__name__)

Outcome = Literal["finished", "stopped", "failed", "refused", "duplicate", "gone"]
Why = Literal["stopped", "restarting", "withdrawn", "gone"]
"""Why an answer ends before its stream does. "withdrawn": its question was deleted; "gone": nobody can see
the answer any more. Of these two nothing is kept."""

LOOK_SECONDS = 0.5
"""How often a surface is asked whether anybody can still see it."""
SILENCE_SECONDS = 3.0
"""After so long without a word a view says that something is being done (and can be stopped)."""
LAST_SHOW_SECONDS = 900.0
"""A platform whose rates are used up by hundreds of answers shows the last of them late."""
REMEMBERS = "desk.remembers"
SHOWS_QUESTION = "desk.shows_question"
"""Keys of ours among a record's `extra`."""


@dataclass(eq=False)
class Running:
    """An order under way, from its arrival on.

    Attributes:
        ending: why it ends early, once somebody wants that.
        ended: everything about it is done.
        admitted: it is no duplicate, and counts among its person's answers.
        finishing: nothing more is read; the last view is on its way.
        refused: and that view is a refusal, after which nothing is kept.
    """

    id: str
    order: Order
    surface: Surface
    ending: asyncio.Future[Why] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    admitted: bool = False
    finishing: bool = False
    refused: bool = False
    task: asyncio.Task[object] | None = field(default_factory=asyncio.current_task)

    def end(self, why: Why) -> None:
        if not self.ending.done():
            self.ending.set_result(why)

    def asks(self, message: str) -> bool:
        """Whether a message of the platform is its question."""
        return message == self.order.event or message in self.order.extra.values()

    def shows(self, message: str) -> bool:
        """Whether a message of the platform is (part of) its answer."""
        return any(message in value.split() for value in self.surface.reference.values())


@dataclass(frozen=True)
class Room:
    """What every delivery of a desk uses."""

    gateway: GatewayClient
    state: State
    conversations: Conversations
    limits: Limits
    alerts: Alerts
    owner: str
    edit_seconds: float | Callable[[], float]


class Delivery:
    def __init__(self, room: Room, job: Job, running: Running) -> None:
        self._room = room
        self._job = job
        self._running = running
        self._surface = running.surface
        self._answer = Answer(say=job.say)
        if job.recovers:
            self._answer.add(Anew())
        self._why: Why | None = None
        self._shown = False
        self._last = False
        self._unseen = False
        self._placed = dict(running.surface.reference)
        self._difference = ""
        self._changes = 0

    async def run(self) -> Outcome:
        """See it to its end.

        Raises:
            PersonaeError: it could not even be begun; nothing was shown.
        """
        began = time.monotonic()
        await self._room.state.begin_answer(self._record(), keep=self._job.keep)
        edits = CoalescedEdits[int](
            lambda _: self._show(), interval_seconds=self._room.edit_seconds
        )
        try:
            try:
                await self._read(edits)
            except asyncio.CancelledError:
                self._why = self._why or "restarting"
                await see_through(self._finish(edits))
                raise
            return await see_through(self._finish(edits))
        finally:
            await edits.close()
            log.info(
                "answer %s: %s by %s in %.1f s: %s",
                self._running.id,
                self._job.order.task,
                self._job.card.id,
                time.monotonic() - began,
                self._answer.error.code if self._answer.error else self._outcome(),
            )

    async def _read(self, edits: CoalescedEdits[int]) -> None:
        """Take in the stream until it ends or somebody ends it."""
        reader = asyncio.create_task(self._take_in(edits), name=f"read-{self._running.id}")
        ending = self._running.ending
        either: set[asyncio.Future[Any]] = {reader, ending}
        waited = 0.0
        try:
            while not reader.done() and self._why is None:
                await asyncio.wait(
                    either, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                waited += LOOK_SECONDS
                if self._surface.gone:
                    self._why = "gone"
                elif ending.done() and not self._answer.finished:
                    self._why = ending.result()
                elif waited >= SILENCE_SECONDS and not self._changes:
                    self._changed(edits)
        finally:
            reader.cancel()
            await asyncio.wait({reader})

    async def _take_in(self, edits: CoalescedEdits[int]) -> None:
        stream = self._room.gateway.stream(self._job.request)
        try:
            async with contextlib.aclosing(stream) as events:
                async for event in events:
                    self._answer.add(event)
                    if self._answer.finished:
                        break
                    if self._answer.text():
                        self._changed(edits)
                    if self._surface.gone:
                        break
        except PersonaeError as err:
            self._answer.add(ErrorEvent(**err.to_wire()))
        except Exception:
            log.exception("answer %s: reading its stream failed", self._running.id)
            message = self._job.say("unexpected")
            self._answer.add(ErrorEvent(code="unexpected", message=message))

    def _changed(self, edits: CoalescedEdits[int]) -> None:
        self._changes += 1
        edits.update(self._changes)

    async def _finish(self, edits: CoalescedEdits[int]) -> Outcome:
        self._running.finishing = True
        answer, job = self._answer, self._job
        if not answer.finished:
            answer.end(self._ending())
        if self._why == "gone" or self._surface.gone:
            self._why = "gone"
            await edits.close()
        else:
            if job.order.task == "rewrite" and job.order.private and answer.done is not None:
                self._difference = await asyncio.to_thread(difference, job.order.text, answer.words)
            self._last = True
            try:
                async with asyncio.timeout(LAST_SHOW_SECONDS):
                    await edits.finish(self._changes + 1)
            except Exception:
                # A surface has tried everything it can; who asked can't be reached.
                log.warning(
                    "answer %s: its end could not be shown", self._running.id, exc_info=True
                )
                self._unseen = True
            self._heed_deletion()
        await self._keep()
        return self._outcome()

    def _heed_deletion(self) -> None:
        """Somebody may have deleted question or answer while the last view was on its way."""
        ending = self._running.ending
        if ending.done() and ending.result() in ("gone", "withdrawn"):
            self._why = ending.result()

    def _ending(self) -> str:
        say = self._job.say
        if self._why == "restarting":
            return say("restarting")
        has_words = self._answer.said or self._answer.shows_void
        return say("stopped" if has_words else "stopped-before-words")

    def _outcome(self) -> Outcome:
        if self._why == "gone" or self._unseen:
            return "gone"
        if self._why is not None:
            return "stopped"
        return "finished" if self._answer.done is not None else "failed"

    async def _show(self) -> None:
        if self._surface.gone or (self._answer.finished and not self._last):
            return  # of an answer that has just ended, the last view comes at once
        view = self.view()
        self._shown = self._shown or not view.ended
        await self._surface.show(view)
        await self._place()

    async def _place(self) -> None:
        """Write down where it is shown, so that a later process finds it."""
        reference = dict(self._surface.reference)
        if reference and reference != self._placed:
            self._placed = reference
            await self._quietly(self._room.state.place_answer(self._running.id, reference))

    def view(self) -> View:
        """What should be seen now."""
        job, answer, order = self._job, self._answer, self._job.order
        phase = views.phase_of(answer)
        stopped_with_words = bool(answer.ending) and answer.said
        if stopped_with_words:
            phase = "finished"
        ended = answer.finished
        # Where nobody has seen anything yet, why there is no answer is for who asked only.
        private = order.private or (phase == "failed" and not answer.said and not self._shown)
        controls = views.GROWING
        if ended:
            controls = views.controls_of(
                order.task,
                finished=answer.done is not None,
                private=private,
                kept=job.keep and self._why != "withdrawn",
                strength=order.strength,
                others=job.others,
                operator=job.operator,
            )
        return View(
            answer_id=self._running.id,
            phase=phase,
            text=answer.text() or job.say("thinking"),
            heading=views.heading(order, job.card, job.say),
            difference=self._difference if ended else "",
            sources=answer.citations if ended else [],
            footnotes=answer.footnotes(),
            controls=controls,
            speaker=self._speaker(private),
            private=private,
            locale=job.say.locale,
            beginning=answer.begun - answer.waits_anew,
        )

    def _speaker(self, private: bool) -> Speaker | None:
        if private or not self._job.rules.own_names:
            return None
        return views.speaker_of(self._job.card, self._job.say)

    @property
    def _asker(self) -> str:
        """Whose words the question is: a moderator's other try of it stays the words of who asked."""
        previous = self._job.previous
        return previous.person_key if previous else self._job.order.person.key

    def _record(self) -> AnswerRecord:
        job, order = self._job, self._job.order
        extra = dict(order.extra)
        extra |= {REMEMBERS: "1"} if order.remembers else {}
        extra |= {SHOWS_QUESTION: "1"} if order.shows_question else {}
        extra |= {RECOVERED: "1"} if job.recovers else {}
        return AnswerRecord(
            id=self._running.id,
            platform=order.place.platform,
            owner=self._room.owner,
            server=order.place.server,
            channel=order.place.channel,
            thread=order.place.thread,
            conversation=order.place.conversation,
            person_key=self._asker,
            person_name=job.previous.person_name if job.previous else order.person.name,
            task=order.task,
            persona=job.card.id,
            question=order.text,
            strength=order.strength if order.task == "rewrite" else "",
            private=order.private,
            instead_of=order.instead_of,
            history=[turn.model_dump() for turn in job.history],
            reference=dict(self._placed),
            extra=extra,
            locale=job.say.locale,
        )

    async def _keep(self) -> None:
        """Tell the state how it ended. A state that fails must not take the answer from the person."""
        job, answer, state = self._job, self._answer, self._room.state
        order, meta, done = job.order, self._answer.meta, self._answer.done
        ended: AnswerState = "finished" if done is not None else "failed"
        if self._why is not None and done is None:
            ended = "stopped"
        await self._quietly(
            state.end_answer(
                self._running.id,
                state=ended,
                text=answer.words,
                adapter_version=meta.adapter_version if meta else None,
                base_model=meta.base_model if meta else "",
                prompt_fingerprint=meta.prompt_fingerprint if meta else "",
                request_id=meta.request_id if meta else "",
                citations=[its.model_dump() for its in meta.citations] if meta else [],
                details=self._details(),
            )
        )
        deleted = self._why in ("gone", "withdrawn")
        if meta is not None and job.cast.pins and not deleted:
            await self._quietly(
                self._room.conversations.pin(order.place, meta.persona, meta.adapter_version)
            )
        if deleted:
            await self._quietly(state.delete_answer(self._running.id))
        elif order.remembers and job.keep and answer.said and ended != "failed":
            await self._quietly(self._remember())
        tokens = len(answer.pieces)
        if done is not None:
            tokens = done.usage.prompt_tokens + done.usage.completion_tokens
        if tokens:
            await self._quietly(
                self._room.limits.used(order.person, order.place, job.rules, tokens)
            )
        if done is not None and done.finish_reason == "abstained":
            self._alert()

    def _details(self) -> dict[str, object]:
        meta, done = self._answer.meta, self._answer.done
        if meta is None:
            return {}
        return {
            "name": meta.display_name,
            "disclosure": meta.disclosure,
            "notice": meta.notice or "",
            "quoted": meta.quoted,
            "used": done.used_citations if done else [],
            "provenance": [span.model_dump() for span in done.provenance] if done else [],
        }

    async def _remember(self) -> None:
        order, previous = self._job.order, self._job.previous
        if previous is not None:
            await self._room.state.forget_answer_turns(previous.id)
        await self._room.conversations.remember(
            order.place,
            person_key=self._asker,
            question=order.text,
            answer=self._answer.words.strip(),
            answer_id=self._running.id,
        )

    def _alert(self) -> None:
        job = self._job
        channel = job.rules.alerts_channel
        if channel is None or job.order.place.server is None:
            return
        others_may_read = job.keep and not job.order.private
        question = job.order.text if others_may_read else None
        self._room.alerts.tell(
            job.order.place.server, channel, job.card.display_name, question, job.say
        )

    async def _quietly(self, work: Awaitable[object]) -> None:
        try:
            await work
        except PersonaeError as err:
            log.warning("answer %s: the bot's state: %s", self._running.id, err)
