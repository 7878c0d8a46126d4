"""A modest rate of questions for an hour, and whether the bot's memory stays flat.

Run as: python -m tests.bot.soak [--minutes 60] [--platform discord] [--rate 1.0] [--json FILE]

The platform's fake, a gateway and an engine run here, the bot in a process of its own. After a warm-up
(the first sixth of the time) its memory is looked at every few seconds. Flat means: the median of the last
third is at most `RSS_GROWTH_MIB` above the median of the first third, no kind of object of ours grows with
the number of questions, and no task is left.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.bot.bot_process import BotProcess

RSS_GROWTH_MIB = 8.0
TASKS_GROWTH = 5
_OBJECTS_FOR_EACH_QUESTION = 0.2
"""A kind of object of which one in five questions leaves one behind is a leak …"""
_STILL_FILLING = 100
"""… beyond so many, which libraries' bounded caches (addresses, SQL statements) may still take."""
_DEAD = "weakref.ReferenceType of NoneType"
_DEAD_WAITING = 1_000
"""Dead references wait in asyncio's and the database's weak sets to be swept, some hundred at a time."""
_MIB = 1 << 20


@dataclass
class Soaked:
    """A bot and its surroundings: `ask(number)` does what people do, once, and waits for its end."""

    bot: BotProcess
    ask: Callable[[int], Awaitable[None]]
    complaints: Callable[[], list[str]]


class Surroundings(Protocol):
    """`tests.bot.on_<platform>.soaked` holds one as `soaked(home)`."""

    def __call__(self, home: Path) -> AbstractAsyncContextManager[Soaked]: ...


async def soak(surroundings: Surroundings, *, seconds: float, rate: float) -> dict[str, Any]:
    """Ask `rate` times a second; gives the figures."""
    with tempfile.TemporaryDirectory() as home:
        async with surroundings(Path(home)) as soaked:
            await _ask_for(soaked, seconds / 6, rate, 0)
            looks: list[dict[str, Any]] = []
            asked = 0
            ends = time.monotonic() + seconds * 5 / 6
            pause = max(2.0, seconds / 60)
            while time.monotonic() < ends:
                asked += await _ask_for(soaked, pause, rate, asked)
                looks.append({"asked": asked} | await soaked.bot.look())
            return figures(looks) | {"asked": asked, "complaints": soaked.complaints()}


async def _ask_for(soaked: Soaked, seconds: float, rate: float, first: int) -> int:
    """Ask for so long, then wait until everybody has an answer, so that looks are comparable."""
    ends = time.monotonic() + seconds
    running: set[asyncio.Task[None]] = set()
    number = first
    while time.monotonic() < ends:
        task = asyncio.ensure_future(_asked(soaked, number))
        running.add(task)
        task.add_done_callback(running.discard)
        number += 1
        await asyncio.sleep(1.0 / rate)
    await asyncio.gather(*running)
    return number - first


async def _asked(soaked: Soaked, number: int) -> None:
    await soaked.ask(number)


def figures(looks: list[dict[str, Any]]) -> dict[str, Any]:
    """What the looks say, between their first and their last third."""
    third = max(1, len(looks) // 3)
    early, late = looks[:third], looks[-third:]

    def growth(of: Callable[[dict[str, Any]], float]) -> float:
        return statistics.median(map(of, late)) - statistics.median(map(of, early))

    questions = max(1, late[-1]["asked"] - early[-1]["asked"])
    growing = {}
    # Only the commonest kinds are told: one that was not among them at first counts as none.
    for kind in late[-1]["types"]:
        more = growth(lambda look, kind=kind: look["types"].get(kind, 0))
        filling = _DEAD_WAITING if kind == _DEAD else _STILL_FILLING
        if more > max(filling, questions * _OBJECTS_FOR_EACH_QUESTION):
            growing[kind] = more
    return {
        "looks": len(looks),
        "rss_mib": {
            "early": statistics.median(look["rss_bytes"] for look in early) / _MIB,
            "late": statistics.median(look["rss_bytes"] for look in late) / _MIB,
            "growth": growth(lambda look: look["rss_bytes"]) / _MIB,
        },
        "objects_growth": growth(lambda look: look["objects"]),
        "tasks_growth": growth(lambda look: look["tasks"]),
        "growing_kinds": growing,
        "longest_step_cpu_seconds": max(look["longest_step_cpu_seconds"] for look in looks),
        "questions_between": questions,
    }


def flat(told: dict[str, Any]) -> bool:
    return (
        told["rss_mib"]["growth"] <= RSS_GROWTH_MIB
        and told["tasks_growth"] <= TASKS_GROWTH
        and not told["growing_kinds"]
        and not told["complaints"]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--platform", choices=("discord", "slack"), default="discord")
    parser.add_argument("--rate", type=float, default=1.0, help="questions a second")
    parser.add_argument("--json", type=Path, help="write the figures there")
    given = parser.parse_args()
    surroundings = importlib.import_module(f"tests.bot.on_{given.platform}.soaked").soaked
    told = asyncio.run(soak(surroundings, seconds=given.minutes * 60, rate=given.rate))
    text = json.dumps(told | {"flat": flat(told)}, indent=1)
    sys.stdout.write(text + "\n")
    if given.json:
        given.json.write_text(text + "\n")
    return 0 if flat(told) else 1


if __name__ == "__main__":
    sys.exit(main())
