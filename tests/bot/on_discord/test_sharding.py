"""Shards: as many as Discord recommends or the operator says, and every server is answered on its own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.on_discord.frontend import run
from personae.errors import ConfigError
from tests.bot.on_discord.bench import PATIENT_EDITS, bot_settings, running_bot
from tests.conftest import RunningGateway
from tests.fakes.discord_objects import CHANNEL_ID, MENTION
from tests.fakes.discord_platform import FakeDiscord

LINCOLN = "An imitation of Abraham Lincoln"


def second_channel(platform: FakeDiscord) -> str:
    return platform.world.guilds[1].channels[0].id


@pytest.mark.parametrize("asked_for", [None, 2])
async def test_two_shards_answer_two_servers(
    gateway: RunningGateway, tmp_path: Path, asked_for: int | None
) -> None:
    recommended = 2 if asked_for is None else 1
    async with FakeDiscord(
        edit_limit=PATIENT_EDITS,
        guilds=2,
        shards=recommended,
        guilds_per_shard=1,
        identify_seconds=0.0,
    ) as platform:
        settings = bot_settings(platform, gateway.url, tmp_path)
        settings = settings.model_copy(update={"shards": asked_for})
        async with running_bot(settings, platform):
            await platform.connected()
            assert platform.socket.shards == [(0, 2), (1, 2)]
            assert ("GET /gateway/bot" in platform.requests) == (asked_for is None)
            for channel in (CHANNEL_ID, second_channel(platform)):
                ask = await platform.slash(
                    "ask", channel=channel, persona="lincoln", question="Why?"
                )
                await ask.shows("must think anew", LINCOLN)
                await platform.say(f"{MENTION} lincoln: Why?", channel=channel)
                await platform.channel(channel).shows("must think anew", LINCOLN)


async def test_one_shard_that_breaks_resumes_alone(gateway: RunningGateway, tmp_path: Path) -> None:
    async with (
        FakeDiscord(
            edit_limit=PATIENT_EDITS, guilds=2, shards=2, guilds_per_shard=1, identify_seconds=0.0
        ) as platform,
        running_bot(bot_settings(platform, gateway.url, tmp_path), platform),
    ):
        await platform.connected()
        await platform.do(platform.socket.drop(1006, shard=1))
        ask = await platform.slash("ask", persona="lincoln", question="Why?")
        other = await platform.slash(
            "ask", channel=second_channel(platform), persona="lincoln", question="Why?"
        )
        await ask.shows(LINCOLN)
        await other.shows(LINCOLN)
        assert platform.socket.identifies == 2 and platform.socket.resumes == 1


async def test_too_few_shards_end_it_with_what_to_do(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    async with FakeDiscord(
        guilds=3, shards=3, guilds_per_shard=1, identify_seconds=0.0
    ) as platform:
        settings = bot_settings(platform, gateway.url, tmp_path)
        settings = settings.model_copy(update={"shards": 1})
        with pytest.raises(ConfigError, match="DISCORD_SHARDS"):
            await run(settings, stop=asyncio.Event(), retry_seconds=(0.05,))


async def test_where_discord_recommends_too_few_it_is_asked_again(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    """A bot that grows: its servers need two shards a moment before Discord says so."""
    stop = asyncio.Event()
    async with FakeDiscord(
        guilds=2, shards=1, guilds_per_shard=1, identify_seconds=0.0
    ) as platform:
        settings = bot_settings(platform, gateway.url, tmp_path)
        bot = asyncio.create_task(run(settings, stop=stop, retry_seconds=(0.2,)))
        try:
            asked = "GET /gateway/bot"
            await platform.until(lambda: platform.requests.count(asked) >= 2, "second question")
            platform.socket.recommended_shards = 2
            await platform.connected()
            assert platform.socket.shards == [(0, 2), (1, 2)]
        finally:
            stop.set()
            await bot
