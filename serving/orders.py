"""A checked request: what to write, for whom, with which settings."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from personae.errors import EmptyText, RequestError, TextTooLong
from personae.persona import Persona, Sampling
from personae.prompt import Message
from personae.wire import AskRequest, RewriteRequest, Speaking
from serving.admission import Effort
from serving.bases import Base
from serving.retrieval.search import Filters
from serving.self_questions import asks_who_speaks
from serving.wishes import Wish

_CHARACTERS_PER_TOKEN = 3
_TOKENS_PER_WORD = 1.5
_SHORTEST_ANSWER_TOKENS = 64
_LIGHT_PENALTY = 0.4
"""How much of the repetition penalty a light rewrite keeps. It counts the words of the text too, so it speaks
against keeping them (docs/decisions.md)."""


@dataclass(frozen=True)
class Order:
    """In the terms that asking and rewriting share.

    Attributes:
        settings: the persona's for this task.
        overrides: the request's own parameters of the chat API.
        user: surface and id of the person who asks, if told.
        filters: of which writing the answer may be.
        wish: which version, at which strength.
        keep: whether the question may be kept for the operator.
        voice: who answers.
    """

    task: Literal["ask", "rewrite"]
    persona: Persona
    base: Base
    text: str
    settings: Sampling
    overrides: dict[str, Any]
    history: Sequence[Message]
    user: tuple[str, str] | None
    filters: Filters | None = None
    wish: Wish = field(default_factory=Wish)
    keep: bool = True
    voice: Speaking = "persona"

    @functools.cached_property
    def asks_who_speaks(self) -> bool:
        """Whether it is a question of who or what is answering, which no writing answers."""
        asked = self.task == "ask" and self.voice != "base"
        return asked and asks_who_speaks(self.text, self.persona.display_name)

    @property
    def seeks(self) -> bool:
        """Whether its answer leans on passages of the writing, and is checked against them."""
        return self.task == "ask" and self.voice != "base" and not self.asks_who_speaks

    @property
    def system(self) -> str:
        """The system prompt; empty where the base model alone is asked."""
        if self.voice == "base":
            return ""
        return self.persona.ask.system if self.task == "ask" else self.persona.rewrite.system

    def sampling(self, effort: Effort) -> dict[str, Any]:
        """Parameters of the chat API: the persona's, then the request's."""
        settings = self.settings
        chosen: dict[str, Any] = {
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "max_tokens": settings.max_tokens,
        }
        penalty = settings.repetition_penalty
        if self.wish.strength == "light":
            penalty = 1.0 + (penalty - 1.0) * _LIGHT_PENALTY
        if penalty != 1.0:  # vLLM's, not OpenAI's: sent only if it says something
            chosen["repetition_penalty"] = penalty
        if self.task == "rewrite":
            # A rewrite is about as long as its source; a token is three characters or more.
            chosen["max_tokens"] = max(settings.max_tokens, len(self.text) // _CHARACTERS_PER_TOKEN)
        chosen |= self.overrides
        if effort is Effort.SHORT and self.task == "ask":  # half a rewrite would be none
            shorter = max(_SHORTEST_ANSWER_TOKENS, chosen["max_tokens"] // 2)
            chosen["max_tokens"] = min(chosen["max_tokens"], shorter)
        return chosen

    def most_tokens(self) -> int:
        """What prompt and answer may take of the engine's cache, rather too much than too little."""
        persona = self.persona
        characters = len(self.system) + len(self.text) + sum(map(len, persona.style_anchors))
        characters += sum(len(message["content"]) for message in self.history)
        tokens = characters / _CHARACTERS_PER_TOKEN
        if self.seeks:
            words = persona.retrieval.passages * persona.retrieval.passage_words
            tokens += words * _TOKENS_PER_WORD
        return int(tokens) + int(self.sampling(Effort.FULL)["max_tokens"])


def check(
    request: AskRequest | RewriteRequest,
    persona: Persona,
    base: Base,
    history: Sequence[Message] = (),
) -> Order:
    """Make an order of a request.

    Args:
        history: earlier turns of the conversation, oldest first, without system messages, where they came
            beside the request; its own are taken otherwise.

    Raises:
        EmptyText, TextTooLong, RequestError: with what to do.
    """
    if request.voice != "persona" and request.adapter_version is not None:
        raise RequestError(
            f'voice "{request.voice}" speaks without an adapter: leave out adapter_version, or take voice '
            '"persona".'
        )
    overrides = {
        name: value
        for name in ("temperature", "max_tokens")
        if (value := getattr(request, name)) is not None
    }
    task: Literal["ask", "rewrite"] = "ask" if isinstance(request, AskRequest) else "rewrite"
    if isinstance(request, AskRequest):
        text, limit, what = request.question, persona.ask.max_question_characters, "question"
        settings = persona.ask.sampling
        turns: Sequence[Message] = [
            {"role": turn.role, "content": turn.content} for turn in request.history
        ]
        history = history or turns
        filters = Filters(request.since, request.until, request.source)
        wish = Wish(request.adapter_version, adapter=request.voice == "persona")
    else:
        text, limit, what = request.text, persona.rewrite.max_text_characters, "text"
        settings = persona.rewrite.sampling
        filters = Filters()
        wish = Wish(request.adapter_version, request.strength, adapter=request.voice == "persona")
    # Control characters carry no words, and a NUL ends strings early in places below us.
    text = "".join(c for c in text if c in "\n\t" or (c.isprintable() or c.isspace())).strip()
    if not text:
        raise EmptyText(f"The {what} is empty. Write a {what} for {persona.display_name}.")
    if len(text) > limit:
        raise TextTooLong(
            f"The {what} has {len(text):,} characters, and {persona.display_name} takes up to "
            f"{limit:,}. Shorten it, or send it in parts."
        )
    user = (request.surface, request.user) if request.user else None
    keep = isinstance(request, AskRequest) and request.keep
    return Order(
        task,
        persona,
        base,
        text,
        settings,
        overrides,
        history,
        user,
        filters,
        wish,
        keep,
        request.voice,
    )
