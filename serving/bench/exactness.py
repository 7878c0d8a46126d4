"""Does a batch in which some requests have adapters leave every text as it was?

A long prompt (the plug) keeps the engine busy for a step, sixteen greedy requests arrive meanwhile, are
scheduled together, and all write the same number of tokens. Even rows are answered by the base model,
odd rows by eight adapters, one each. Every text must be the one that its speaker writes when it is
asked the same alone.

vLLM as it is can't be held to that: its greedy texts alone and in a batch part by rounding. There, base
rows are compared with those of a batch of equal shape in which the base model answers everything.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
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
    adapter_rows_unlike_base: int
    """Adapter rows whose text differs from the base model's: the adapters do speak."""

    @property
    def share(self) -> float:
        return (self.base_rows_equal + self.adapter_rows_equal) / (
            self.base_rows + self.adapter_rows
        )

    def as_details(self) -> dict[str, Any]:
        return {
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
    with_alone: bool = True,
) -> Exactness:
    """Compare mixed batches with what each speaker says alone.

    Args:
        adapters: eight model names; odd row 2k+1 is answered by the k-th.
        prompts: sixteen, one a row.
        with_alone: False compares the base's rows only, with a batch of the base model's.
    """
    rows = [(adapters[row // 2] if row % 2 else base, prompt) for row, prompt in enumerate(prompts)]
    total = 1 + repeats + (ROWS if with_alone else 0)
    progress(stage, 0, total)
    all_base = await batch(
        engine, [(base, prompt) for prompt in prompts], plug_model=base, tokens=tokens
    )
    progress(stage, 1, total)
    expected = {row: all_base[row] for row in range(0, ROWS, 2)}
    if with_alone:
        for number, (speaker, prompt) in enumerate(rows):
            expected[number] = await _alone(engine, speaker, prompt, tokens)
            progress(stage, 2 + number, total)
    equal: Counter[bool] = Counter()
    unlike = 0
    for repeat in range(repeats):
        mixed = await batch(engine, rows, plug_model=base, tokens=tokens)
        for row, text in expected.items():
            equal[row % 2 == 0] += mixed[row] == text
        unlike += sum(mixed[row] != all_base[row] for row in range(1, ROWS, 2))
        progress(stage, total - repeats + repeat + 1, total)
    return Exactness(
        base_rows=repeats * ROWS // 2,
        base_rows_equal=equal[True],
        adapter_rows=repeats * (len(expected) - ROWS // 2),
        adapter_rows_equal=equal[False],
        adapter_rows_unlike_base=unlike,
    )


async def _alone(engine: Engine, speaker: str, prompt: Sequence[Message], tokens: int) -> str:
    reply = await engine.chat(speaker, prompt, max_tokens=tokens, ignore_eos=True)
    if reply.error:
        raise ModelError(f"The engine failed in the comparison of batches: {reply.error}.")
    return reply.text
