"""`/personae reload|rollback|list`: what moves, who may, who sees it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.core import sentences
from tests.bot.on_discord.bench import PATIENT_EDITS, bot_settings, running_bot
from tests.conftest import RunningGateway
from tests.fakes.discord_objects import ADMINISTRATOR, CHANNEL_ID, MANAGE_GUILD, PERSON_ID
from tests.fakes.discord_platform import MEMBER_PERMISSIONS, FakeDiscord


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


async def _speaker(platform: FakeDiscord) -> str:
    """The adapter that answers now, as the fake engine names it."""
    ask = await platform.slash("ask", persona="lincoln", question="Why?")
    return (await ask.shows("An imitation of")).partition("[")[2].partition("]")[0]


async def test_reload_and_rollback_move_the_voice(bot: None, platform: FakeDiscord) -> None:
    assert await _speaker(platform) == "lincoln@v1"
    reload = await platform.slash("personae reload", persona="lincoln")
    await reload.shows("v2")
    assert reload.private
    assert await _speaker(platform) == "lincoln@v2"
    rollback = await platform.slash("personae rollback", persona="lincoln")
    await rollback.shows("v1")
    assert await _speaker(platform) == "lincoln@v1"
    named = await platform.slash("personae reload", persona="lincoln", version="v2")
    await named.shows("v2")
    assert await _speaker(platform) == "lincoln@v2"


async def test_the_ledger_names_the_administrator(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    reload = await platform.slash("personae reload", persona="lincoln")
    await reload.shows("v2")
    with contextlib.closing(sqlite3.connect(gateway.config.home / "state.db")) as state:
        query = "SELECT action, actor, surface FROM adapter_history WHERE persona = 'lincoln'"
        assert ("reload", f"discord:{PERSON_ID}", "discord") in state.execute(query).fetchall()


async def test_list_shows_what_is_live_and_what_there_is(bot: None, platform: FakeDiscord) -> None:
    await (await platform.slash("personae reload", persona="lincoln")).shows("v2")
    listed = await platform.slash("personae list")
    text = await listed.shows("roosevelt")
    assert "**lincoln**: v2 is live, v1 was before it." in text
    assert "**roosevelt**: v1 is live. Also in the registry: v2." in text
    assert listed.private


async def test_refusals_of_the_gateway_reach_the_administrator(
    bot: None, platform: FakeDiscord
) -> None:
    version = await platform.slash("personae reload", persona="lincoln", version="v9")
    await version.shows("v9")
    persona = await platform.slash("personae reload", persona="linkoln")
    await persona.shows("Did you mean lincoln?")
    nothing = await platform.slash("personae rollback", persona="roosevelt")
    await nothing.shows("roosevelt")
    assert version.private and persona.private and nothing.private
    assert await _speaker(platform) == "lincoln@v1"


async def test_members_are_refused_though_the_server_hands_them_the_command(
    bot: None, platform: FakeDiscord
) -> None:
    for command, options in (
        ("personae reload", {"persona": "lincoln"}),
        ("personae rollback", {"persona": "lincoln"}),
        ("personae list", {}),
    ):
        with pytest.raises(AssertionError, match="would not be offered"):
            await platform.slash(command, permissions=MEMBER_PERMISSIONS, **options)
        refused = await platform.slash(
            command, permissions=MEMBER_PERMISSIONS, overridden=True, **options
        )
        assert await refused.shows(sentences.ADMINS_ONLY) == sentences.ADMINS_ONLY
        assert refused.private
    assert await _speaker(platform) == "lincoln@v1"


@pytest.mark.parametrize("permission", [MANAGE_GUILD, ADMINISTRATOR])
async def test_either_permission_makes_an_administrator(
    bot: None, platform: FakeDiscord, permission: int
) -> None:
    listed = await platform.slash("personae list", permissions=permission, overridden=True)
    await listed.shows("lincoln")


async def test_the_admin_commands_exist_in_servers_only(bot: None, platform: FakeDiscord) -> None:
    with pytest.raises(AssertionError, match="is not here"):
        await platform.slash("personae list", dm=True)


async def test_without_an_admin_key_the_bot_says_so(
    platform: FakeDiscord, gateway: RunningGateway, tmp_path: Path
) -> None:
    async with running_bot(bot_settings(platform, gateway.url, tmp_path), platform):
        for command, options in (
            ("personae reload", {"persona": "lincoln"}),
            ("personae list", {}),
        ):
            refused = await platform.slash(command, **options)
            assert await refused.shows(sentences.NO_ADMIN_KEY) == sentences.NO_ADMIN_KEY
            assert refused.private


async def test_a_wrong_admin_key_is_explained(
    platform: FakeDiscord, gateway: RunningGateway, tmp_path: Path
) -> None:
    settings = bot_settings(platform, gateway.url, tmp_path, admin_key="wrong")
    async with running_bot(settings, platform):
        refused = await platform.slash("personae list")
        await refused.shows("needs the admin key")
        assert refused.private


async def test_a_private_outcome_never_goes_to_the_channel(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    async with FakeDiscord(edit_limit=PATIENT_EDITS, token_seconds=0.0) as platform:
        settings = bot_settings(platform, gateway.url, tmp_path, admin_key=gateway.admin_key)
        async with running_bot(settings, platform):
            await platform.slash("personae list")
            await platform.until(
                lambda: any(call.startswith("PATCH") for call in platform.requests), "an edit"
            )
        assert not any(f"channels/{CHANNEL_ID}" in call for call in platform.requests)
