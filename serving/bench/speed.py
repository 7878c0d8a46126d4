"""How quick: the first token and the throughput of base, adapters, stock engine and gateway.

First tokens are of one prompt at a time, never seen before by the engine. Throughput is of sixteen
streams that start together; both sides of a comparison write the same number of tokens each.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from personae.errors import ModelError
from personae.persona import Persona
from personae.progress import Progress
from personae.prompt import render_ask
from serving.bench.figures import alternately, paired_ratio, rounded
from serving.bench.load import Engine, Reply, at_once, tokens_per_second
from serving.bench.processes import RunningGateway
from serving.bench.prompts import QUESTIONS, shuffled_words

STREAMS = 16
PROMPT_TOKENS = 840
_STREAM_WORDS = 48

_seeds = itertools.count(1)


def question_of(words: int) -> str:
    """A question of a number of everyday words that was never asked before."""
    return shuffled_words(words, seed=next(_seeds))


async def words_for(engine: Engine, persona: Persona, tokens: int) -> int:
    """How many everyday words make a question's prompt this long."""
    counts = {}
    for words in (100, 200):
        messages = render_ask(persona, shuffled_words(words, seed=0))
        status, reply = await engine.call("POST", "/tokenize", {"messages": messages})
        if status != 200:
            raise ModelError(f"The engine can't count tokens (HTTP status {status}).")
        counts[words] = int(reply["count"])
    each = (counts[200] - counts[100]) / 100
    return max(1, round(100 + (tokens - counts[100]) / each))


async def first_tokens(
    engine: Engine,
    *,
    base: str,
    adapters: Sequence[str],
    persona: Persona,
    rounds: int,
    progress: Progress,
    stage: str,
) -> tuple[dict[str, Any], float]:
    """(raw figures, ratio): seconds to the first token with an adapter, over the base model's."""
    words = await words_for(engine, persona, PROMPT_TOKENS)
    names = itertools.cycle(adapters)
    seen: list[Reply] = []

    async def first(model: str) -> float:
        messages = render_ask(persona, question_of(words))
        reply = await engine.chat(model, messages, max_tokens=1)
        seen.append(_sound(reply))
        progress(stage, len(seen), 2 * rounds + 2)
        return reply.first_token_seconds

    await first(base)  # warm
    await first(next(names))
    with_adapter, alone = await alternately(lambda: first(next(names)), lambda: first(base), rounds)
    raw = {
        "prompt_tokens": seen[-1].prompt_tokens,
        "base_seconds": rounded(alone),
        "adapter_seconds": rounded(with_adapter),
        "base_median_seconds": round(statistics.median(alone), 4),
        "adapter_median_seconds": round(statistics.median(with_adapter), 4),
    }
    return raw, paired_ratio(with_adapter, alone)


async def batch_rate(
    engine: Engine,
    models: Sequence[str],
    persona: Persona,
    *,
    streams: int,
    tokens: int,
    rate: Callable[[Sequence[Reply]], float] = tokens_per_second,
) -> float:
    """Tokens a second of so many streams that start together, each by the next of the models.

    Args:
        rate: how it is counted: with the reading of the prompts (the default), or without.

    Raises:
        ModelError: one of them failed.
    """

    async def one(row: int) -> Reply:
        messages = render_ask(persona, question_of(_STREAM_WORDS))
        model = models[row % len(models)]
        return await engine.chat(model, messages, max_tokens=tokens, ignore_eos=True)

    replies = await at_once(one(row) for row in range(streams))
    for reply in replies:
        _sound(reply)
    return rate(replies)


async def throughputs(
    engine: Engine,
    *,
    base: str,
    adapters: Sequence[str],
    persona: Persona,
    tokens: int,
    rounds: Mapping[int, int],
    progress: Progress,
    stage: str,
) -> tuple[dict[str, Any], dict[int, float]]:
    """(raw figures, ratios): tokens a second with so many adapters mixed, over the base model's.

    Args:
        rounds: number of adapters → how often it is measured, each time against the base alone.
    """
    total = 2 * sum(rounds.values()) + 1
    done = 0

    async def rate(models: Sequence[str]) -> float:
        nonlocal done
        found = await batch_rate(engine, models, persona, streams=STREAMS, tokens=tokens)
        done += 1
        progress(stage, done, total)
        return found

    await rate(adapters)  # warm
    raw: dict[str, Any] = {"streams": STREAMS, "tokens_each": tokens}
    ratios = {}
    for count, times in rounds.items():
        mixed, alone = await alternately(
            partial(rate, adapters[:count]), partial(rate, [base]), times
        )
        ratios[count] = paired_ratio(mixed, alone)
        raw[f"{count}_adapters_tokens_per_second"] = rounded(mixed, 1)
        raw[f"{count}_adapters_base_tokens_per_second"] = rounded(alone, 1)
        raw[f"{count}_adapters_over_base"] = round(ratios[count], 4)
    return raw, ratios


async def gateway_first_tokens(
    running: RunningGateway,
    persona: Persona,
    model: str,
    *,
    prompt_tokens: int,
    rounds: int,
    progress: Progress,
    stage: str,
) -> tuple[dict[str, Any], float]:
    """(raw figures, ratio): seconds to the first token through the gateway, over the engine's own.

    The time that the gateway says it spent on retrieval is taken off (there is nothing indexed here).
    """
    words = await words_for(running.engine, persona, prompt_tokens)
    done = 0

    def counted(reply: Reply) -> float:
        nonlocal done
        done += 1
        progress(stage, done, 2 * rounds + 2)
        return _sound(reply).first_token_seconds - reply.retrieval_seconds

    async def through_gateway() -> float:
        return counted(await running.gateway.ask(persona.id, question_of(words), max_tokens=1))

    async def at_engine() -> float:
        messages = render_ask(persona, question_of(words))
        return counted(await running.engine.chat(model, messages, fresh=False, max_tokens=1))

    await through_gateway()  # warm
    await at_engine()
    gateway, engine = await alternately(through_gateway, at_engine, rounds)
    raw = {
        "prompt_tokens": prompt_tokens,
        "gateway_seconds": rounded(gateway),
        "engine_seconds": rounded(engine),
        "gateway_median_seconds": round(statistics.median(gateway), 4),
        "engine_median_seconds": round(statistics.median(engine), 4),
    }
    return raw, paired_ratio(gateway, engine)


async def gateway_throughput(
    running: RunningGateway,
    models: Mapping[str, str],
    personas: Mapping[str, Persona],
    *,
    tokens: int,
    rounds: int,
    progress: Progress,
    stage: str,
) -> tuple[dict[str, Any], float]:
    """(raw figures, ratio): tokens a second through the gateway, over the engine's own.

    The gateway has no way to forbid a stop, so questions are chosen whose answers are long enough.

    Args:
        models: persona → the name of its live version in the engine.
    """
    total = 2 * rounds + 2
    written: list[int] = []

    def rate(replies: Sequence[Reply]) -> float:
        for reply in replies:
            _sound(reply)
        written.append(sum(reply.completion_tokens for reply in replies))
        progress(stage, len(written), total)
        return tokens_per_second(replies)

    def engine_ask(persona: str, question: str) -> Awaitable[Reply]:
        messages = render_ask(personas[persona], question)
        return running.engine.chat(models[persona], messages, fresh=False, max_tokens=tokens)

    chosen = await _long_answers(engine_ask, list(models))

    async def through_gateway() -> float:
        return rate(
            await at_once(
                running.gateway.ask(persona, question, max_tokens=tokens, user=f"bench-{row}")
                for row, (persona, question) in enumerate(chosen)
            )
        )

    async def at_engine() -> float:
        return rate(await at_once(engine_ask(*pair) for pair in chosen))

    await through_gateway()  # warm
    await at_engine()
    gateway, engine = await alternately(through_gateway, at_engine, rounds)
    raw = {
        "streams": STREAMS,
        "tokens_each_at_most": tokens,
        "tokens_of_runs": written,
        "gateway_tokens_per_second": rounded(gateway, 1),
        "engine_tokens_per_second": rounded(engine, 1),
    }
    return raw, paired_ratio(gateway, engine)


async def _long_answers(
    ask: Callable[[str, str], Awaitable[Reply]], personas: Sequence[str]
) -> list[tuple[str, str]]:
    """A (persona, question) for each stream whose answer does not stop by itself."""
    chosen: list[tuple[str, str]] = []
    for start in range(0, len(QUESTIONS), STREAMS):
        questions = QUESTIONS[start : start + STREAMS]
        candidates = [
            (personas[(start + row) % len(personas)], question)
            for row, question in enumerate(questions)
        ]
        replies = await at_once(ask(*candidate) for candidate in candidates)
        for candidate, reply in zip(candidates, replies, strict=True):
            if _sound(reply).finish_reason == "length":
                chosen.append(candidate)
        if len(chosen) >= STREAMS:
            return chosen[:STREAMS]
    if not chosen:
        raise ModelError("Every answer stops early; the gateway and the engine can't be compared.")
    return [chosen[row % len(chosen)] for row in range(STREAMS)]


def _sound(reply: Reply) -> Reply:
    if reply.error is not None:
        raise ModelError(f"A request of the bench failed: {reply.error}.")
    return reply
