"""What people do on Discord during a soak: commands, mentions, threads, direct messages, buttons."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from tests.bot.bot_process import bot_process
from tests.bot.on_discord.bench import bot_environment
from tests.bot.on_discord.burst import reader, shipped_cast
from tests.bot.soak import Soaked
from tests.conftest import gateway_over
from tests.fakes.discord_message import Message
from tests.fakes.discord_objects import CHANNEL_ID, DM_CHANNEL_ID, MENTION
from tests.fakes.discord_platform import FakeDiscord
from tests.fakes.engine import FakeEngine

_LINCOLN = "An imitation of"
_PEOPLE = 50
_MESSAGES_KEPT = 400
_PATIENT = "first_token_seconds = 120\nbetween_tokens_seconds = 60\ndrain_seconds = 1"


@contextlib.asynccontextmanager
async def soaked(home: Path) -> AsyncIterator[Soaked]:
    """Discord, a gateway, an engine and the bot."""
    async with (
        FakeEngine() as engine,
        gateway_over(
            engine, shipped_cast(), home, gateway="max_answers_per_user = 100", deadlines=_PATIENT
        ) as gateway,
        FakeDiscord(ack_seconds=120.0) as platform,
        bot_process("discord", bot_environment(platform, gateway.url, home)) as bot,
    ):
        engine.keep_requests = False
        await platform.connected()

        async def ask(number: int) -> None:
            await _act(platform, number)
            _tidy(platform)

        yield Soaked(bot, ask, lambda: [*platform.problems, *platform.ignored_429])


async def _act(platform: FakeDiscord, number: int) -> None:
    """Few of them are messages: a channel takes about one edit a second, and everybody here shares one."""
    person = reader(number % _PEOPLE)
    kind = number % 20
    if kind not in (1, 6, 11, 2, 3, 4, 9, 14, 19):
        ask = await platform.slash(
            "ask", persona="lincoln", question=f"Why, {number}?", person=person
        )
        await ask.shows(_LINCOLN)
    elif kind in (1, 6, 11):
        draft = await platform.slash(
            "rewrite", persona="roosevelt", text=f"Firms obey, {number}.", person=person
        )
        await draft.shows(_LINCOLN)
    elif kind == 2:
        await _said(platform, CHANNEL_ID, f"{MENTION} lincoln: Why, {number}?")
    elif kind == 3:
        await _said(platform, DM_CHANNEL_ID, f"lincoln: Why, {number}?")
    else:
        ask = await platform.slash("ask", persona="pg", question=f"Why, {number}?", person=person)
        await ask.shows(_LINCOLN)
        await platform.press(ask.messages[0], "👍", person=person)
        await ask.delete()


async def _said(platform: FakeDiscord, channel: str, text: str) -> None:
    question = await platform.say(text, channel=channel)

    def answers() -> list[Message]:
        later = [m for m in list(platform.messages.values()) if int(m.id) > int(question.id)]
        return [m for m in later if m.of_bot and m.channel.id == channel and _LINCOLN in m.text]

    await platform.until(lambda: bool(answers()), f"an answer to {text!r}")


def _tidy(platform: FakeDiscord) -> None:
    """The fake forgets what is old: its own growth would slow the machine down."""
    platform.requests.clear()
    platform.socket.events.clear()
    for message_id in list(platform.messages)[:-_MESSAGES_KEPT]:
        del platform.messages[message_id]
    for token in list(platform.interactions)[:-_MESSAGES_KEPT]:
        del platform.interactions[token]
