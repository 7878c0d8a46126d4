"""An answer as it grows: wire events in, what a person should see out. Platform-neutral, no I/O.

A frontend feeds it events and asks, as often as it likes, for `text()` and `footer()`. Formatting
for a platform (escaping, limits, splitting) is the frontend's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bot.core import sentences
from personae.wire import Citation, Delta, Done, ErrorEvent, Event, Meta, Queued


@dataclass
class Answer:
    """State of one answer. `finished` turns true with the last event and never back."""

    queued: Queued | None = None
    """The last place in line it was told; None if it never had to wait."""
    meta: Meta | None = None
    pieces: list[str] = field(default_factory=list)
    done: Done | None = None
    error: ErrorEvent | None = None

    def add(self, event: Event) -> None:
        if isinstance(event, Queued):
            self.queued = event
        elif isinstance(event, Meta):
            self.meta = event
        elif isinstance(event, Delta):
            self.pieces.append(event.text)
        elif isinstance(event, Done):
            self.done = event
        else:
            self.error = event

    @property
    def finished(self) -> bool:
        return self.done is not None or self.error is not None

    def text(self) -> str:
        """The words so far, and how they ended if they have; before the first, the place in line."""
        said = "".join(self.pieces).strip()
        if self.error is not None:
            ending = self.error.message
            if self.error.retry_after_seconds is not None:
                ending += " " + sentences.retry_in(self.error.retry_after_seconds)
            return f"{said}\n\n{ending}" if said else ending
        if self.done is not None:
            if not said:
                return sentences.NOTHING_SAID
            if self.done.finish_reason == "length":
                return f"{said} {sentences.CUT_SHORT}"
        if not said and self.queued is not None and self.meta is None:
            return sentences.in_line(self.queued.position, self.queued.eta_seconds)
        return said

    @property
    def citations(self) -> list[Citation]:
        """Sources to show: those the text names, or those of the prompt where it names none.

        None under an answer that failed before its first word.
        """
        if self.meta is None or not self.pieces:
            return []
        used = set(self.done.used_citations) if self.done is not None else set()
        return [its for its in self.meta.citations if not used or its.number in used]

    def footnotes(self) -> list[str]:
        """Plain lines below a finished answer: notice and disclosure. Empty while it grows."""
        if not self.finished or self.meta is None or not self.pieces:
            return []
        lines = [self.meta.notice] if self.meta.notice else []
        return [*lines, sentences.disclosure(self.meta.disclosure)]
