"""What somebody wants of a persona, in terms no platform differs in. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from bot.core.people import Person, Place

Task = Literal["ask", "rewrite"]
Strength = Literal["light", "normal", "strong"]


@dataclass(frozen=True)
class Order:
    """One question, or one text to rewrite.

    Attributes:
        event: names what the platform delivered (interaction id, event id …); equal ones are answered once.
        persona: as chosen or typed; None takes the conversation's, else the channel's or server's default.
        text: the question or the text to rewrite, without the mention or command around it.
        remembers: whether the conversation's memory is read and written (mentions, threads, direct messages;
            not a slash command).
        private: for the eyes of the person who asks only.
        strength: of a rewrite.
        instead_of: id of the answer that this one is another try of, if any.
        shows_question: whether people in the place can't see the question otherwise.
    """

    event: str
    task: Task
    person: Person
    place: Place
    text: str
    persona: str | None = None
    remembers: bool = False
    private: bool = False
    strength: Strength = "normal"
    instead_of: str | None = None
    shows_question: bool = False
    extra: dict[str, str] = field(default_factory=dict)
    """A platform's own notes that it needs back with the answer's record."""

    def of(self, **changes: object) -> Order:
        """A copy with these changes."""
        return replace(self, **changes)  # type: ignore[arg-type]
