"""An answer as it grows: wire events in, what a person should see out. Platform-neutral, no I/O.

Whoever reads the stream feeds it events and asks, as often as they like, for `text()` and `footnotes()`.
Formatting for a platform (escaping, limits, splitting) is the platform's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bot.core.answer_stream import Anew
from bot.core.sentences import Say, speaker, whole_seconds
from personae.wire import Citation, Delta, Done, ErrorEvent, Event, Meta, Queued


@dataclass
class Answer:
    """State of one answer. `finished` turns true with the last event and never back."""

    say: Say = field(default_factory=lambda: speaker("en"))
    queued: Queued | None = None
    """The last place in line it was told; None if it never had to wait."""
    meta: Meta | None = None
    pieces: list[str] = field(default_factory=list)
    done: Done | None = None
    error: ErrorEvent | None = None
    ending: str = ""
    """Our own sentence about why it ended before its last event."""
    begun: int = 0
    """How often it began anew."""
    _void: tuple[Meta | None, list[str]] = (None, [])
    """What was said before it broke off: seen until there are new words, and all there is if none come."""

    def add(self, event: Event | Anew) -> None:
        if isinstance(event, Anew):
            self._begin_anew()
        elif isinstance(event, Queued):
            self.queued = event
        elif isinstance(event, Meta):
            self.meta = event
        elif isinstance(event, Delta):
            self.pieces.append(event.text)
        elif isinstance(event, Done):
            self.done = event
        else:
            self.error = event
            self._keep_what_was_said()

    def end(self, sentence: str) -> None:
        """Nothing more comes, and this is why."""
        self.ending = sentence
        self._keep_what_was_said()

    def _begin_anew(self) -> None:
        if self.said:
            self._void = (self.meta, self.pieces)
        self.queued, self.meta, self.pieces = None, None, []
        self.begun += 1

    def _keep_what_was_said(self) -> None:
        if not self.said and self._void[0] is not None:
            self.meta, self.pieces = self._void

    @property
    def waits_anew(self) -> bool:
        """Whether it broke off, and its new beginning has no words yet."""
        return bool(self.begun) and not self.said and not self.finished

    @property
    def shows_void(self) -> bool:
        """Whether words stand there that will be replaced."""
        return self.waits_anew and bool(self._void[1])

    @property
    def finished(self) -> bool:
        return self.done is not None or self.error is not None or bool(self.ending)

    @property
    def words(self) -> str:
        """What the persona said, to the letter: offsets of provenance count in it."""
        return "".join(self.pieces)

    @property
    def said(self) -> bool:
        """Whether the persona said anything."""
        return any(piece.strip() for piece in self.pieces)

    def text(self) -> str:
        """The words so far, and how they ended if they have; before the first, the place in line."""
        if self.waits_anew:
            before = "".join(self._void[1]).strip()
            return f"{before}\n\n{self._line()}" if before else self._line()
        said = self.words.strip()
        ending = self._ending()
        if ending:
            return f"{said}\n\n{ending}" if said else ending
        if self.done is not None:
            if not said:
                return self.say("nothing-said")
            if self.done.finish_reason == "length":
                return f"{said} {self.say('cut-short')}"
        return said or self._line()

    def _line(self) -> str:
        """What is waited for."""
        if self.queued is not None and self.meta is None:
            seconds = whole_seconds(self.queued.eta_seconds)
            return self.say("in-line", position=self.queued.position, seconds=seconds)
        return self.say("asking-again") if self.begun else ""

    def _ending(self) -> str:
        if self.done is None and self.error is not None:
            its = self.error
            return self.say.in_words(its.code, its.message, its.retry_after_seconds)
        return "" if self.done is not None else self.ending

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
        """Plain lines below an answer that has ended: notice and disclosure. Empty while it grows."""
        if not self.finished or self.meta is None or not self.said:
            return []
        lines = [self.meta.notice] if self.meta.notice else []
        if self.begun and self.done is not None:
            lines.append(self.say("begun-anew"))
        return [*lines, self.say("disclosure", line=self.meta.disclosure)]
