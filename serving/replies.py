"""The events of one answer between its first word and its last: what a model says, checked, and what stands
in its place.

In: the words of the engine, as they come. Out: `Meta` and `Delta` events, and what `Done` tells of them.
Answers to questions go through `serving.provenance`; a rewrite, and what the base model alone says, goes out
as it comes. A strict persona sends nothing before it has said something: where all its sentences fall,
quotations of the passages stand instead.
"""

from __future__ import annotations

from typing import Any

from personae.persona import RetrievalMode
from personae.wire import Delta, Event, Meta
from serving.orders import Order
from serving.provenance import ProvenanceFilter
from serving.retrieval.quoting import quotation_spans, quoted
from serving.retrieval.retriever import Found

_FEWEST_WORDS = 8
"""A strict answer with fewer is none."""
ONLY_QUOTATIONS = (
    "Nothing that the model said about this is supported by the writing, so these are passages of it, "
    "word for word; no model wrote them."
)


TOO_SMALL_TO_PHRASE = (
    "The model of this server is too small to put the writing into words of its own, so these are passages "
    "of it, word for word."
)


def quotes_only(order: Order, found: Found) -> bool:
    """Whether a question is answered with quotations, without asking the model."""
    strict = order.seeks and order.persona.retrieval.mode == "strict"
    return strict and not order.base.can_phrase and bool(found.passages)


def declines(mode: RetrievalMode, found: Found) -> bool:
    """Whether the persona says that it has not written about this, instead of answering."""
    if mode == "creative":
        return False
    return not found.covered or (mode == "strict" and not found.passages)


class Reply:
    """A model's answer on its way out: `begin`, `add` its words, `end`."""

    def __init__(self, order: Order, found: Found, meta: Meta) -> None:
        self._order = order
        self._found = found
        self._meta = meta
        self._strict = order.seeks and order.persona.retrieval.mode == "strict"
        self._held: list[str] | None = [] if self._strict else None
        """What a strict persona has said so far, until it is enough."""
        self._checking: ProvenanceFilter | None = None
        if order.seeks:
            self._checking = ProvenanceFilter(
                found.passages,
                language=order.persona.language,
                mode=order.persona.retrieval.mode,
            )
        self.told: dict[str, Any] = {}
        """What `Done` says of this answer beside how it ended."""

    def begin(self) -> list[Event]:
        return [] if self._strict else [self._meta]

    def add(self, words: str) -> list[Event]:
        """The events of some words of the model; often none, while a quotation is open."""
        if self._checking is None:
            return [Delta(text=words)]
        text = self._checking.feed(words)
        return self._said(text) if text else []

    def end(self, *, broken: bool = False) -> list[Event]:
        """What was still held back.

        Args:
            broken: the engine has gone in mid-answer, so nothing more will come.
        """
        if self._checking is None:
            return []
        events = self._said(self._checking.finish())
        self.told = {
            "provenance": self._checking.spans,
            "checks": self._checking.checks,
            "used_citations": self._checking.cited,
        }
        if self._held is None or broken:
            return events
        return self._instead()

    def _said(self, text: str) -> list[Event]:
        assert self._checking is not None
        if self._held is None:
            return [Delta(text=text)] if text else []
        self._held.append(text)
        if self._checking.words < _FEWEST_WORDS:
            return []
        text, self._held = "".join(self._held), None
        return [self._meta, Delta(text=text)]

    def _instead(self) -> list[Event]:
        """Quotations, or the persona's refusal where there is nothing to quote."""
        text, count = quoted(self._order.text, self._found.passages)
        told: dict[str, Any] = {"checks": self.told["checks"]}
        if not count:
            self.told = told | {"finish_reason": "abstained"}
            without = self._meta.model_copy(update={"citations": []})
            return [without, Delta(text=self._order.persona.refusal)]
        self.told = told | quoting(text) | {"finish_reason": "quoted"}
        notices = [notice for notice in (self._meta.notice, ONLY_QUOTATIONS) if notice]
        meta = self._meta.model_copy(
            update={
                "citations": self._meta.citations[:count],
                "notice": " ".join(notices),
                "quoted": True,
            }
        )
        return [meta, Delta(text=text)]


def quoting(text: str) -> dict[str, Any]:
    """What `Done` says of a text of quotations."""
    spans = quotation_spans(text)
    numbers = sorted({span.citation for span in spans if span.citation is not None})
    return {"provenance": spans, "used_citations": numbers}
