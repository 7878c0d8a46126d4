"""One answer, from the request to the last event: check → admit → retrieve → render → engine → events.

In: an `AskRequest` or `RewriteRequest`. Out: wire events, always ending in `Done` or `ErrorEvent`
once the first has been sent; before that, a `PersonaeError` is raised, so that HTTP can still say a
status. Transport is not its business.
"""

from __future__ import annotations

import contextlib
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from personae.config import DeadlineConfig
from personae.errors import Busy, EmptyText, InternalError, PersonaeError, TextTooLong
from personae.persona import Cast, Persona, Sampling
from personae.prompt import Message, render_ask, render_rewrite
from personae.wire import (
    AskRequest,
    Delta,
    Done,
    ErrorEvent,
    Event,
    Meta,
    RewriteRequest,
    Timings,
    Usage,
)
from serving.adapters import Lease
from serving.bases import Base, Bases
from serving.engine_client import StreamEnd, TextPiece
from serving.metrics import Metrics
from serving.retrieval import Found, Retriever

log = logging.getLogger(__name__)

_BUSY_RETRY_SECONDS = 20.0


@dataclass(frozen=True)
class _Order:
    """A checked request in the terms that asking and rewriting share."""

    task: Literal["ask", "rewrite"]
    persona: Persona
    base: Base
    text: str
    sampling: Sampling
    overrides: dict[str, Any]
    history: Sequence[Message]


class Answerer:
    """Writes answers.

    Args:
        max_at_once: answers in the engine at a time; one more is told to come back.
    """

    def __init__(
        self,
        *,
        cast: Cast,
        bases: Bases,
        retriever: Retriever,
        metrics: Metrics,
        deadlines: DeadlineConfig,
        max_at_once: int,
    ) -> None:
        self._cast = cast
        self._bases = bases
        self._retriever = retriever
        self._metrics = metrics
        self._deadlines = deadlines
        self._max_at_once = max_at_once
        self.in_progress = 0

    async def answer(
        self, request: AskRequest | RewriteRequest, *, history: Sequence[Message] = ()
    ) -> AsyncGenerator[Event, None]:
        """The events of one answer. Closing the iterator cancels the engine's work.

        Args:
            history: earlier turns of the conversation, oldest first, without system messages.

        Raises:
            PersonaeError: before the first event only.
        """
        order = self._check(request, history)
        order.base.engine.require_ready()
        if self.in_progress >= self._max_at_once:
            self._count(order, None, "busy")
            raise Busy(
                "Too many people are asking at the moment.",
                retry_after_seconds=_BUSY_RETRY_SECONDS,
            )
        self.in_progress += 1
        self._metrics.answering.set(self.in_progress)
        try:
            events = self._write(order)
            async with contextlib.aclosing(events):
                async for event in events:
                    yield event
        finally:
            self.in_progress -= 1
            self._metrics.answering.set(self.in_progress)

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

    def _check(self, request: AskRequest | RewriteRequest, history: Sequence[Message]) -> _Order:
        persona = self._cast[request.persona]
        overrides = {
            name: value
            for name in ("temperature", "max_tokens")
            if (value := getattr(request, name)) is not None
        }
        if isinstance(request, AskRequest):
            text, limit, what = request.question, persona.ask.max_question_characters, "question"
            sampling = persona.ask.sampling
        else:
            text, limit, what = request.text, persona.rewrite.max_text_characters, "text"
            sampling = persona.rewrite.sampling
        # Control characters carry no words, and a NUL ends strings early in places below us.
        text = "".join(c for c in text if c in "\n\t" or (c.isprintable() or c.isspace())).strip()
        if not text:
            raise EmptyText(f"The {what} is empty. Write a {what} for {persona.display_name}.")
        if len(text) > limit:
            raise TextTooLong(
                f"The {what} has {len(text):,} characters, and {persona.display_name} takes up to "
                f"{limit:,}. Shorten it, or send it in parts."
            )
        task: Literal["ask", "rewrite"] = "ask" if isinstance(request, AskRequest) else "rewrite"
        base = self._bases.of(persona.id)
        return _Order(task, persona, base, text, sampling, overrides, history)

    async def _write(self, order: _Order) -> AsyncGenerator[Event, None]:
        started = time.monotonic()
        request_id = uuid.uuid4().hex
        found = await self._find(order)
        retrieved = time.monotonic()
        with order.base.adapters.lease(order.persona.id) as lease:
            outcome = "cancelled"
            try:
                yield self._meta(order, request_id, lease, found)
                first_token: float | None = None
                pieces = order.base.engine.client.chat(
                    lease.engine_model,
                    self._prompt(order, lease, found),
                    _sampling(order),
                    first_token_seconds=self._deadlines.first_token_seconds,
                    between_tokens_seconds=self._deadlines.between_tokens_seconds,
                )
                async with contextlib.aclosing(pieces):
                    async for piece in pieces:
                        if isinstance(piece, TextPiece):
                            if first_token is None:
                                first_token = time.monotonic() - started
                                self._metrics.first_token.labels(*_labels(order, lease)).observe(
                                    first_token
                                )
                            yield Delta(text=piece.text)
                            continue
                        outcome = piece.finish_reason
                        self._count_tokens(order, lease, piece)
                        yield Done(
                            finish_reason=piece.finish_reason,
                            usage=Usage(
                                prompt_tokens=piece.prompt_tokens,
                                completion_tokens=piece.completion_tokens,
                            ),
                            timings=Timings(
                                retrieval_seconds=retrieved - started,
                                first_token_seconds=first_token,
                                total_seconds=time.monotonic() - started,
                            ),
                        )
            except PersonaeError as err:
                outcome = err.code
                yield ErrorEvent(**err.to_wire())
            except Exception as err:
                log.exception("answer %s failed", request_id)
                outcome = InternalError.code
                failure = InternalError(
                    f"Something went wrong on our side. It was logged as {request_id[:8]}."
                )
                failure.__cause__ = err
                yield ErrorEvent(**failure.to_wire())
            finally:
                self._count(order, lease, outcome)
                log.info(
                    "answer %s task=%s persona=%s version=%s outcome=%s seconds=%.2f",
                    request_id,
                    order.task,
                    order.persona.id,
                    lease.version,
                    outcome,
                    time.monotonic() - started,
                )

    async def _find(self, order: _Order) -> Found:
        if order.task == "rewrite":
            return Found([], [])
        with self._metrics.retrieval.labels(order.persona.id).time():
            return await self._retriever.search(order.persona, order.text)

    def _prompt(self, order: _Order, lease: Lease, found: Found) -> list[Message]:
        # An adapter holds the voice; a base model is shown it.
        style = order.persona.style_anchors if lease.version is None else ()
        if order.task == "rewrite":
            return render_rewrite(order.persona, order.text, style_passages=style)
        system, user = render_ask(order.persona, order.text, found.passages, style_passages=style)
        return [system, *order.history, user]

    def _meta(self, order: _Order, request_id: str, lease: Lease, found: Found) -> Meta:
        return Meta(
            request_id=request_id,
            persona=order.persona.id,
            display_name=order.persona.display_name,
            disclosure=order.persona.disclosure,
            adapter_version=lease.version,
            base_model=order.base.model.id,
            citations=found.citations,
            notice=self.notice(order.persona, lease.version, sources=order.task == "ask"),
        )

    def _count(self, order: _Order, lease: Lease | None, outcome: str) -> None:
        self._metrics.answers.labels(*_labels(order, lease), outcome).inc()

    def _count_tokens(self, order: _Order, lease: Lease, end: StreamEnd) -> None:
        labels = _labels(order, lease)
        self._metrics.tokens.labels(*labels, "prompt").inc(end.prompt_tokens)
        self._metrics.tokens.labels(*labels, "completion").inc(end.completion_tokens)


def _sampling(order: _Order) -> dict[str, Any]:
    """Parameters of the chat API: the persona's, then the request's."""
    sampling = order.sampling
    chosen: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
    }
    if sampling.repetition_penalty != 1.0:  # vLLM's, not OpenAI's: sent only when it says something
        chosen["repetition_penalty"] = sampling.repetition_penalty
    if order.task == "rewrite":
        # A rewrite is about as long as its source; a token is three characters or more.
        chosen["max_tokens"] = max(sampling.max_tokens, len(order.text) // 3)
    return chosen | order.overrides


def _labels(order: _Order, lease: Lease | None) -> tuple[str, str, str]:
    return order.task, order.persona.id, (lease.version if lease else None) or "none"
