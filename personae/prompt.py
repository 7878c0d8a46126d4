"""The one place where a prompt is built: training, evaluation and serving all call these functions.

In: a persona, the person's words, passages. Out: chat messages (`[{"role": …, "content": …}]`)
that the base model's own chat template turns into text. Passages, questions and texts are data: nothing
in them becomes a special token (`inert`) or imitates the prompt's layout. `fingerprint` names what a
persona's prompts look like; it is stored with every adapter, and an adapter trained on other prompts is
refused. This module knows no tokenizer and no model.

    ask      system: persona.ask.system
             user:   Passages from your writings:
                     [1] First Annual Message (1861-12-03)
                     <text>

                     Question: <question>
    rewrite  system: persona.rewrite.system
             user:   Rewrite this text in your own voice. Keep its meaning.

                     Text:
                     <text>
    base     user:   <question>, or "Rewrite this text in your own words." and the text: to compare with

A rewrite's `strength` stands in the prompt only where no adapter speaks: adapters were trained on the prompt
of "normal", and are applied by less or more instead (`serving.variants`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

from personae.persona import Persona
from personae.wire import Strength

Role = Literal["system", "user", "assistant"]


class Message(TypedDict):
    role: Role
    content: str


@dataclass(frozen=True)
class PromptPassage:
    """A passage as the prompt shows it. `text` is already cut to the persona's length."""

    title: str
    date: str
    text: str


# Characters that no reader sees: they hide words in a passage from people, not from a model. Joiners stay,
# because scripts and emoji need them.
_UNSEEN = re.compile(
    "[\u200b\u2060-\u2064\u202a-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f\x00]"
)
# Tokens that chat templates are made of: ChatML and Llama 3 `<|…|>`, DeepSeek `<｜…｜>`, Llama 2 and Mistral
# `[INST]`, `<<SYS>>`, `<s>`, Gemma `<start_of_turn>`, and what models call tools and think with.
_SPECIAL = re.compile(
    r"<(?=[|\uff5c])|(?<=[|\uff5c])>|<(?=<\s*/?SYS)|(?<=SYS>)>"
    r"|<(?=/?(?:s|bos|eos|unk|pad|mask|im_start|im_end|start_of_turn|end_of_turn|tool_call|tool_response|think)>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|MASK|CLS|SEP)\])",
    re.IGNORECASE,
)
_MARKER = re.compile(r"\[(\^?\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*)\]")


def inert(text: str) -> str:
    """A text in which nothing becomes a special token of a chat template, whoever wrote it.

    Ordinary text stays as it is.

    >>> inert("The end.<|im_end|>")
    'The end.< |im_end| >'
    """
    text = _UNSEEN.sub("", text)
    return _SPECIAL.sub(lambda found: " >" if found.group() == ">" else f"{found.group()} ", text)


def holds_special_tokens(text: str) -> bool:
    """Whether `inert` would change more than characters nobody sees."""
    return _SPECIAL.search(_UNSEEN.sub("", text)) is not None


def _flat(text: str) -> str:
    """Whitespace runs as one space, so that a passage can't imitate the prompt's own layout."""
    return " ".join(inert(text).split())


def _passage_text(text: str) -> str:
    """Flat, with the numbers of its own footnotes in round brackets: square ones are the prompt's."""
    return _flat(_MARKER.sub(r"(\1)", _UNSEEN.sub("", text)))


def _numbered(passages: Sequence[PromptPassage]) -> str:
    blocks = []
    for number, passage in enumerate(passages, start=1):
        date = f" ({_flat(passage.date)})" if passage.date else ""
        blocks.append(
            f"[{number}] {_passage_text(passage.title)}{date}\n{_passage_text(passage.text)}"
        )
    return "\n\n".join(blocks)


def _with_examples(system: str, style_passages: Sequence[str]) -> str:
    if not style_passages:
        return system
    shown = "\n\n".join(_flat(passage) for passage in style_passages)
    return f"{system}\n\nExamples of how you write:\n\n{shown}"


def render_ask(
    persona: Persona,
    question: str,
    passages: Sequence[PromptPassage] = (),
    *,
    history: Sequence[Message] = (),
    style_passages: Sequence[str] = (),
) -> list[Message]:
    """The prompt of a question, with the passages it may lean on (none is fine).

    `history` is the conversation so far, oldest turn first. `style_passages` show the voice to a model that
    has no adapter for it; they bring no facts.
    """
    user = f"Question: {_flat(question)}"
    if passages:
        user = f"Passages from your writings:\n{_numbered(passages)}\n\n{user}"
    turns: list[Message] = [
        {"role": turn["role"], "content": inert(turn["content"])} for turn in history
    ]
    return [
        {"role": "system", "content": _with_examples(persona.ask.system, style_passages)},
        *turns,
        {"role": "user", "content": user},
    ]


_HOW_FAR: dict[Strength, str] = {
    "light": " Change only a few words, and leave the rest as it is.",
    "normal": "",
    "strong": " Choose other words throughout, so that every sentence sounds like you.",
}


def render_rewrite(
    persona: Persona,
    text: str,
    *,
    style_passages: Sequence[str] = (),
    strength: Strength = "normal",
) -> list[Message]:
    """The prompt of a rewrite, with passages that show the voice (none is fine)."""
    system = _with_examples(persona.rewrite.system, style_passages)
    asked = f"Rewrite this text in your own voice. Keep its meaning.{_HOW_FAR[strength]}"
    user = f"{asked}\n\nText:\n{inert(text).strip()}"
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


def render_base(
    task: Literal["ask", "rewrite"], text: str, *, history: Sequence[Message] = ()
) -> list[Message]:
    """What the base model alone is asked: the person's words, without a persona and without passages."""
    turns: list[Message] = [
        {"role": turn["role"], "content": inert(turn["content"])} for turn in history
    ]
    asked = inert(text).strip()
    if task == "rewrite":
        asked = f"Rewrite this text in your own words.\n\n{asked}"
    return [*turns, {"role": "user", "content": asked}]


def fingerprint(persona: Persona) -> str:
    """sha256 (hex) over fixed requests rendered for this persona.

    It changes exactly when a prompt would: with the persona's system prompts, and with this module.
    Sampling, limits and sources may change without touching it.
    """
    passages = [
        PromptPassage(title="A title", date="1900-01-31", text="First sentence. Second one."),
        PromptPassage(title="Another", date="", text="Third sentence."),
    ]
    probes = [
        render_ask(persona, "A question?"),
        render_ask(persona, "A question\nin two lines?", passages),
        render_rewrite(persona, "One line.\n\nAnother line."),
        render_rewrite(persona, "One line.", style_passages=["A passage\nof style.", "Another."]),
        render_ask(persona, "A question?", style_passages=["A passage\nof style."]),
    ]
    return hashlib.sha256(json.dumps(probes, sort_keys=True).encode()).hexdigest()
