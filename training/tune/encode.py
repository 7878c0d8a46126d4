"""Samples as token ids, with a mask that says which of them are learned.

In: samples and the base model's tokenizer. Out: `Encoded` rows: the prompt exactly as the chat template
renders it (as in serving), then the target, then the end of the turn. Only target and end are
labelled; the end is labelled exactly once. For continued pre-training plain texts become rows in which
everything is learned. What must hold of all rows together is in `training.tune.preflight`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from personae.errors import ModelError
from training.samples.pairs import Sample


class TooLong(ValueError):
    """One sample is; whoever encodes many decides what to say of it."""

    def __init__(self, message: str, tokens: int) -> None:
        super().__init__(message)
        self.tokens = tokens


@dataclass(frozen=True)
class Encoded:
    ids: list[int]
    first_label: int
    """Tokens from here on are learned."""
    target_bytes: int
    """Length of the target in UTF-8, for bits per byte."""

    @property
    def labels(self) -> int:
        return len(self.ids) - self.first_label


def encode(samples: Iterable[Sample], tokenizer: Any, *, max_tokens: int) -> list[Encoded]:
    """One row a sample.

    Raises:
        ModelError: the tokenizer's chat template does not fit, or a sample is longer than
            `max_tokens` (nothing is ever cut silently).
    """
    try:
        return [encode_one(sample, tokenizer, max_tokens=max_tokens) for sample in samples]
    except TooLong as err:
        raise ModelError(str(err)) from err


def end_of_turn(tokenizer: Any) -> int:
    """The token the chat template writes after an answer; the model stops at it.

    Raises:
        ModelError: the template writes none that generation would stop at.
    """
    messages = [{"role": "user", "content": "A"}, {"role": "assistant", "content": "B"}]
    rendered = tokenizer.apply_chat_template(messages, tokenize=False)
    tail = rendered[rendered.rindex("B") + 1 :]
    ids = tokenizer(tail, add_special_tokens=False)["input_ids"]
    if not ids or ids[0] != tokenizer.eos_token_id:
        raise ModelError(
            f"The chat template of this base model ends an answer with {tail!r}, its tokenizer says "
            f"{tokenizer.eos_token!r}: it would never learn to stop. Choose an instruct model whose "
            "template ends a turn with its end-of-sequence token."
        )
    return int(ids[0])


def encode_one(sample: Sample, tokenizer: Any, *, max_tokens: int) -> Encoded:
    """As `encode`.

    Raises:
        ModelError: the tokenizer's chat template does not fit.
        TooLong: it has more tokens than `max_tokens`.
    """
    prompt = tokenizer.apply_chat_template(
        sample.messages, tokenize=False, add_generation_prompt=True
    )
    whole = tokenizer.apply_chat_template(
        [*sample.messages, {"role": "assistant", "content": sample.target}], tokenize=False
    )
    end = end_of_turn(tokenizer)
    if not whole.startswith(prompt + sample.target + tokenizer.eos_token):
        raise ModelError(
            "The chat template of this base model writes an answer in other words than it asks for "
            "one, so training and serving would differ. Choose another instruct model."
        )
    # Encoded apart, as in generation: no token straddles the border of prompt and answer.
    prompt_ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    target_ids = tokenizer(sample.target, add_special_tokens=False)["input_ids"]
    ids = [*prompt_ids, *target_ids, end]
    if len(ids) > max_tokens:
        raise TooLong(
            f"A {sample.task} sample has {len(ids)} tokens, more than {max_tokens}. Lower "
            "passage_words in the persona's [retrieval], or raise max_tokens of the training.",
            len(ids),
        )
    return Encoded(ids, len(prompt_ids), len(sample.target.encode()))


def row_problem(row: Encoded, end: int) -> str | None:
    """What is wrong with a conversation's mask: no label, or an end not learned exactly once."""
    labelled = row.ids[row.first_label :]
    if len(labelled) < 2:
        return "has no answer to learn"
    if labelled[-1] != end:
        return "does not learn the end of the turn, so the model would never stop"
    if labelled.count(end) != 1:
        return "holds the end-of-turn token in the middle of its answer"
    return None


def check_encoded(rows: Sequence[Encoded], tokenizer: Any) -> None:
    """What must hold before training begins.

    Raises:
        ModelError: a row without labels, or whose end is not learned exactly once.
    """
    end = end_of_turn(tokenizer)
    for row in rows:
        if problem := row_problem(row, end):
            raise ModelError(
                f"A training sample {problem}. Look at the corpus for chat markup and ingest again."
            )


def encode_texts(texts: Iterable[str], tokenizer: Any, *, chunk_tokens: int) -> list[Encoded]:
    """Rows of plain text, every token learned but the first of each.

    A text is cut into pieces of about the same length, none longer than `chunk_tokens`; nothing of it
    is dropped, but a piece of one token, which has nothing to predict.
    """
    rows = []
    for text in texts:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        count = max(1, -(-len(ids) // chunk_tokens))
        for number in range(count):
            piece = ids[len(ids) * number // count : len(ids) * (number + 1) // count]
            if len(piece) > 1:
                rows.append(Encoded(piece, 1, len(tokenizer.decode(piece).encode())))
    return rows


def preview(samples: Iterable[Sample], tokenizer: Any, *, max_tokens: int = 4096) -> str:
    """Samples as the model meets them; what is learned stands between ⟦ and ⟧."""
    shown = []
    for sample in samples:
        (row,) = encode([sample], tokenizer, max_tokens=max_tokens)
        prompt = tokenizer.decode(row.ids[: row.first_label])
        learned = tokenizer.decode(row.ids[row.first_label :])
        shown.append(f"--- {sample.task}\n{prompt}⟦{learned}⟧")
    return "\n".join(shown)
