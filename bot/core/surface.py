"""What a platform shows of an answer, and what it has to be able to do for it. No I/O.

The desk makes `View`s, as many as it likes; a platform's `Surface` brings what people see to the newest
one at the platform's pace. A view is plain data: text is Markdown as the model wrote it, and making it
harmless for the platform (mentions, links, fences, direction marks) is the platform's work.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from personae.wire import Citation

Control = Literal[
    "up", "down", "again", "other", "sources", "stop", "delete", "revise",
    "share", "copy", "lighter", "stronger",
]  # fmt: skip
"""Buttons. "other": another persona; "revise": the operator's better answer; the last four belong to the
private draft of a rewrite, where "again" is there too."""

Phase = Literal["waiting", "queued", "growing", "finished", "failed"]


@dataclass(frozen=True)
class Speaker:
    """Under which name and picture a persona may speak; the name says that it is an imitation."""

    name: str
    picture: str | None = None


@dataclass(frozen=True)
class View:
    """An answer as it should be seen now.

    Attributes:
        answer_id: short and safe in a button's id: letters and digits.
        heading: plain line above: who asked what, where people can't see the question.
        text: Markdown; our own sentence while nothing has been said and after a failure.
        difference: of a rewrite: Markdown that marks what changed; "" where there is none.
        sources: to list below a finished answer.
        footnotes: plain lines below a finished answer: notices, then the disclosure. Never left out.
        controls: in the order to show; empty where none apply.
        speaker: None: the bot's own name.
        private: only the person who asked may see it.
        beginning: counts how often it began anew: with another number, `text` goes not on from the one before
            but takes its place.
    """

    answer_id: str
    phase: Phase
    text: str
    heading: str = ""
    difference: str = ""
    sources: list[Citation] = field(default_factory=list)
    footnotes: list[str] = field(default_factory=list)
    controls: tuple[Control, ...] = ()
    speaker: Speaker | None = None
    private: bool = False
    locale: str = "en"
    beginning: int = 0

    @property
    def ended(self) -> bool:
        return self.phase in ("finished", "failed")


class Surface(Protocol):
    """Where one answer is shown. One at a time calls it."""

    @property
    def gone(self) -> bool:
        """True once nobody can see it any more (deleted, channel gone): work for it can end."""
        ...

    @property
    def reference(self) -> dict[str, str]:
        """What finds it again after a restart (ids, never tokens); {} before anything is shown."""
        ...

    async def wait(self) -> None:
        """Show that something is being done (typing, status). Called at the start; must return soon and
        keep that up by itself until the first `show` or `close`."""
        ...

    async def show(self, view: View) -> None:
        """Bring what is seen to this view. With `view.ended` it is the last one and must be seen: it is
        tried again, elsewhere if need be."""
        ...

    async def close(self) -> None:
        """Let go of everything; called once, whatever happened."""
        ...
