"""Two hundred people ask at the same moment: what the fake Discord's clock and the bot's loop say.

Run as: python -m tests.bot.on_discord.burst [--people 200] [--json FILE]

Fake Discord, gateway and engine run here, the bot in a process of its own. The figures are
`acknowledged_seconds` (largest and median, by Discord's clock), how long the bot's event loop was held
(see `tests.bot.watched_bot` for the two kinds), what was lost, answered twice, throttled or sent too
early after a 429. Where other work has the machine, Discord's clock goes slower by `slowness`, which is
measured just before: how much longer than on an idle machine a process takes for the same work.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from personae.persona import Cast, load_cast
from tests.bot.bot_process import bot_process, slowness
from tests.bot.on_discord.bench import bot_environment
from tests.conftest import REPOSITORY, gateway_over, with_floor
from tests.fakes.discord_interaction import Interaction
from tests.fakes.discord_platform import FakeDiscord
from tests.fakes.discord_world import Person
from tests.fakes.engine import FakeEngine

_PERSONAS = ("lincoln", "roosevelt", "pg", "wbw")
_ENOUGH = "max_answers_at_once = 64\nmax_waiting = 1000\nmax_answers_per_user = 3"
_PATIENT = "first_token_seconds = 120\nbetween_tokens_seconds = 60\ndrain_seconds = 1"


def reader(number: int) -> Person:
    return Person(str(4100000000000000000 + number), f"reader{number}")


async def burst(home: Path, cast: Cast, *, people: int = 200) -> dict[str, Any]:
    """Let so many people ask at once; gives the figures once everybody has their answer."""
    slow = await slowness()
    async with (
        FakeEngine() as engine,
        gateway_over(engine, cast, home, gateway=_ENOUGH, deadlines=_PATIENT) as gateway,
        FakeDiscord(ack_seconds=3.0 * slow) as platform,
        bot_process("discord", bot_environment(platform, gateway.url, home)) as bot,
    ):
        await platform.connected()
        first = await platform.slash("ask", persona="lincoln", question="Why?", person=reader(0))
        await first.shows("An imitation of")
        await bot.forget()
        asked = await asyncio.gather(
            *(
                platform.slash(
                    "ask",
                    persona=_PERSONAS[number % len(_PERSONAS)],
                    question=f"What holds a nation together, {number}?",
                    person=reader(number),
                )
                for number in range(1, people + 1)
            )
        )
        for ask in asked:
            await ask.acknowledged()
        worked = await bot.work()
        for ask in asked:
            await ask.shows("An imitation of")
        figures = await bot.look()
        await _all_quiet(platform)
        assert await bot.stop() == 0, bot.told()
        told = _figures(platform, asked, figures, slow)
        return told | {"cpu_seconds_to_acknowledge": worked}


async def _all_quiet(platform: FakeDiscord) -> None:
    """Wait until the last edit has arrived, so that a second answer would be seen."""
    seen = -1
    while seen != len(platform.requests):
        seen = len(platform.requests)
        await asyncio.sleep(1.0)


def _figures(
    platform: FakeDiscord, asked: list[Interaction], bot: dict[str, Any], slow: float
) -> dict[str, Any]:
    waits = [ask.acknowledged_after for ask in asked]
    known = sorted(wait / slow for wait in waits if wait is not None)
    questions = [f"together, {number}?" for number in range(1, len(asked) + 1)]
    said = [message.text for message in platform.messages.values() if not message.deleted]
    return {
        "people": len(asked),
        "slowness": slow,
        "acknowledged_seconds": {"largest": known[-1], "median": statistics.median(known)},
        "unacknowledged": sum(wait is None for wait in waits),
        "lost": sum("An imitation of" not in ask.text for ask in asked),
        "answered_twice": sum(sum(question in text for text in said) > 1 for question in questions)
        + sum(ask.doubly_answered for ask in asked),
        "throttled": len(platform.throttled),
        "ignored_429": len(platform.ignored_429),
        "problems": len(platform.problems),
        "edits_per_answer": statistics.mean(ask.edits for ask in asked),
        "loop_held_seconds": {
            "longest_step_cpu": bot["longest_step_cpu_seconds"],
            "longest_step": bot["longest_step"],
            "longest_collection": bot["longest_collection_seconds"],
            "wall": bot["held_wall_seconds"],
            "cpu": bot["held_cpu_seconds"],
            "times_over_50_ms": bot["over_50_ms"],
        },
        "bot_cpu_seconds": bot["cpu_seconds"],
        "bot_rss_mib": bot["rss_bytes"] / (1 << 20),
    }


def shipped_cast() -> Cast:
    """The cast without a floor of relevance, which was calibrated with a real embedder."""
    shipped = load_cast([REPOSITORY / "cast"])
    return Cast((with_floor(one, 0.0), shipped.folder(one.id)) for one in shipped.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--json", type=Path, help="write the figures there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        figures = asyncio.run(burst(Path(home), shipped_cast(), people=given.people))
    told = json.dumps(figures, indent=1)
    sys.stdout.write(told + "\n")
    if given.json:
        given.json.write_text(told + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
