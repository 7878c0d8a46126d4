"""What people do on Slack during a soak: commands, mentions, direct messages, buttons, App Home."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from tests.bot.bot_process import bot_process
from tests.bot.on_discord.burst import shipped_cast
from tests.bot.on_slack.bench import MANIFEST, bot_environment
from tests.bot.on_slack.burst import DISCLOSED, answers_to
from tests.bot.soak import Soaked
from tests.conftest import gateway_over
from tests.fakes.engine import FakeEngine
from tests.fakes.slack_platform import FakeSlack

_PEOPLE = 50
_KEPT = 400
_PATIENCE_SECONDS = 120.0
_PATIENT = "first_token_seconds = 120\nbetween_tokens_seconds = 60\ndrain_seconds = 1"


@contextlib.asynccontextmanager
async def soaked(home: Path) -> AsyncIterator[Soaked]:
    """Slack, a gateway, an engine and the bot."""
    with FakeSlack(MANIFEST, ack_seconds=120.0, trigger_seconds=120.0) as slack:
        async with (
            FakeEngine() as engine,
            gateway_over(
                engine,
                shipped_cast(),
                home,
                gateway="max_answers_per_user = 100",
                deadlines=_PATIENT,
            ) as gateway,
            bot_process("slack", bot_environment(slack, gateway.url, home)) as bot,
        ):
            engine.keep_requests = False
            await slack.until(lambda: slack.open_sockets == 2, "two connections", 60)

            async def ask(number: int) -> None:
                await _act(slack, number)
                _tidy(slack)

            def complaints() -> list[str]:
                return [*slack.violations, *(call.method for call in slack.too_early)]

            yield Soaked(bot, ask, complaints)


async def _act(slack: FakeSlack, number: int) -> None:
    user = f"U0CROWD{number % _PEOPLE}"
    channel = f"C0CROWD{number % 5}"
    question = f"lincoln Why, number {number}?"
    kind = number % 6
    if kind == 0:
        asked = slack.command("/ask", question, user=user, channel=channel)
    elif kind == 1:
        asked = slack.mention(question, user=user, channel=channel)
    elif kind == 2:
        before = answers_to_direct(slack, user)
        slack.direct(question, user=user)
        await slack.until(
            lambda: answers_to_direct(slack, user) > before, "an answer", _PATIENCE_SECONDS
        )
        return
    elif kind == 3:
        before = len(slack.private)
        slack.command("/rewrite", f"roosevelt Firms obey, {number}.", user=user, channel=channel)
        await slack.until(
            lambda: any(DISCLOSED in p.shown and p.user == user for p in slack.private[before:]),
            "a draft",
            _PATIENCE_SECONDS,
        )
        return
    elif kind == 4:
        before_home = slack.home(user)
        seen_before = before_home.now if before_home else None
        slack.open_home(user)
        await slack.until(
            lambda: (home := slack.home(user)) is not None and home.now is not seen_before,
            "a home",
            _PATIENCE_SECONDS,
        )
        return
    else:
        asked = slack.mention(question, user=user, channel=channel)
    await slack.until(lambda: answers_to(slack, asked), "an answer", _PATIENCE_SECONDS)
    if kind == 5:
        message = next(m for m in slack.bot_messages if m.thread_ts == asked.payload["event"]["ts"])
        pressed = slack.press(message, "p:sources", user=user)
        await slack.until(lambda: pressed.acked, "an acknowledgement", _PATIENCE_SECONDS)


def answers_to_direct(slack: FakeSlack, user: str) -> int:
    channel = "D0" + user[2:]
    return sum(m.channel == channel and DISCLOSED in m.shown for m in slack.bot_messages)


def _tidy(slack: FakeSlack) -> None:
    """The fake forgets what is old: its own growth would slow the machine down."""
    for grows in (slack.calls, slack.deliveries, slack.statuses, slack.prompts):
        del grows[:-_KEPT]
    for view in slack.views:
        del view.history[:-2]
    for known in (slack.triggers, slack.response_urls):
        for old in list(known)[:-_KEPT]:
            del known[old]
