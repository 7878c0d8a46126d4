"""Bits per byte of plain text: how far a model is surprised by somebody's writing.

In: a loaded peft model, stretches of text and a question for each. Out: (bits, bytes) of each stretch. Each
is given as the answer to its question under the persona's own prompt, without passages: the form in which
the adapter is served. The end of the turn is not counted, because the author's text goes on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from personae.persona import Persona
from personae.prompt import render_ask
from training.evaluate.wordings import QUESTIONS
from training.samples.topics import topics_of
from training.tune.encode import Encoded
from training.tune.lora import row_losses

NEUTRAL_QUESTION = "What would you tell us?"
_TOKENS_AT_ONCE = 1024
"""Padded tokens of one batch."""


def bits_of(
    model: Any,
    tokenizer: Any,
    persona: Persona,
    texts: Sequence[str],
    questions: Sequence[str],
    *,
    done: Callable[[int], None] = lambda _count: None,
) -> list[tuple[float, int]]:
    """(bits, UTF-8 bytes) of each text, in order."""
    import torch

    rows = []
    for text, question in zip(texts, questions, strict=True):
        prompt = tokenizer.apply_chat_template(
            render_ask(persona, question), tokenize=False, add_generation_prompt=True
        )
        prompt_ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        rows.append(Encoded([*prompt_ids, *ids], len(prompt_ids), len(text.encode())))
    found: dict[int, tuple[float, int]] = {}
    with torch.inference_mode():
        for batch in _batches(rows):
            nats = row_losses(model, [rows[number] for number in batch]).tolist()
            for number, value in zip(batch, nats, strict=True):
                found[number] = (value / math.log(2), rows[number].target_bytes)
            done(len(found))
    return [found[number] for number in range(len(rows))]


def questions_about(texts: Sequence[str]) -> list[str]:
    """A question on each text's most telling topic; the neutral one where it has none."""
    return [
        QUESTIONS[number % len(QUESTIONS)].format(topic=topics[0]) if topics else NEUTRAL_QUESTION
        for number, topics in enumerate(topics_of(texts, most=1))
    ]


def _batches(rows: Sequence[Encoded]) -> list[list[int]]:
    ordered = sorted(range(len(rows)), key=lambda number: len(rows[number].ids))
    batches: list[list[int]] = []
    for number in ordered:
        size = len(rows[number].ids)
        if not batches or (len(batches[-1]) + 1) * size > _TOKENS_AT_ONCE:
            batches.append([])
        batches[-1].append(number)
    return batches
