"""Two hundred people ask at the same moment: what the fake Slack's clock and the bot's loop say.

Run as: python -m tests.bot.on_slack.burst [--people 200] [--json FILE]

Fake Slack, gateway and engine run here, the bot in a process of its own. The figures are
`acknowledged_seconds` (largest and median, by Slack's clock), how long the bot's event loop was held
(see `tests.bot.watched_bot`), what was lost, answered twice, throttled or sent too early after a 429.
Where other work has the machine, Slack's clock goes slower by `slowness`, measured just before.
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

from personae.persona import Cast
from tests.bot.bot_process import bot_process, slowness
from tests.bot.on_discord.burst import shipped_cast
from tests.bot.on_slack.bench import MANIFEST, bot_environment
from tests.conftest import gateway_over
from tests.fakes.engine import FakeEngine
from tests.fakes.slack_platform import FakeSlack
from tests.fakes.slack_workspace import Delivery, Message

DISCLOSED = "imitation of"
_PERSONAS = ("lincoln", "roosevelt", "pg", "wbw")
_CHANNELS = 20
_ENOUGH = "max_answers_at_once = 64\nmax_waiting = 1000\nmax_answers_per_user = 3"
_PATIENT = "first_token_seconds = 120\nbetween_tokens_seconds = 60\ndrain_seconds = 1"
_PATIENCE_SECONDS = 300.0


def ask(slack: FakeSlack, number: int) -> Delivery:
    """One person asks: by a mention, by a direct message or by a command, in turn."""
    user, persona = f"U0CROWD{number}", _PERSONAS[number % len(_PERSONAS)]
    question = f"{persona} What holds a nation together, {number}?"
    channel = f"C0CROWD{number % _CHANNELS}"
    if number % 3 == 0:
        return slack.direct(question, user=user)
    if number % 3 == 1:
        return slack.command("/ask", question, user=user, channel=channel)
    return slack.mention(question, user=user, channel=channel)


def answers_to(slack: FakeSlack, asked: Delivery) -> int:
    """How many finished answers stand where the person who asked looks for one."""
    seen = [(m, m.shown) for m in slack.bot_messages if not m.deleted]
    return among([(m, shown) for m, shown in seen if DISCLOSED in shown], asked)


def among(finished: list[tuple[Message, str]], asked: Delivery) -> int:
    """How many of these messages, each with what it shows, answer this question."""
    event = asked.payload.get("event")
    if event is None:
        question = asked.payload["text"].partition(" ")[2]
        return sum(question in shown for _, shown in finished)
    if event["channel"].startswith("D"):
        return sum(message.channel == event["channel"] for message, _ in finished)
    place = (event["channel"], event["ts"])
    return sum((message.channel, message.thread_ts) == place for message, _ in finished)


async def burst(home: Path, cast: Cast, *, people: int = 200) -> dict[str, Any]:
    """Let so many people ask at once; gives the figures once everybody has their answer."""
    slow = await slowness()
    with FakeSlack(MANIFEST, ack_seconds=3.0 * slow, trigger_seconds=3.0 * slow) as slack:
        async with (
            FakeEngine() as engine,
            gateway_over(engine, cast, home, gateway=_ENOUGH, deadlines=_PATIENT) as gateway,
            bot_process("slack", bot_environment(slack, gateway.url, home)) as bot,
        ):
            await slack.until(lambda: slack.open_sockets == 2, "two connections", 60)
            first = ask(slack, 0)
            await slack.until(lambda: answers_to(slack, first), "a first answer", 60)
            await bot.forget()
            asked = [ask(slack, number) for number in range(1, people + 1)]
            again = [slack.redeliver(one) for one in asked[::10]]
            await slack.until(
                lambda: all(one.acked or one.failed for one in asked + again),
                "acknowledgements",
                _PATIENCE_SECONDS,
            )
            await slack.until(
                lambda: all(answers_to(slack, one) for one in asked),
                "answers",
                _PATIENCE_SECONDS,
            )
            figures = await bot.look()
            await asyncio.sleep(2.0)  # a second answer would come meanwhile
            assert await bot.stop() == 0, bot.told()
            return _figures(slack, asked, figures, slow)


def _figures(
    slack: FakeSlack, asked: list[Delivery], bot: dict[str, Any], slow: float
) -> dict[str, Any]:
    waits = sorted(one.ack_seconds / slow for one in asked if one.ack_seconds is not None)
    counts = [answers_to(slack, one) for one in asked]
    edits = [len(m.history) for m in slack.bot_messages if DISCLOSED in m.shown]
    return {
        "people": len(asked),
        "slowness": slow,
        "acknowledged_seconds": {"largest": waits[-1], "median": statistics.median(waits)},
        "unacknowledged": sum(one.ack_seconds is None for one in asked),
        "attempts": max(one.attempts for one in asked),
        "lost": sum(count == 0 for count in counts),
        "answered_twice": sum(count > 1 for count in counts),
        "throttled": sum(call.error == "ratelimited" for call in slack.calls),
        "ignored_429": len(slack.too_early),
        "problems": slack.violations,
        "states_per_answer": statistics.mean(edits),
        "loop_held_seconds": {
            "longest_step_cpu": bot["longest_step_cpu_seconds"],
            "longest_step": bot["longest_step"],
            "wall": bot["held_wall_seconds"],
            "cpu": bot["held_cpu_seconds"],
            "times_over_50_ms": bot["over_50_ms"],
        },
        "bot_cpu_seconds": bot["cpu_seconds"],
        "bot_rss_mib": bot["rss_bytes"] / (1 << 20),
    }


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
