"""`personae doctor` asks Discord: each thing that can be wrong there gets its own sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import discord
import pytest

from bot.on_discord.checkup import COMMANDS, WANTED, Observation, checkup, invitation
from bot.on_discord.settings import DiscordSettings
from tests.bot.on_discord.bench import bot_settings, running_bot
from tests.fakes import discord_objects as objects
from tests.fakes.discord_objects import INVITED, MESSAGE_CONTENT
from tests.fakes.discord_platform import FakeDiscord

NOWHERE = "http://127.0.0.1:9"


def settings_of(platform: FakeDiscord, home: Path, **changes: Any) -> DiscordSettings:
    return bot_settings(platform, NOWHERE, home).model_copy(update=changes)


def problems(found: list[Observation]) -> list[str]:
    return [seen.sentence for seen in found if seen.verdict == "problem"]


def notes(found: list[Observation]) -> list[str]:
    return [seen.sentence for seen in found if seen.verdict == "note"]


async def test_all_is_well_once_the_bot_has_run(tmp_path: Path) -> None:
    async with FakeDiscord() as platform:
        settings = settings_of(platform, tmp_path)
        before = await checkup(settings)
        assert problems(before) == []
        assert any("/ask" in note and "registers them" in note for note in notes(before))
        async with running_bot(settings, platform):
            slash = {c["name"] for c in platform.commands if c["type"] == 1}
            assert slash == COMMANDS, "what the checkup expects is what the bot registers"
        after = await checkup(settings)
        assert {seen.verdict for seen in after} == {"ok"}, after
        assert "the bot is called personae" in after[0].sentence
        assert platform.syncs == 1, "it changes nothing"


async def test_a_wrong_token_and_an_unreachable_discord_are_told_apart(tmp_path: Path) -> None:
    async with FakeDiscord() as platform:
        wrong = bot_settings(platform, NOWHERE, tmp_path, token="some.other-token")
        found = await checkup(wrong)
        assert len(found) == 1 and "does not accept DISCORD_TOKEN" in found[0].sentence
        assert "some.other" not in found[0].sentence
        away = settings_of(platform, tmp_path, discord_api_base=f"{NOWHERE}/api/v10")
        found = await checkup(away)
        assert len(found) == 1 and "can't be reached" in found[0].sentence


@pytest.mark.parametrize(
    ("switched_on", "wanted", "verdict", "sentence"),
    [
        (0, True, "problem", "the intent is off"),
        (MESSAGE_CONTENT, False, "note", "does not use it"),
        (MESSAGE_CONTENT, True, "ok", "The intents fit."),
    ],
)
async def test_the_portals_switch_and_the_setting_have_to_agree(
    tmp_path: Path, switched_on: int, wanted: bool, verdict: str, sentence: str
) -> None:
    async with FakeDiscord(intents_on=switched_on) as platform:
        found = await checkup(settings_of(platform, tmp_path, message_content=wanted))
        assert any(seen.verdict == verdict and sentence in seen.sentence for seen in found)


async def test_what_the_portal_can_have_wrong(tmp_path: Path) -> None:
    async with FakeDiscord() as platform:
        platform.application_changes = {
            "interactions_endpoint_url": "https://example.org/x",
            "bot_public": True,
            "approximate_guild_count": 0,
        }
        found = await checkup(settings_of(platform, tmp_path))
        assert any("Interactions Endpoint URL" in sentence for sentence in problems(found))
        assert any("Anybody may invite" in note for note in notes(found))
        assert any(invitation(objects.APPLICATION_ID) in note for note in notes(found))


async def test_missing_permissions_are_named_with_their_server(tmp_path: Path) -> None:
    fewer = INVITED & ~objects.ATTACH_FILES & ~objects.CREATE_PUBLIC_THREADS
    async with FakeDiscord(bot_permissions=fewer) as platform:
        found = await checkup(settings_of(platform, tmp_path))
        lacking = next(note for note in notes(found) if "Permissions are missing" in note)
        assert "Readers 1 (attach files, create public threads)" in lacking


async def test_too_few_shards_are_a_problem(tmp_path: Path) -> None:
    async with FakeDiscord(shards=4) as platform:
        found = await checkup(settings_of(platform, tmp_path, shards=2))
        assert any("DISCORD_SHARDS is 2" in sentence for sentence in problems(found))
        found = await checkup(settings_of(platform, tmp_path))
        assert any("4 shards" in seen.sentence for seen in found)


async def test_a_discord_in_trouble_hides_no_other_finding(tmp_path: Path) -> None:
    async with FakeDiscord() as platform:
        platform.fail_next += [("GET /applications/@me", 503)] + [("GET /gateway/bot", 0)] * 2
        found = await checkup(settings_of(platform, tmp_path))
        sentences = " ".join(seen.sentence for seen in found)
        assert "HTTP status 503" in sentences and "can't be reached" in sentences
        assert "has the permissions" in sentences


def test_the_invitation_is_what_the_fake_is_invited_with() -> None:
    assert WANTED.value == INVITED
    assert discord.Permissions(INVITED).manage_webhooks is False
