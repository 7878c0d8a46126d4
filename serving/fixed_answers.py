"""Answers that no model writes: a refusal, passages word for word, who is speaking.

In: an answer under way, and what was found for it. Out: all of its events.
"""

from __future__ import annotations

from personae.errors import PersonaeError
from personae.wire import Delta, Event
from serving.answer_run import NO_USAGE, Accounts, Run, done_event
from serving.replies import TOO_SMALL_TO_PHRASE, declines, quotes_only, quoting
from serving.retrieval.quoting import quoted
from serving.retrieval.retriever import Found
from serving.unanswered import UnansweredNotes

_LEAST_RELEVANCE = 0.05
"""Of quotations, where a persona declines nothing: to "Who?" any passage would do."""


class FixedAnswers:
    """
    Args:
        unanswered: takes note of what the persona has not written about.
    """

    def __init__(self, accounts: Accounts, unanswered: UnansweredNotes) -> None:
        self._accounts = accounts
        self._unanswered = unanswered

    def instead(self, run: Run, found: Found) -> list[Event] | None:
        """What is said where the model is not to be asked; None where it is."""
        order = run.order
        mode = order.persona.retrieval.mode
        if (
            order.asks_who_speaks and mode == "strict"
        ):  # no passage supports what a model says of itself
            return self.introduced(run)
        if order.seeks and declines(mode, found):
            return self._declined(run, found)
        if quotes_only(order, found):
            text, count = quoted(order.text, found.passages)
            return self._quotations(run, found, text, count, TOO_SMALL_TO_PHRASE)
        return None

    def while_away(self, run: Run, found: Found, refusal: PersonaeError) -> list[Event]:
        """What is true without the model, which is busy or away.

        Raises:
            PersonaeError: `refusal`, where there is nothing to quote.
        """
        order = run.order
        if declines(order.persona.retrieval.mode, found):
            return self._declined(run, found)
        text, count = quoted(order.text, found.passages)
        if not count or found.relevance < _LEAST_RELEVANCE:
            raise refusal
        self._accounts.step(run, "quoted")
        again = "later"
        if refusal.retry_after_seconds is not None:
            again = f"in about {max(1, round(refusal.retry_after_seconds))} s"
        notice = (
            f"{refusal.message} These are passages of the writing, word for word; no model "
            f"wrote them. Ask again {again} for an answer."
        )
        return self._quotations(run, found, text, count, notice)

    def introduced(self, run: Run) -> list[Event]:
        """Who is speaking."""
        run.outcome = "stop"
        said = Delta(text=run.order.persona.disclosure)
        return [self._accounts.meta(run, []), said, done_event(run, NO_USAGE, {})]

    def _declined(self, run: Run, found: Found) -> list[Event]:
        """The persona has not written about this, and says so."""
        run.outcome = "abstained"
        if not found.covered and run.order.keep:
            self._unanswered.note(run.order.persona.id, run.order.text, found.relevance)
        refusal = Delta(text=run.order.persona.refusal)
        done = done_event(run, NO_USAGE, {"finish_reason": "abstained"})
        return [self._accounts.meta(run, []), refusal, done]

    def _quotations(
        self, run: Run, found: Found, text: str, count: int, notice: str
    ) -> list[Event]:
        """The writing, word for word."""
        run.outcome = "quoted"
        meta = self._accounts.meta(run, found.citations[:count], notice, quoted=True)
        told = {"finish_reason": "quoted", **quoting(text)}
        return [meta, Delta(text=text), done_event(run, NO_USAGE, told)]
