"""One answer, from the request to the last event: check → admit → retrieve → render → engine → events.

In: an `AskRequest` or `RewriteRequest`. Out: wire events, always ending in `Done` or `ErrorEvent`
once the first has been sent; before that, a `PersonaeError` is raised, so that HTTP can still say a
status. Transport is not its business.

An answer to a question leaves checked against its passages (`serving.replies`), or not at all: below the
relevance floor the persona says that it has not written about this.

When more is asked than the engine can do, people get, in this order: a place in line and when it
will be their turn; an answer with less search; a shorter one; for a question, passages of the writing
word for word, without the model; and at last an honest "busy", with the time to come back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any

from personae.config import DeadlineConfig, GatewayConfig
from personae.errors import (
    Busy,
    EngineUnavailable,
    GatewayRestarting,
    InternalError,
    PersonaeError,
)
from personae.persona import Cast, Persona
from personae.prompt import Message
from personae.wire import (
    AskRequest,
    ErrorEvent,
    Event,
    Meta,
    Queued,
    RewriteRequest,
    Strength,
)
from serving.admission import Effort
from serving.answer_run import Accounts, Origin, Run
from serving.bases import Bases
from serving.fixed_answers import FixedAnswers
from serving.metrics import Metrics
from serving.orders import check
from serving.replies import Reply
from serving.retrieval.retriever import Found, Retriever
from serving.stray_openings import kept_on_topic
from serving.token_budget import Prompt
from serving.tracing import Tracing
from serving.traffic import Traffic
from serving.unanswered import UnansweredNotes

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
"""How often somebody in line looks whether the line has moved."""
_REPEAT_SECONDS = 10.0
"""How often somebody is told that it has not."""
_MOST_QUOTING = 4
"""Quotations under way at a time: their searches share one thread with everybody's."""
_LAST_WORDS_SECONDS = 2.0
_RESTART_SECONDS = 30.0


class Answerer:
    """Writes answers."""

    def __init__(
        self,
        *,
        cast: Cast,
        bases: Bases,
        retriever: Retriever,
        metrics: Metrics,
        traffic: Traffic,
        deadlines: DeadlineConfig,
        gateway: GatewayConfig,
        tracing: Tracing,
        unanswered: UnansweredNotes,
    ) -> None:
        self._cast = cast
        self._bases = bases
        self._retriever = retriever
        self._metrics = metrics
        self._traffic = traffic
        self._accounts = Accounts(metrics, traffic)
        self._fixed = FixedAnswers(self._accounts, unanswered)
        self._deadlines = deadlines
        self._gateway = gateway
        self._tracing = tracing
        self._unanswered = unanswered
        self._runs: set[Run] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._of_user: Counter[tuple[str, str]] = Counter()
        self._quoting = 0
        self._draining = False

    async def answer(
        self,
        request: AskRequest | RewriteRequest,
        *,
        history: Sequence[Message] = (),
        origin: Origin | None = None,
    ) -> AsyncGenerator[Event, None]:
        """The events of one answer. Closing the iterator cancels the engine's work.

        Args:
            history: earlier turns of the conversation, oldest first, without system messages.

        Raises:
            PersonaeError: before the first event only.
        """
        origin = origin or Origin()
        persona = self._cast[request.persona]
        order = check(request, persona, self._bases.of(persona.id), history)
        await order.base.budget.require_room(order)
        run = Run(order, origin.request_id, self._tracing.begin(origin.trace_headers))
        try:
            async with self._with_voice(run):
                refusal: PersonaeError | None = None
                try:
                    async with contextlib.aclosing(self._in_line(run)) as line:
                        async for queued_event in line:
                            run.began = True
                            yield queued_event
                except (Busy, EngineUnavailable) as err:
                    refusal = err
                if refusal is None:
                    run.began = True
                    async with contextlib.aclosing(self._spoken(run)) as events:
                        async for event in events:
                            yield event
                else:
                    for event in await self._without_model(run, refusal):
                        run.began = True
                        yield event
        except PersonaeError as err:
            run.outcome = err.code
            if not run.began:
                raise
            yield ErrorEvent(**err.to_wire())
        except Exception as err:
            log.exception("answer %s failed", run.request_id)
            run.outcome = InternalError.code
            failure = InternalError(
                f"Something went wrong on our side. It was logged as {run.request_id[:8]}."
            )
            if not run.began:
                raise failure from err
            yield ErrorEvent(**failure.to_wire())
        finally:
            self._accounts.ended(run)

    def notice(
        self, persona: Persona, adapter_version: str | None, *, sources: bool = True
    ) -> str | None:
        """What people should know about how this persona answers now; None when nothing.

        Args:
            sources: whether the answer would cite sources if there were any.
        """
        sentences = []
        if adapter_version is None:
            sentences.append(
                f"{persona.display_name} has no trained voice for this model and answers by prompt only."
            )
        if sources and self._retriever.passages(persona.id) == 0:
            sentences.append("Nothing of the writing is indexed, so there are no sources.")
        return " ".join(sentences) or None

    # -- the end of the process --------------------------------------------------------------------

    def stop_admitting(self) -> None:
        """From now on everybody new, and everybody in line, is told to come back."""
        self._draining = True
        for base in self._bases:
            base.admission.close(lambda: _restarting("The server is being restarted."))

    def require_open(self) -> None:
        """Raises GatewayRestarting, with a time to retry, once the server is being stopped."""
        if self._draining:
            raise _restarting("The server is being restarted.")

    async def drain(self, seconds: float) -> None:
        """Let nobody in, let answers under way end, and tell those that can't that they end here."""
        self.stop_admitting()
        await self._until_idle(seconds)
        for run in self._runs:
            run.stop(_restarting("The server is being restarted, so this answer ends here."))
        await self._until_idle(_LAST_WORDS_SECONDS)
        await self._unanswered.settle(_LAST_WORDS_SECONDS)

    async def _until_idle(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    # -- before the answer -------------------------------------------------------------------------

    @contextlib.contextmanager
    def _under_way(self, run: Run) -> Iterator[None]:
        """One of the answers under way, and one of its person's, until the block ends.

        Raises:
            Busy: the person has as many as one may have.
            EngineUnavailable: the server is being stopped.
        """
        self.require_open()
        user, most = run.order.user, self._gateway.max_answers_per_user
        if user is not None and self._of_user[user] >= most:
            self._accounts.refusal(run, Busy.code)
            raise Busy(
                f"You have {most} answers under way already. Wait for one of them to end.",
                retry_after_seconds=max(1.0, run.order.base.admission.answer_seconds / 2),
            )
        self._runs.add(run)
        self._idle.clear()
        self._metrics.answering.set(len(self._runs))
        if user is not None:
            self._of_user[user] += 1
        try:
            yield
        finally:
            if run.ticket is not None:
                run.ticket.leave(completion_tokens=run.completion_tokens)
            if user is not None:
                self._of_user[user] -= 1
                if not self._of_user[user]:
                    del self._of_user[user]
            self._runs.discard(run)
            if not self._runs:
                self._idle.set()
            self._metrics.answering.set(len(self._runs))

    @contextlib.asynccontextmanager
    async def _with_voice(self, run: Run) -> AsyncGenerator[None, None]:
        """Under way, with the voice it wishes for fetched before it takes anybody's turn.

        Raises: as `_under_way`.
        """
        order, base = run.order, run.order.base
        with self._under_way(run):
            if not base.engine.ready:  # it will be told so, or get quotations
                yield
                return
            async with base.adapters.prepared(order.persona.id, order.wish) as run.choice:
                yield

    async def _in_line(self, run: Run) -> AsyncGenerator[Queued, None]:
        """Wait for the turn, telling the place in line as it changes.

        Raises:
            Busy: there is no room in line, or the turn did not come in time.
            EngineUnavailable: the engine is not usable.
        """
        order, base = run.order, run.order.base
        base.engine.require_ready()
        base.adapters.require_voice(order.persona.id, run.choice)
        base.admission.cache_tokens = base.engine.cache_tokens
        ticket = run.ticket = base.admission.enter(order.persona.id, order.most_tokens())
        if ticket.granted:
            return
        self._accounts.step(run, "queued")
        told, told_at = 0, 0.0
        with run.trace.span("queue"):
            while not ticket.granted:
                self._traffic.waiting(sum(each.admission.waiting for each in self._bases))
                position = ticket.position
                if position != told or time.monotonic() - told_at > _REPEAT_SECONDS:
                    told, told_at = position, time.monotonic()
                    yield Queued(position=position, eta_seconds=round(ticket.eta_seconds, 1))
                await ticket.wait(_LOOK_SECONDS)
                base.engine.require_ready()
        self._metrics.queue_wait.labels(order.persona.id).observe(ticket.waited_seconds)

    # -- the answer --------------------------------------------------------------------------------

    async def _spoken(self, run: Run) -> AsyncGenerator[Event, None]:
        """The answer of the model. The path of every token: nothing is done twice here."""
        order, ticket = run.order, run.ticket
        assert ticket is not None
        effort = ticket.effort
        if effort is not Effort.FULL and order.task == "ask":
            self._accounts.step(run, "short" if effort is Effort.SHORT else "no_rerank")
        found = await self._find(run, effort)
        with order.base.adapters.lease(order.persona.id, run.choice) as run.lease:
            fixed = self._fixed.instead(run, found)
            if fixed is not None:
                for event in fixed:
                    yield event
                return
            prompt = await self._prompt(run, found, effort)
            reply = Reply(order, prompt.found, self._spoken_meta(run, prompt.found, effort))
            for event in reply.begin():
                yield event
            if run.stopped is not None:
                raise run.stopped
            with run.trace.span("engine"):
                run.stream = order.base.engine.client.stream(
                    run.lease.engine_model,
                    prompt.messages,
                    self._sampling(run, prompt, effort),
                    first_token_seconds=ticket.first_token_seconds,
                    between_tokens_seconds=self._deadlines.between_tokens_seconds,
                    headers={"X-Request-Id": run.request_id, **run.trace.headers},
                )
                try:
                    async with run.stream as stream:
                        text = await stream.read()
                        if text:
                            ticket.first_token()
                            run.trace.event("first token")
                            run.first_token_seconds = run.seconds
                        while text:
                            for event in reply.add(text):
                                yield event
                            text = await stream.read()
                except PersonaeError:
                    for event in reply.end(broken=True):
                        yield event
                    raise
            for event in reply.end():
                yield event
            yield self._accounts.done(run, stream.end, reply.told)

    async def _find(self, run: Run, effort: Effort) -> Found:
        order = run.order
        if not order.seeks:
            return Found([], [])
        began = time.monotonic()
        with run.trace.span("retrieve"):
            found = await self._retriever.search(
                order.persona,
                order.text,
                effort=effort,
                history=order.history,
                filters=order.filters,
            )
        run.retrieval_seconds = time.monotonic() - began
        self._metrics.retrieval.labels(order.persona.id).observe(run.retrieval_seconds)
        return found

    async def _prompt(self, run: Run, found: Found, effort: Effort) -> Prompt:
        order = run.order
        assert run.lease is not None
        style: Sequence[str] = ()
        strength: Strength = (
            "normal"  # of an adapter it is in the weights, and the prompt is the trained one
        )
        # An adapter holds the voice; a base model is shown it.
        if run.lease.version is None and order.voice != "base":
            strength = order.wish.strength
            if order.task == "rewrite":
                style = await self._retriever.style(order.persona, order.text)
            style = style or order.persona.style_anchors
        most = int(order.sampling(effort)["max_tokens"])
        return await order.base.budget.fit(order, found, style, max_tokens=most, strength=strength)

    def _sampling(self, run: Run, prompt: Prompt, effort: Effort) -> dict[str, Any]:
        sampling = run.order.sampling(effort) | {"max_tokens": prompt.max_tokens}
        found, trained = prompt.found, run.lease is not None and run.lease.version is not None
        on_topic = trained and found.covered and found.passages
        return kept_on_topic(sampling, run.order.persona) if on_topic else sampling

    def _spoken_meta(self, run: Run, found: Found, effort: Effort) -> Meta:
        order = run.order
        notices = [run.lease.notice if run.lease else None]
        if order.voice == "persona":
            version = run.lease.version if run.lease else None
            notices.insert(0, self.notice(order.persona, version, sources=order.seeks))
        elif order.voice == "prompted":
            notices.append("The base model by prompt only, without a trained voice.")
        if effort is Effort.SHORT and order.task == "ask":
            notices.append(
                "Many people are waiting, so this answer is shorter and leans on fewer passages."
            )
        return self._accounts.meta(run, found.citations, *notices)

    # -- instead of an answer ----------------------------------------------------------------------

    async def _without_model(self, run: Run, refusal: PersonaeError) -> list[Event]:
        """What is true without the model.

        Raises:
            PersonaeError: `refusal`, where there is nothing to quote.
        """
        self._accounts.refusal(run, refusal.code)
        order = run.order
        if order.asks_who_speaks and not self._draining:
            return self._fixed.introduced(run)
        may = self._gateway.quote_when_busy and order.seeks and not self._draining
        if not may or self._quoting >= _MOST_QUOTING:
            raise refusal
        self._quoting += 1
        try:
            found = await self._find(run, Effort.NO_RERANK)
        finally:
            self._quoting -= 1
        return self._fixed.while_away(run, found, refusal)


def _restarting(sentence: str) -> GatewayRestarting:
    return GatewayRestarting(sentence, retry_after_seconds=_RESTART_SECONDS)
