"""Does a batch in which some requests have adapters leave every text as it was?

Greedy texts of one prompt differ between batches of different shape, by rounding alone. So the texts
that are compared come from batches of equal shape: a long prompt (the plug) keeps the engine busy for
a step, sixteen requests arrive meanwhile in a fixed order, are scheduled together, and all write the
same number of tokens. Row i has the same prompt in every batch; what changes is who answers it:

    base            all sixteen rows: the base model
    mixed           even rows: the base model; odd rows: eight adapters, one each
    reference of p  p's row as in `mixed`; all others: the base model

Base rows of `mixed` must be those of `base`, and each adapter's row must be that of its reference. An
adapter has one row in both, so its share of the batch has the same shape too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from personae.errors import ModelError
from personae.progress import Progress
from personae.prompt import Message
from serving.bench.load import Engine, Reply
from serving.bench.prompts import shuffled_words

ROWS = 16
_PLUG_WORDS = 1500
_BETWEEN_SECONDS = 0.01


@dataclass(frozen=True)
class Exactness:
    """What was compared and what of it was equal."""

    base_rows: int
    base_rows_equal: int
    adapter_rows: int
    adapter_rows_equal: int
    base_repeatable: float
    """Share of rows that two all-base batches have in common: 1.0, or nothing here means anything."""
    adapter_rows_unlike_base: int
    """Adapter rows whose text differs from the base model's: the adapters do speak."""

    @property
    def share(self) -> float:
        return (self.base_rows_equal + self.adapter_rows_equal) / (
            self.base_rows + self.adapter_rows
        )

    def as_details(self) -> dict[str, Any]:
        return {
            "base_repeatable": round(self.base_repeatable, 4),
            "base_rows": self.base_rows,
            "base_rows_equal": self.base_rows_equal,
            "adapter_rows": self.adapter_rows,
            "adapter_rows_equal": self.adapter_rows_equal,
            "adapter_rows_unlike_base": self.adapter_rows_unlike_base,
        }


async def batch(
    engine: Engine, rows: Sequence[tuple[str, Sequence[Message]]], *, plug_model: str, tokens: int
) -> list[str]:
    """The texts of one batch: row i is a model's name and its messages.

    Raises:
        ModelError: a row failed.
    """
    plug: list[Message] = [{"role": "user", "content": shuffled_words(_PLUG_WORDS, seed=0)}]
    plugged = asyncio.create_task(engine.chat(plug_model, plug, max_tokens=1))
    await asyncio.sleep(10 * _BETWEEN_SECONDS)
    tasks: list[asyncio.Task[Reply]] = []
    for model, messages in rows:
        answer = engine.chat(model, messages, max_tokens=tokens, ignore_eos=True)
        tasks.append(asyncio.create_task(answer))
        await asyncio.sleep(_BETWEEN_SECONDS)
    replies = await asyncio.gather(*tasks)
    failed = [reply.error for reply in (await plugged, *replies) if reply.error]
    if failed:
        raise ModelError(f"The engine failed in the comparison of batches: {failed[0]}.")
    return [reply.text for reply in replies]


async def compare_batches(
    engine: Engine,
    *,
    base: str,
    adapters: Sequence[str],
    prompts: Sequence[Sequence[Message]],
    tokens: int,
    repeats: int,
    progress: Progress,
    stage: str = "comparing texts of batches",
    references: bool = True,
) -> Exactness:
    """Compare mixed batches with batches of the base alone and of each adapter alone.

    Args:
        adapters: eight model names; odd row 2k+1 is answered by the k-th.
        prompts: sixteen, one a row.
        references: False compares the base's rows only.
    """
    total = 2 + (len(adapters) if references else 0) + repeats
    done = 0

    async def texts(speakers: Mapping[int, str]) -> list[str]:
        nonlocal done
        rows = [(speakers.get(row, base), prompt) for row, prompt in enumerate(prompts)]
        result = await batch(engine, rows, plug_model=base, tokens=tokens)
        done += 1
        progress(stage, done, total)
        return result

    progress(stage, 0, total)
    place = {2 * number + 1: name for number, name in enumerate(adapters)}
    all_base = await texts({})
    again = await texts({})
    alone = {row: (await texts({row: place[row]}))[row] for row in place if references}
    base_equal = adapter_equal = unlike = 0
    for _repeat in range(repeats):
        mixed = await texts(place)
        base_equal += sum(mixed[row] == all_base[row] for row in range(0, ROWS, 2))
        adapter_equal += sum(mixed[row] == text for row, text in alone.items())
        unlike += sum(mixed[row] != all_base[row] for row in place)
    return Exactness(
        base_rows=repeats * ROWS // 2,
        base_rows_equal=base_equal,
        adapter_rows=repeats * len(alone),
        adapter_rows_equal=adapter_equal,
        base_repeatable=sum(a == b for a, b in zip(all_base, again, strict=True)) / ROWS,
        adapter_rows_unlike_base=unlike,
    )
