"""A bot that is killed with answers in flight: the next one begins them anew, where they stand."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.bot.on_discord.bench import (
    PATIENT_EDITS,
    bot_environment,
    bot_settings,
    running_bot,
)
from tests.conftest import REPOSITORY, RunningGateway
from tests.fakes.discord_objects import BOT_ID, CHANNEL_ID, MANAGE_WEBHOOKS
from tests.fakes.discord_platform import FakeDiscord

LINCOLN = "An imitation of Abraham Lincoln"
ME = f"<@{BOT_ID}>"


async def _started(environment: dict[str, str]) -> asyncio.subprocess.Process:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot.on_discord",
        cwd=REPOSITORY,
        env=kept | environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )


WAYS = ["command", "mention", "under a name", "thinking", "mention without a word"]


@pytest.mark.parametrize("way", WAYS)
async def test_answers_of_a_killed_bot_are_given_by_the_next(
    gateway: RunningGateway, tmp_path: Path, way: str
) -> None:
    async with FakeDiscord(edit_limit=PATIENT_EDITS, identify_seconds=0.0) as platform:
        here = platform.channel(CHANNEL_ID)
        killed = await _started(bot_environment(platform, gateway.url, tmp_path))
        await platform.connected()
        if way == "under a name":
            await platform.allow(CHANNEL_ID, MANAGE_WEBHOOKS)
            await (await platform.slash("personae names", on=True)).shows("own names")
        gateway.engine.words = [f"word{number} " for number in range(200)]
        wordless = way in ("thinking", "mention without a word")
        gateway.engine.seconds_between = 3600 if wordless else 0.1
        if way.startswith("mention"):
            await platform.say(f"{ME} lincoln, why?")
        else:
            await platform.slash("ask", persona="lincoln", question="Why?")
        if wordless:
            while not any("hy?" in str(request) for request in gateway.engine.requests):
                await asyncio.sleep(0.01)
        else:
            await here.shows("word2")
        killed.kill()
        await killed.wait()
        gateway.engine.words, gateway.engine.seconds_between = ["By law."], 0.0
        async with running_bot(bot_settings(platform, gateway.url, tmp_path), platform):
            await here.shows("By law.", LINCOLN, "was begun anew")
            (answer,) = [m for m in here.of_bot if not m.ephemeral]
            assert not answer.loading and "word2" not in answer.text
            if way.startswith("mention"):
                assert answer.reference is not None
            again = await platform.press(answer, "🔁")
            await platform.until(lambda: here.text.count("By law.") == 2, "another try")
            assert again.acknowledged_with is not None


async def test_a_bot_that_is_stopped_says_so_to_mentions(
    platform: FakeDiscord, gateway: RunningGateway, tmp_path: Path
) -> None:
    gateway.engine.words = [f"word{number} " for number in range(200)]
    gateway.engine.seconds_between = 0.1
    here = platform.channel(CHANNEL_ID)
    async with running_bot(bot_settings(platform, gateway.url, tmp_path), platform):
        await platform.say(f"{ME} lincoln, why?")
        await here.shows("word2")
    assert "The bot is being stopped" in here.text and LINCOLN in here.text


async def test_a_line_cut_in_mid_answer_costs_a_mention_nothing(
    platform: FakeDiscord, bot: None, gateway: RunningGateway
) -> None:
    gateway.engine.words = [f"word{number} " for number in range(20)]
    gateway.engine.seconds_between = 0.1
    here = platform.channel(CHANNEL_ID)
    await platform.say(f"{ME} lincoln, why?")
    await here.shows("word2")
    await platform.do(platform.socket.drop(1006))
    gateway.engine.seconds_between = 0
    await here.shows("word19", LINCOLN)
    platform.fail_next += [("PATCH /channels", 0), ("POST /channels", 0), ("PATCH", 503)]
    await platform.say(f"{ME} lincoln, how?")
    await platform.until(lambda: here.text.count("word19") == 2, "a second answer")
    assert len(here.of_bot) == 2
