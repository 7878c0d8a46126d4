"""`personae bench overload`: four times the load that is safe, for minutes.

In: the configured cast in a scratch home (its models, corpora and indexes are taken over, so that
there are passages to quote). Clients in a closed loop, each somebody else, ask and rewrite with all
personas. Out: how many were answered, how many got quoted passages, how many were refused and whether
they were told when to return; who got nothing; who waited past the deadline; the gateway's memory.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from personae.config import Config
from personae.errors import EngineUnavailable
from personae.progress import Progress
from serving.bench.figures import percentile
from serving.bench.home import served_home
from serving.bench.load import Reply, one_after_another
from serving.bench.processes import RunningGateway, memory_bytes, running_gateway
from serving.bench.prompts import QUESTIONS

TIMES_SAFE = 4
_REFUSALS = frozenset(
    {
        "busy",
        "engine_unavailable",
        "gateway_restarting",
        "deadline_exceeded",
        "http 429",
        "http 503",
    }
)
_QUOTED = "quoted"
"""`finish_reason` of an answer that quotes passages instead of asking the model."""
_LONGEST_PAUSE_SECONDS = 2.0
"""Refused clients come back sooner than they were told: the load has to stay."""
_STREAM_GRACE_SECONDS = 120.0

_TEXTS = (
    "Big companies are useful, but they have to follow the rules like everyone else.",
    "we must look after the forests, or our children will have none",
    "Schools matters a lot, because who can not read he can not vote good.",
)


@dataclass(frozen=True)
class _Memory:
    begin: int
    middle: int
    end: int


async def run_overload_bench(
    config: Config, *, minutes: float, clients: int | None, progress: Progress
) -> dict[str, Any]:
    """Drive it, and count.

    Args:
        clients: how many at a time; None is four times the answers that the gateway takes at once.

    Raises:
        ConfigError, ModelError: it can't be measured here, and why.
    """
    many = clients or TIMES_SAFE * config.gateway.max_answers_at_once
    with served_home(config) as home:
        async with running_gateway(home, progress=progress) as running:
            status, listed = await running.gateway.call("GET", "/v1/personas")
            if status != 200:
                raise EngineUnavailable("The gateway can't tell its personas.")
            personas = [card["id"] for card in listed["personas"]]
            replies, memory = await _drive(running, personas, many, minutes * 60, progress)
    return _counted(replies, memory, config.deadlines.first_token_seconds) | {
        "details": _details(replies, memory, many, minutes)
    }


async def _drive(
    running: RunningGateway,
    personas: Sequence[str],
    clients: int,
    seconds: float,
    progress: Progress,
) -> tuple[list[Reply], _Memory]:
    until = asyncio.Event()

    async def request(client: int, asked: int) -> Reply:
        number = asked * clients + client
        persona = personas[(client + asked) % len(personas)]
        user = f"bench-{client}"
        if (client // len(personas) + asked) % 4 == 3:
            text = f"{_TEXTS[number % len(_TEXTS)]} ({number})"
            reply = await running.gateway.rewrite(persona, text, user=user, key="rewrite")
        else:
            question = f"{QUESTIONS[number % len(QUESTIONS)]} ({number})"
            reply = await running.gateway.ask(persona, question, user=user, key="ask")
        if reply.error is not None:
            await asyncio.sleep(min(reply.retry_after_seconds or 0.2, _LONGEST_PAUSE_SECONDS))
        return reply

    begin = middle = memory_bytes(running.pid)
    load = asyncio.create_task(one_after_another(clients, request, until=until))
    started = time.monotonic()
    try:
        while (passed := time.monotonic() - started) < seconds and not load.done():
            progress("overloading", passed, seconds)
            if passed < seconds / 2:
                middle = memory_bytes(running.pid)
            await asyncio.sleep(min(1.0, seconds - passed))
        progress("overloading", seconds, seconds)
        until.set()
        async with asyncio.timeout(_STREAM_GRACE_SECONDS):
            replies = await load
        return replies, _Memory(begin, middle, memory_bytes(running.pid))
    finally:
        until.set()
        load.cancel()


def _counted(replies: Sequence[Reply], memory: _Memory, deadline_seconds: float) -> dict[str, Any]:
    refused = [reply for reply in replies if reply.error in _REFUSALS]
    answered = [reply for reply in replies if reply.error is None]
    quoted = [reply for reply in answered if reply.finish_reason == _QUOTED]
    late = [reply for reply in answered if reply.first_token_seconds > deadline_seconds]
    return {
        "requests": len(replies),
        "answered": len(answered) - len(quoted),
        "quoted": len(quoted),
        "refused": len(refused),
        "refused_without_retry_time": sum(reply.retry_after_seconds is None for reply in refused),
        "without_an_answer": len(replies) - len(answered) - len(refused),
        "late": len(late),
        "memory_begin_mib": round(memory.begin / 2**20, 1),
        "memory_middle_mib": round(memory.middle / 2**20, 1),
        "memory_end_mib": round(memory.end / 2**20, 1),
    }


def _details(
    replies: Sequence[Reply], memory: _Memory, clients: int, minutes: float
) -> dict[str, Any]:
    answered = [reply for reply in replies if reply.error is None]
    waits = [reply.first_token_seconds for reply in answered] or [0.0]
    refusals = [reply.ended - reply.started for reply in replies if reply.error in _REFUSALS]
    return {
        "clients": clients,
        "minutes": minutes,
        "memory_end_over_middle": round(memory.end / memory.middle, 4),
        "errors": dict(Counter(reply.error for reply in replies if reply.error)),
        "tasks": dict(Counter(reply.key for reply in replies)),
        "queued_first": sum("queued" in reply.events for reply in replies),
        "finish_reasons": dict(Counter(reply.finish_reason for reply in answered)),
        "first_token_median_seconds": round(percentile(waits, 0.5), 2),
        "first_token_p99_seconds": round(percentile(waits, 0.99), 2),
        "first_token_max_seconds": round(max(waits), 2),
        "refusal_p99_seconds": round(percentile(refusals, 0.99), 3) if refusals else None,
    }
