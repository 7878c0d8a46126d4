"""An answer under way: where its request came from, what is known of it so far, and what is counted of it.

In: what happens to it. Out: its first and last event, metrics, its trace's end and its line in the log.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from personae.errors import Busy, EngineUnavailable, PersonaeError
from personae.feedback import BASE_ALONE
from personae.logs import request_id_from
from personae.persona import Persona
from personae.prompt import fingerprint
from personae.wire import Checks, Citation, Done, Meta, Timings, Usage
from serving.adapters import Lease
from serving.admission import Ticket
from serving.chat_stream import ChatStream, StreamEnd
from serving.metrics import Metrics
from serving.orders import Order
from serving.tracing import Trace
from serving.traffic import Traffic
from serving.wishes import Choice

log = logging.getLogger(__name__)

_NO_PERSONA = "The base model alone; not a persona."
NO_USAGE = Usage(prompt_tokens=0, completion_tokens=0)


@dataclass(frozen=True)
class Origin:
    """Where a request comes from.

    Attributes:
        trace_headers: of the request; a W3C `traceparent` in them is taken up.
    """

    request_id: str = field(default_factory=lambda: request_id_from(None))
    trace_headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class Run:
    """An answer under way, and what is known of it so far."""

    order: Order
    request_id: str
    trace: Trace
    started: float = field(default_factory=time.monotonic)
    began: bool = False
    """Whether an event was sent: from then on an error is an event too."""
    ticket: Ticket | None = None
    choice: Choice | None = None
    """Of voices, where the request wishes for one."""
    lease: Lease | None = None
    stream: ChatStream | None = None
    stopped: PersonaeError | None = None
    retrieval_seconds: float = 0.0
    first_token_seconds: float | None = None
    completion_tokens: int = 0
    outcome: str = "cancelled"

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def labels(self) -> tuple[str, str, str]:
        version = self.lease.version if self.lease else None
        if self.order.voice == "base":
            version = BASE_ALONE
        return self.order.task, self.order.persona.id, version or "none"

    def stop(self, reason: PersonaeError) -> None:
        """End it with this error as its last event."""
        self.stopped = reason
        if self.stream is not None:
            self.stream.stop(reason)


def done_event(run: Run, usage: Usage, told: Mapping[str, Any]) -> Done:
    timings = Timings(
        retrieval_seconds=run.retrieval_seconds,
        first_token_seconds=run.first_token_seconds,
        total_seconds=run.seconds,
    )
    return Done(**{"finish_reason": run.outcome, "usage": usage, "timings": timings, **told})


class Accounts:
    """What is told and counted of answers."""

    def __init__(self, metrics: Metrics, traffic: Traffic) -> None:
        self._metrics = metrics
        self._traffic = traffic
        self._fingerprints: dict[str, tuple[Persona, str]] = {}

    def meta(
        self, run: Run, citations: list[Citation], *notices: str | None, quoted: bool = False
    ) -> Meta:
        persona, base_model = run.order.persona, run.order.base.model.id
        alone = run.order.voice == "base"
        return Meta(
            request_id=run.request_id,
            persona=persona.id,
            display_name=base_model if alone else persona.display_name,
            disclosure=_NO_PERSONA if alone else persona.disclosure,
            adapter_version=run.lease.version if run.lease else None,
            base_model=base_model,
            voice=run.order.voice,
            prompt_fingerprint="" if alone else self._fingerprint(persona),
            citations=citations,
            notice=" ".join(notice for notice in notices if notice) or None,
            quoted=quoted,
        )

    def _fingerprint(self, persona: Persona) -> str:
        """Made once for each persona, as long as it stays as it is."""
        known = self._fingerprints.get(persona.id)
        if known is None or known[0] is not persona:
            known = self._fingerprints[persona.id] = (persona, fingerprint(persona))
        return known[1]

    def step(self, run: Run, step: str) -> None:
        self._metrics.steps.labels(run.order.task, run.order.persona.id, step).inc()

    def refusal(self, run: Run, code: str) -> None:
        self._metrics.refusals.labels(run.order.task, run.order.persona.id, code).inc()

    def done(self, run: Run, end: StreamEnd, told: Mapping[str, Any]) -> Done:
        """The last event of an answer of the model.

        Args:
            told: what the text leans on, in fields of `Done`.
        """
        run.outcome = told.get("finish_reason", end.finish_reason)
        run.completion_tokens = end.completion_tokens
        total = run.seconds
        self._metrics.tokens.labels(*run.labels, "prompt").inc(end.prompt_tokens)
        self._metrics.tokens.labels(*run.labels, "completion").inc(end.completion_tokens)
        self._checks(run, told.get("checks"))
        first = run.first_token_seconds
        if first is not None:
            self._metrics.first_token.labels(*run.labels).observe(first)
            if end.completion_tokens > 1:
                self._metrics.between_tokens.labels(*run.labels).observe(
                    (total - first) / (end.completion_tokens - 1)
                )
        usage = Usage(prompt_tokens=end.prompt_tokens, completion_tokens=end.completion_tokens)
        return done_event(run, usage, told)

    def ended(self, run: Run) -> None:
        task, persona, version = run.labels
        if run.outcome in (Busy.code, EngineUnavailable.code) and run.lease is None:
            self.step(run, "refused")
        self._metrics.answers.labels(task, persona, version, run.outcome).inc()
        self._traffic.answered(
            persona,
            run.order.task,
            run.outcome,
            seconds=run.seconds,
            first_token_seconds=run.first_token_seconds,
            tokens=run.completion_tokens,
        )
        run.trace.end(task=task, persona=persona, adapter_version=version, outcome=run.outcome)
        log.info(
            "answer %s task=%s persona=%s version=%s outcome=%s waited=%.2f seconds=%.2f",
            run.request_id,
            task,
            persona,
            version,
            run.outcome,
            run.ticket.waited_seconds if run.ticket else 0.0,
            run.seconds,
        )

    def _checks(self, run: Run, checks: Checks | None) -> None:
        for what, number in (checks or Checks()).model_dump().items():
            if number:
                self._metrics.checks.labels(run.order.persona.id, what).inc(number)
