"""Reload and rollback under load: nothing fails, nobody waits long, and every word is the named version's.

Eight clients ask without pause, half of them the persona whose voice changes. Each cycle publishes a
version, loads it, makes it live, and rolls back to v1. Before and
after there is the same load without changes, to compare with.

A reply names the version that wrote it. To prove it, the reply's text is given back to the engine
under that version's weights, which tells for each token how much likelier its own first choice was. A
greedy text of that very version gives nothing but rounding; one word of another version stands out.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from personae.progress import Progress
from personae.prompt import render_ask
from serving.bench.figures import percentile
from serving.bench.home import BenchHome
from serving.bench.load import Engine, Reply, one_after_another
from serving.bench.processes import RunningGateway
from serving.bench.prompts import QUESTIONS

CLIENTS = 8
# Weights of the versions that take turns, unlike v1's and each other: (voice, scale).
_KINDS = ((1, 1.1), (0, 0.45))
_CHANGING, _NEIGHBOUR = "bench1", "bench2"
_BETWEEN_CHANGES_SECONDS = 1.0
_CHECKS_AT_ONCE = 8

TOLERANCE = 1.0
"""Nats by which a token may trail the version's first choice: bfloat16's rounding differs between a
prompt and a batch of decoding. Measured: see docs/benchmarks.md; another version's words trail by more."""


@dataclass
class ReloadFigures:
    failed_answers: int = 0
    failed_changes: int = 0
    changes: int = 0
    answers: int = 0
    checked: int = 0
    mixed: int = 0
    not_comparable: int = 0
    """Texts whose tokens can't be told from their letters."""
    told_apart: int = 0
    """Checked texts that no other version could have written: how much the check would have seen."""
    own_trail: list[float] = field(default_factory=list)
    other_trail: list[float] = field(default_factory=list)
    steady_p99_seconds: float = 0.0
    changing_p99_seconds: float = 0.0
    steady_median_seconds: float = 0.0
    changing_median_seconds: float = 0.0
    by_version: Counter[str] = field(default_factory=Counter)
    timeline: list[tuple[float, float, str]] = field(default_factory=list)
    """(second, seconds to the first token, phase) of each answer, for the plot."""
    refusals: list[str] = field(default_factory=list)

    @property
    def p99_over_steady(self) -> float:
        return self.changing_p99_seconds / self.steady_p99_seconds

    def as_details(self) -> dict[str, Any]:
        return {
            "answers": self.answers,
            "changes": self.changes,
            "failed_answers": self.failed_answers,
            "failed_changes": self.failed_changes,
            "refusals": self.refusals[:5],
            "answers_by_version": dict(sorted(self.by_version.items())),
            "texts_checked": self.checked,
            "texts_not_comparable": self.not_comparable,
            "texts_no_other_version_could_have_written": self.told_apart,
            "own_version_trails_nats_max": round(max(self.own_trail, default=0.0), 3),
            "own_version_trails_nats_p99": round(percentile(self.own_trail or [0.0], 0.99), 3),
            "nearest_other_version_trails_nats_p01": round(
                percentile(self.other_trail or [0.0], 0.01), 3
            ),
            "tolerance_nats": TOLERANCE,
            "steady_ttft_median_seconds": round(self.steady_median_seconds, 4),
            "steady_ttft_p99_seconds": round(self.steady_p99_seconds, 4),
            "changing_ttft_median_seconds": round(self.changing_median_seconds, 4),
            "changing_ttft_p99_seconds": round(self.changing_p99_seconds, 4),
            "timeline": self.timeline,
        }


async def reload_under_load(
    home: BenchHome,
    running: RunningGateway,
    *,
    cycles: int,
    steady_seconds: float,
    tokens: int,
    progress: Progress,
) -> ReloadFigures:
    """Run the load, the changes and the checks."""
    figures = ReloadFigures()
    first = (await live_versions(running))[_CHANGING]
    kinds = {first: 0}
    done = asyncio.Event()

    async def ask(client: int, asked: int) -> Reply:
        persona = _CHANGING if (client + asked) % 2 == 0 else _NEIGHBOUR
        number = asked * CLIENTS + client
        # The number stands first, so that no prompt is known to the engine.
        question = f"Letter {number}: {QUESTIONS[number % len(QUESTIONS)]}"
        reply = await running.gateway.ask(
            persona, question, max_tokens=tokens, user=f"bench-{client}", key=(persona, question)
        )
        if reply.error is not None:
            await asyncio.sleep(0.2)  # a refusing server is not to be flooded
        return reply

    load = asyncio.create_task(one_after_another(CLIENTS, ask, until=done))
    try:
        await _wait(5.0, progress, "warming up for reloads")
        marks = [time.monotonic()]
        await _wait(steady_seconds, progress, "load without reloads, before")
        marks.append(time.monotonic())
        for cycle in range(cycles):
            kind = 1 + cycle % len(_KINDS)
            voice, scale = _KINDS[kind - 1]
            added = (
                await asyncio.to_thread(home.add_version, _CHANGING, voice=voice, scale=scale)
            ).name
            kinds[added] = kind
            await _change(running, figures, "reload", added)
            await asyncio.sleep(_BETWEEN_CHANGES_SECONDS)
            await _change(running, figures, "rollback", first)
            await asyncio.sleep(_BETWEEN_CHANGES_SECONDS)
            progress("reloading under load", cycle + 1, cycles)
        marks.append(time.monotonic())
        await _wait(steady_seconds, progress, "load without reloads, after")
        marks.append(time.monotonic())
    finally:
        done.set()
        replies = await load
    _count(figures, replies, marks)
    await _check(home, running.engine, figures, replies, kinds, progress)
    return figures


async def live_versions(running: RunningGateway) -> dict[str, str]:
    """Persona → the version that is live, "v1"; personas without one are left out."""
    _status, listed = await running.gateway.call("GET", "/v1/personas")
    return {
        card["id"]: card["adapter_version"]
        for card in listed["personas"]
        if card["adapter_version"]
    }


async def _change(running: RunningGateway, figures: ReloadFigures, action: str, live: str) -> None:
    """Ask for a change after which `live` should be live."""
    body = {"actor": "bench", "reason": "bench"} | ({"version": live} if action == "reload" else {})
    status, outcome = await running.gateway.call(
        "POST", f"/admin/adapters/{_CHANGING}/{action}", body
    )
    figures.changes += 1
    if status != 200 or outcome.get("live") != live:
        figures.failed_changes += 1
        figures.refusals.append(f"{action}: {outcome.get('error', outcome)}"[:300])


async def _wait(seconds: float, progress: Progress, doing: str) -> None:
    started = time.monotonic()
    while (waited := time.monotonic() - started) < seconds:
        progress(doing, waited, seconds)
        await asyncio.sleep(min(0.5, seconds - waited))
    progress(doing, seconds, seconds)


def _count(figures: ReloadFigures, replies: Sequence[Reply], marks: Sequence[float]) -> None:
    """Sort the replies by when they began: before the first change, during changes, after."""
    before, changing, after, end = marks
    steady: list[float] = []
    moving: list[float] = []
    for reply in replies:
        figures.answers += 1
        if reply.error is not None:
            figures.failed_answers += 1
            continue
        if reply.key[0] == _CHANGING:
            figures.by_version[reply.version or "prompt only"] += 1
        if before <= reply.started < end:
            is_moving = changing <= reply.started < after
            (moving if is_moving else steady).append(reply.first_token_seconds)
            phase = "reloading" if is_moving else "steady"
            second = round(reply.started - before, 2)
            figures.timeline.append((second, round(reply.first_token_seconds, 4), phase))
    figures.steady_p99_seconds = percentile(steady, 0.99)
    figures.changing_p99_seconds = percentile(moving, 0.99)
    figures.steady_median_seconds = percentile(steady, 0.5)
    figures.changing_median_seconds = percentile(moving, 0.5)


async def _check(
    home: BenchHome,
    engine: Engine,
    figures: ReloadFigures,
    replies: Sequence[Reply],
    kinds: Mapping[str, int],
    progress: Progress,
) -> None:
    """Whose words: each reply of the changing persona under the weights it names, and the others.

    Args:
        kinds: version → which of the three different weights it has.
    """
    models = {}
    for version, kind in kinds.items():
        if kind in models:
            continue
        # Under a name of our own: the gateway unloads versions of its personas that it does not need.
        models[kind] = f"bench-check-{kind}"
        target = home.registry.find(_CHANGING, int(version.removeprefix("v")))
        body = {"lora_name": models[kind], "lora_path": str(target.folder)}
        await engine.call("POST", "/v1/load_lora_adapter", body)
    own = [reply for reply in replies if reply.error is None and reply.key[0] == _CHANGING]
    limit = asyncio.Semaphore(_CHECKS_AT_ONCE)
    checked = 0

    async def check(reply: Reply) -> None:
        nonlocal checked
        kind = kinds.get(reply.version or "")
        named = home.base_model.id if kind is None else models[kind]
        async with limit:
            trail = await _trail(home, engine, reply, named)
            foreign = [
                await _trail(home, engine, reply, model)
                for other, model in models.items()
                if other != kind
            ]
        checked += 1
        progress("checking whose words they are", checked, len(own))
        if trail is None:
            figures.not_comparable += 1
            return
        figures.checked += 1
        figures.mixed += trail > TOLERANCE
        figures.own_trail.append(trail)
        nearest = min((other for other in foreign if other is not None), default=0.0)
        figures.other_trail.append(nearest)
        figures.told_apart += nearest > TOLERANCE

    async with asyncio.TaskGroup() as group:
        for reply in own:
            group.create_task(check(reply))


async def _trail(home: BenchHome, engine: Engine, reply: Reply, model: str) -> float | None:
    """Nats by which a text's worst token trails a model's first choice at its place.

    None where the text's letters do not give the tokens that were written.
    """
    persona, question = reply.key
    messages = [
        *render_ask(home.cast[persona], question),
        {"role": "assistant", "content": reply.text},
    ]
    body = {
        "model": model,
        "messages": messages,
        "add_generation_prompt": False,
        "continue_final_message": True,
        "max_tokens": 1,
        "temperature": 0.0,
        "prompt_logprobs": 1,
    }
    status, answer = await engine.call("POST", "/v1/chat/completions", body)
    if status != 200:
        return None
    places = answer["prompt_logprobs"][reply.prompt_tokens :]
    # A stop token is counted among the tokens and has no letters.
    if len(places) not in (reply.completion_tokens, reply.completion_tokens - 1):
        return None
    return max((_behind(place) for place in places), default=0.0)


def _behind(place: Mapping[str, Mapping[str, Any]]) -> float:
    """How far the token of a text trails the likeliest one, from vLLM's `prompt_logprobs` of one place.

    >>> _behind({"5": {"logprob": -0.1, "rank": 1}, "7": {"logprob": -2.1, "rank": 3}})
    2.0
    """
    chances = [float(token["logprob"]) for token in place.values()]
    return max(chances) - min(chances)
