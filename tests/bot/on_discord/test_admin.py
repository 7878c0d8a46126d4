"""`/personae …`: what each sub-command changes, who may use it, and that only they see the reply."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from bot.core.sentences import speaker
from tests.bot.on_discord.bench import PATIENT_EDITS, bot_settings, running_bot
from tests.conftest import RunningGateway
from tests.fakes import discord_objects as objects
from tests.fakes.discord_interaction import Interaction
from tests.fakes.discord_objects import (
    ADMINISTRATOR,
    CHANNEL_ID,
    INVITED,
    MANAGE_GUILD,
    MENTION,
    PERSON_ID,
    SECOND_CHANNEL_ID,
)
from tests.fakes.discord_platform import MEMBER_PERMISSIONS, FakeDiscord
from tests.fakes.discord_world import ALICE, BOB, CAROL, LIBRARIANS

say = speaker("en")
LINCOLN = "An imitation of Abraham Lincoln"
COMMANDS: list[tuple[str, dict[str, Any]]] = [
    ("reload", {"persona": "lincoln"}),
    ("rollback", {"persona": "lincoln"}),
    ("versions", {}),
    ("status", {}),
    ("unanswered", {"persona": "lincoln"}),
    ("export", {"persona": "lincoln"}),
    ("default", {"persona": "lincoln"}),
    ("allow", {"personas": "lincoln"}),
    ("limits", {}),
    ("roles", {}),
    ("names", {"on": True}),
    ("alerts", {}),
    ("retention", {"days": 30}),
    ("stats", {}),
]


async def admin(platform: FakeDiscord, command: str, *shown: str, **options: Any) -> Interaction:
    """Use a sub-command and wait for its reply, which only Alice sees."""
    used = await platform.slash(f"personae {command}", options=options)
    await used.shows(*shown) if shown else await platform.until(
        lambda: bool(used.text), "a reply", used
    )
    assert used.private
    return used


async def speaker_of(platform: FakeDiscord) -> str:
    """The adapter that answers now, as the fake engine names it."""
    ask = await platform.slash("ask", persona="lincoln", question="Why?")
    return (await ask.shows("An imitation of")).partition("[")[2].partition("]")[0]


# --- what holds for all servers -------------------------------------------------------------------


async def test_reload_and_rollback_move_the_voice(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    assert await speaker_of(platform) == "lincoln@v1"
    await admin(platform, "reload", "v2", persona="lincoln")
    assert await speaker_of(platform) == "lincoln@v2"
    await admin(platform, "rollback", "v1", persona="lincoln")
    assert await speaker_of(platform) == "lincoln@v1"
    await admin(platform, "reload", "v2", persona="lincoln", version="v2")
    assert await speaker_of(platform) == "lincoln@v2"
    with contextlib.closing(sqlite3.connect(gateway.config.home / "state.db")) as state:
        query = "SELECT action, actor, surface FROM adapter_history WHERE persona = 'lincoln'"
        assert ("reload", f"discord:{PERSON_ID}", "discord") in state.execute(query).fetchall()


async def test_versions_and_status_tell_what_is_live(bot: None, platform: FakeDiscord) -> None:
    await admin(platform, "reload", "v2", persona="lincoln")
    listed = await admin(platform, "versions", "lincoln", "roosevelt")
    assert "v2" in listed.text and "v1" in listed.text
    one = await admin(platform, "versions", "lincoln", persona="lincoln")
    assert "roosevelt" not in one.text
    await admin(platform, "status", "4 personas", "Defaults:")


async def test_refusals_of_the_gateway_reach_the_administrator(
    bot: None, platform: FakeDiscord
) -> None:
    await admin(platform, "reload", "v9", persona="lincoln", version="v9")
    unknown = await admin(platform, "reload", "linkoln", persona="linkoln")
    assert "lincoln" in unknown.text
    await admin(platform, "rollback", persona="roosevelt")
    assert await speaker_of(platform) == "lincoln@v1"


async def test_the_feedback_comes_as_a_file_for_the_administrator_only(
    bot: None, platform: FakeDiscord
) -> None:
    empty = await admin(platform, "export", "no feedback", persona="lincoln", format="kto")
    assert not empty.messages[0].files
    ask = await platform.slash("ask", persona="lincoln", question="Why?")
    await ask.shows(LINCOLN)
    rated = await platform.press(ask.messages[0], "👍")
    await platform.until(lambda: bool(rated.text), "thanks", rated)
    exported = await admin(platform, "export", "1 line", persona="lincoln", format="kto")
    [message] = exported.messages
    [(name, content)] = message.files.items()
    assert name == "feedback-lincoln-kto.jsonl"
    [line] = [json.loads(line) for line in content.decode().splitlines()]
    assert set(line) >= {"prompt", "completion", "label"} and line["label"] is True


async def test_unanswered_questions_are_listed_harmlessly(bot: None, platform: FakeDiscord) -> None:
    await admin(platform, "unanswered", "no question", persona="lincoln")


# --- what holds for this server -------------------------------------------------------------------


async def test_a_default_of_the_channel_comes_before_the_servers(
    bot: None, platform: FakeDiscord
) -> None:
    await admin(platform, "default", "Roosevelt", persona="roosevelt", scope="server")
    await admin(platform, "default", "Lincoln", persona="lincoln")
    await platform.say(f"{MENTION} Why?", channel=CHANNEL_ID)
    await platform.channel(CHANNEL_ID).shows("[lincoln@v1]")
    await platform.say(f"{MENTION} Why?", channel=SECOND_CHANNEL_ID)
    await platform.channel(SECOND_CHANNEL_ID).shows("[roosevelt@v1]")
    await admin(platform, "default")
    await platform.say(f"{MENTION} And now?", channel=CHANNEL_ID, person=BOB)
    await platform.channel(CHANNEL_ID).shows("[roosevelt@v1]")


async def test_only_allowed_personas_speak_and_are_suggested(
    bot: None, platform: FakeDiscord
) -> None:
    await admin(platform, "allow", "lincoln, pg", personas="lincoln, pg")
    refused = await platform.slash("ask", persona="roosevelt", question="Why?")
    await refused.shows("may not speak")
    assert refused.private
    typing = await platform.autocomplete("ask", "persona", "")
    assert {c["value"] for c in await typing.choices_shown()} == {"lincoln", "pg"}
    await admin(platform, "allow", "Every persona", personas="all")
    ask = await platform.slash("ask", persona="roosevelt", question="Why?")
    await ask.shows("[roosevelt@v1]")


async def test_the_list_of_allowed_personas_is_completed_one_by_one(
    bot: None, platform: FakeDiscord
) -> None:
    first = await platform.autocomplete("personae allow", "personas", "")
    assert "all" in [c["value"] for c in await first.choices_shown()]
    second = await platform.autocomplete("personae allow", "personas", "lincoln, roo")
    assert [c["value"] for c in await second.choices_shown()] == ["lincoln, roosevelt"]


async def test_a_limit_holds_for_the_person_it_names(bot: None, platform: FakeDiscord) -> None:
    await admin(platform, "limits", "No limits")
    await admin(platform, "limits", "1 requests", requests=1, person=BOB.id)
    listed = await admin(platform, "limits", f"<@{BOB.id}>")
    assert listed.pings == set()
    first = await platform.slash("ask", persona="lincoln", question="Why?", person=BOB)
    await first.shows(LINCOLN)
    second = await platform.slash("ask", persona="lincoln", question="Why?", person=BOB)
    await second.shows("The count starts anew")
    alice = await platform.slash("ask", persona="lincoln", question="Why?")
    await alice.shows(LINCOLN)
    await admin(platform, "limits", "no limit", person=BOB.id)


async def test_a_limit_has_to_say_whose_it_is(bot: None, platform: FakeDiscord) -> None:
    await admin(platform, "limits", "whose limit", requests=5)
    await admin(platform, "limits", "one of them", requests=5, person=BOB.id, of="server")
    await admin(platform, "limits", "this server", requests=500, tokens=100000, of="server")
    await admin(platform, "limits", f"<@&{LIBRARIANS}>", requests=20, role=LIBRARIANS)


async def test_a_role_of_the_list_may_administer_and_others_may_not(
    bot: None, platform: FakeDiscord
) -> None:
    before = await platform.slash("personae status", person=CAROL, overridden=True)
    await before.shows(say("only-managers"))
    await admin(platform, "roles", f"<@&{LIBRARIANS}>", role=LIBRARIANS)
    after = await platform.slash("personae status", person=CAROL, overridden=True)
    await after.shows("personas")
    other = await platform.slash("personae status", person=BOB, overridden=True)
    await other.shows(say("only-managers"))
    assert before.private and after.private and other.private
    changed = await platform.slash("personae roles", person=CAROL, overridden=True)
    await changed.shows(say("only-managers"))
    await admin(platform, "roles", "Only those who manage")


async def test_own_names_say_which_permission_they_need(platform: FakeDiscord, bot: None) -> None:
    await admin(platform, "names", "own names", "Manage Webhooks", on=True)
    off = await admin(platform, "names", "under the bot's name", on=False)
    assert "Webhooks" not in off.text


async def test_alerts_go_to_a_channel_where_the_bot_can_write(
    bot: None, platform: FakeDiscord
) -> None:
    await platform.forbid(SECOND_CHANNEL_ID, objects.SEND_MESSAGES)
    await admin(platform, "alerts", "can't write", channel=SECOND_CHANNEL_ID)
    await admin(platform, "alerts", f"<#{CHANNEL_ID}>", channel=CHANNEL_ID)
    await admin(platform, "alerts", "no channel")


async def test_retention_and_stats(bot: None, platform: FakeDiscord) -> None:
    await admin(platform, "retention", "14 days", days=14)
    ask = await platform.slash("ask", persona="lincoln", question="Why?")
    await ask.shows(LINCOLN)
    stats = await admin(platform, "stats", "7 days", f"<@{PERSON_ID}>")
    assert stats.pings == set()


# --- who may --------------------------------------------------------------------------------------


async def test_members_are_refused_though_the_server_hands_them_the_commands(
    bot: None, platform: FakeDiscord
) -> None:
    offered = next(c for c in platform.commands if c["name"] == "personae")
    assert {c["name"] for c in offered["options"]} == {name for name, _ in COMMANDS}
    for command, options in COMMANDS:
        path = f"personae {command}"
        with pytest.raises(AssertionError, match="would not be offered"):
            await platform.slash(path, permissions=MEMBER_PERMISSIONS, **options)
        refused = await platform.slash(
            path, permissions=MEMBER_PERMISSIONS, overridden=True, **options
        )
        assert await refused.shows(say("only-managers")) == say("only-managers"), command
        assert refused.private
    assert await speaker_of(platform) == "lincoln@v1"


@pytest.mark.parametrize("permission", [MANAGE_GUILD, ADMINISTRATOR])
async def test_either_permission_makes_an_administrator(
    bot: None, platform: FakeDiscord, permission: int
) -> None:
    listed = await platform.slash("personae versions", permissions=permission, overridden=True)
    await listed.shows("lincoln")


async def test_with_a_list_of_operators_only_they_move_a_voice(
    platform: FakeDiscord, gateway: RunningGateway, tmp_path: Path
) -> None:
    settings = bot_settings(platform, gateway.url, tmp_path, admin_key=gateway.admin_key)
    policy = settings.policy.model_copy(update={"operators": frozenset({f"discord:{BOB.id}"})})
    async with running_bot(settings.model_copy(update={"policy": policy}), platform):
        for command in ("reload", "rollback", "unanswered", "export"):
            await admin(platform, command, say("only-operators"), persona="lincoln")
        reload = await platform.slash(
            "personae reload", person=BOB, overridden=True, persona="lincoln"
        )
        await reload.shows("v2")
        assert await speaker_of(platform) == "lincoln@v2"
        await admin(platform, "versions", "lincoln")


async def test_the_admin_commands_exist_in_servers_only(bot: None, platform: FakeDiscord) -> None:
    with pytest.raises(AssertionError, match="is not here"):
        await platform.slash("personae status", dm=True)


async def test_administrators_read_their_own_language(bot: None, platform: FakeDiscord) -> None:
    german = await platform.slash("personae retention", days=7, locale="de")
    await german.shows("7 Tage")
    offered = next(c for c in platform.commands if c["name"] == "personae")
    reload = next(c for c in offered["options"] if c["name"] == "reload")
    assert "Persona" in reload["description_localizations"]["de"]


# --- the admin key --------------------------------------------------------------------------------


async def test_without_or_with_a_wrong_admin_key_the_bot_says_so(
    platform: FakeDiscord, gateway: RunningGateway, tmp_path: Path
) -> None:
    async with running_bot(bot_settings(platform, gateway.url, tmp_path), platform):
        for command, options in (("reload", {"persona": "lincoln"}), ("versions", {})):
            refused = await admin(platform, command, **options)
            assert refused.text == say("no-admin-key")
    async with FakeDiscord(edit_limit=PATIENT_EDITS) as other:
        settings = bot_settings(other, gateway.url, tmp_path / "other", admin_key="wrong")
        async with running_bot(settings, other):
            refused = await admin(other, "versions")
            assert "admin key" in refused.text


async def test_a_private_outcome_never_goes_to_the_channel(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    async with FakeDiscord(edit_limit=PATIENT_EDITS, token_seconds=0.0) as platform:
        settings = bot_settings(platform, gateway.url, tmp_path, admin_key=gateway.admin_key)
        async with running_bot(settings, platform):
            await platform.slash("personae versions")
            await platform.until(
                lambda: any(call.startswith("PATCH") for call in platform.requests), "an edit"
            )
        assert not any(f"channels/{CHANNEL_ID}" in call for call in platform.requests)


def test_the_fake_is_invited_as_the_guide_says() -> None:
    assert not INVITED & objects.MANAGE_WEBHOOKS and ALICE.id == PERSON_ID
