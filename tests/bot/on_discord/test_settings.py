"""The environment becomes settings, or one line that says all that is wrong with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.on_discord import settings as discord_settings
from bot.on_discord.admin import AdminGroup
from bot.on_discord.checkup import OPTIONAL, WANTED
from bot.on_discord.frontend import SYNCED_FILE
from bot.on_discord.settings import settings_from
from personae.errors import ConfigError
from tests.conftest import REPOSITORY

GUIDE = (REPOSITORY / "docs" / "discord.md").read_text()


def test_a_token_is_enough() -> None:
    settings = settings_from({"DISCORD_TOKEN": " abc.def-_1 ", "PERSONAE_ADMIN_KEY": ""})
    assert settings.token.get_secret_value() == "abc.def-_1"
    assert settings.gateway_url == "http://127.0.0.1:8420"
    assert settings.home == Path("var")
    assert settings.admin_key is None and settings.api_key is None
    assert "abc" not in repr(settings)


def test_every_setting_is_taken() -> None:
    settings = settings_from(
        {
            "DISCORD_TOKEN": "abc",
            "PERSONAE_GATEWAY_URL": "https://gateway.example",
            "PERSONAE_API_KEY": "one",
            "PERSONAE_ADMIN_KEY": "two",
            "PERSONAE_HOME": "/srv/personae",
            "DISCORD_API_BASE": "http://127.0.0.1:1/api/v10",
            "DISCORD_GATEWAY_URL": "ws://127.0.0.1:1/",
        }
    )
    assert settings.api_key is not None and settings.api_key.get_secret_value() == "one"
    assert settings.admin_key is not None and settings.admin_key.get_secret_value() == "two"
    assert settings.home == Path("/srv/personae")
    assert settings.discord_api_base == "http://127.0.0.1:1/api/v10"
    assert settings.discord_gateway_url == "ws://127.0.0.1:1/"


@pytest.mark.parametrize("token", ["Bot abc.def", '"abc.def"', "abc def", "ab€"])
def test_a_token_with_something_around_it_is_recognised_and_not_shown(token: str) -> None:
    with pytest.raises(ConfigError, match="characters that no token has") as caught:
        settings_from({"DISCORD_TOKEN": token})
    assert token not in str(caught.value)


def test_all_problems_come_in_one_line() -> None:
    with pytest.raises(ConfigError) as caught:
        settings_from({"PERSONAE_GATEWAY_URL": "localhost", "DISCORD_GATEWAY_URL": "http://x"})
    sentence = str(caught.value)
    assert "\n" not in sentence
    for part in (
        "DISCORD_TOKEN is missing",
        "PERSONAE_GATEWAY_URL is no",
        "DISCORD_GATEWAY_URL is no",
    ):
        assert part in sentence


def test_intent_shards_database_and_limits_are_taken() -> None:
    settings = settings_from(
        {
            "DISCORD_TOKEN": "abc",
            "DISCORD_MESSAGE_CONTENT": "1",
            "DISCORD_SHARDS": "4",
            "PERSONAE_DATABASE_URL": "postgresql://bot:secret@db/bots",
            "PERSONAE_OPERATORS": "discord:42, 43",
        }
    )
    assert settings.message_content and settings.shards == 4
    assert settings.policy.operators == {"discord:42", "43"}
    assert settings.database_url is not None and "secret" not in repr(settings)
    plain = settings_from({"DISCORD_TOKEN": "abc"})
    assert not plain.message_content and plain.shards is None and plain.database_url is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DISCORD_SHARDS", "0"),
        ("DISCORD_SHARDS", "many"),
        ("DISCORD_MESSAGE_CONTENT", "maybe"),
        ("PERSONAE_BOT_MEMORY_HOURS", "long"),
    ],
)
def test_what_is_no_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        settings_from({"DISCORD_TOKEN": "abc", name: value})


def test_the_guide_names_every_setting() -> None:
    names = set(re.findall(r"\b(?:DISCORD|PERSONAE)_[A-Z_]+", discord_settings.__doc__ or ""))
    assert len(names) >= 10
    assert {name for name in names if f"`{name}`" not in GUIDE} == set()
    assert SYNCED_FILE in GUIDE


def test_the_guides_invitation_asks_for_what_it_says() -> None:
    found = re.search(r"scope=bot\+applications\.commands&permissions=(\d+)", GUIDE)
    assert found is not None
    assert int(found[1]) == WANTED.value
    listed = re.findall(r"^\| [A-Z][A-Za-z ]+ \| (\d+) \|", GUIDE, re.MULTILINE)
    assert sum(map(int, listed)) == WANTED.value and len(listed) == 6
    with_webhooks = re.search(r"`permissions=(\d+)`", GUIDE)
    assert with_webhooks is not None and int(with_webhooks[1]) == (WANTED | OPTIONAL).value


def test_the_guide_names_every_admin_command() -> None:
    group = AdminGroup.__discord_app_commands_group_children__
    names = [command.name for command in group]
    assert len(names) == 14
    assert [name for name in names if f"`/personae {name}" not in GUIDE] == []
