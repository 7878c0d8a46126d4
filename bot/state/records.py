"""What the bots keep, as plain data. No I/O.

Times are UTC epoch seconds; days are UTC days counted from the epoch (`seconds // 86400`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

AnswerState = Literal["open", "finished", "failed", "stopped", "deleted"]
Rating = Literal["up", "down"]
Role = Literal["user", "assistant"]
UsageKind = Literal["person", "role", "server"]

RETENTION_DAYS = "retention_days"
"""Name of the setting of a server (channel "") that says for how many days its answers are kept."""


@dataclass(frozen=True)
class Conversation:
    """What a conversation holds on to: its persona, and the version of its voice.

    Attributes:
        key: `Place.conversation`.
        adapter_version: for example "v2"; None: the live one.
    """

    key: str
    platform: str
    server: str | None
    channel: str
    persona: str
    adapter_version: str | None
    updated_at: float


@dataclass(frozen=True)
class Turn:
    """One thing said: a question ("user") or an answer ("assistant")."""

    role: Role
    content: str


@dataclass(frozen=True)
class AnswerRecord:
    """One answer from its question to what became of it.

    Attributes:
        owner: who shows it: the bot application or installation, the same after a restart.
        process: which run of a program answers; "" takes the id of the State it is given to.
        conversation: `Place.conversation`.
        strength: of a rewrite; "" for an answer.
        instead_of: id of the answer this one is another try of.
        history: earlier turns that went with the question, each {"role", "content"}.
        reference: where it is shown (ids, never tokens).
        extra: the platform's own notes.
        citations: as the gateway sent them.
        details: what else of its end is needed later: provenance, notice, disclosure …
        rating: what the person who asked thinks of it; other people's: `State.rating`.
    """

    id: str
    platform: str
    owner: str
    channel: str
    conversation: str
    person_key: str
    person_name: str
    task: str
    persona: str
    question: str
    server: str | None = None
    thread: str | None = None
    process: str = ""
    strength: str = ""
    private: bool = False
    instead_of: str | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    reference: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    locale: str = "en"
    state: AnswerState = "open"
    text: str = ""
    adapter_version: str | None = None
    base_model: str = ""
    prompt_fingerprint: str = ""
    request_id: str = ""
    citations: list[dict[str, Any]] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    rating: Rating | None = None
    begun_at: float = 0.0
    """0 takes the time at which it is given to the State."""
    ended_at: float | None = None


@dataclass(frozen=True)
class PersonRecord:
    """What a person chose. `locale` None: what their platform tells."""

    key: str
    opted_out: bool = False
    locale: str | None = None


@dataclass(frozen=True)
class Usage:
    requests: int = 0
    tokens: int = 0


@dataclass(frozen=True)
class UsageLine:
    """Who used how much. `key` is a person's."""

    key: str
    requests: int
    tokens: int


@dataclass(frozen=True)
class Forgotten:
    """How many rows went when somebody wanted to be forgotten.

    `turns` counts a question and its answer once.
    """

    answers: int = 0
    turns: int = 0
    ratings: int = 0
    usage: int = 0
    conversations: int = 0


@dataclass(frozen=True)
class Pruned:
    """How many rows went because their time was over."""

    claims: int = 0
    turns: int = 0
    answers: int = 0
    usage: int = 0
    conversations: int = 0
    processes: int = 0

    @property
    def total(self) -> int:
        return (
            self.claims
            + self.turns
            + self.answers
            + self.usage
            + self.conversations
            + self.processes
        )
