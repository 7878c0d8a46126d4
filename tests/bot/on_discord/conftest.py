"""Fixtures of the tests beside this file: a patient Discord, and the bot in it before a real gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.bot.on_discord.bench import PATIENT_EDITS, bot_settings, running_bot
from tests.conftest import RunningGateway
from tests.fakes.discord_platform import FakeDiscord


@pytest.fixture
async def platform() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord(edit_limit=PATIENT_EDITS) as platform:
        yield platform


@pytest.fixture
async def bot(
    platform: FakeDiscord, gateway: RunningGateway, tmp_path: Path
) -> AsyncIterator[None]:
    settings = bot_settings(platform, gateway.url, tmp_path, admin_key=gateway.admin_key)
    async with running_bot(settings, platform):
        yield
