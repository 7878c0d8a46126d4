"""deploy/slack/manifest.yaml is made from the code, and asks Slack for exactly what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from bot.on_slack import manifest
from bot.on_slack.identity import SCOPES
from tests.bot.on_slack.bench import MANIFEST, REPOSITORY, running_frontend, settings_for
from tests.fakes import slack_rules as rules
from tests.fakes.slack_platform import FakeSlack


def test_the_file_is_what_the_code_makes() -> None:
    """`python -m bot.on_slack.manifest` writes it."""
    assert manifest.FILE.read_text(encoding="utf-8") == manifest.as_yaml()
    assert manifest.manifest() == MANIFEST


async def test_commands_shortcuts_and_events_are_those_that_are_registered(tmp_path: Path) -> None:
    with FakeSlack(MANIFEST) as slack:
        url = f"sqlite:///{tmp_path / 'bots.db'}"
        async with running_frontend(settings_for(slack, "http://127.0.0.1:9", url)) as bot:
            listeners, home = bot.listeners, bot.home
    assert {command.name for command in manifest.COMMANDS} == set(listeners.commands)
    assert set(manifest.MESSAGE_SHORTCUTS) == set(listeners.shortcuts)
    registered = set(listeners.events) | set(home.events) | {"app_uninstalled", "tokens_revoked"}
    assert {event.partition(".")[0] for event in manifest.EVENTS} == registered


def test_the_scopes_are_those_of_the_events_the_commands_and_the_methods() -> None:
    asked_for = set(MANIFEST["oauth_config"]["scopes"]["bot"])
    needed = {rules.EVENT_SCOPES[event] for event in manifest.EVENTS} - {None}
    needed |= set(rules.SCOPES.values()) | {"commands", rules.CUSTOMIZE}
    assert asked_for == needed == SCOPES


def test_the_methods_the_code_calls_are_known_to_the_fake() -> None:
    sources = list((REPOSITORY / "bot" / "on_slack").glob("*.py"))
    assert len(sources) >= 20
    code = "\n".join(path.read_text() for path in sources)
    called = set(re.findall(r"\.((?:chat|users|apps|views|assistant)_\w+)\(", code))
    called = {name for name in called if not name.startswith("apps_connections")}
    known = {method.replace(".", "_") for method in rules.ARGUMENTS}
    assert len(called) >= 8
    assert called <= known


def test_the_manifest_is_inside_slacks_own_limits() -> None:
    assert len(MANIFEST["display_information"]["name"]) <= 35
    assert len(MANIFEST["display_information"]["description"]) <= 140
    features = MANIFEST["features"]
    assert len(features["bot_user"]["display_name"]) <= 80
    assert len(features["agent_view"]["agent_description"]) <= 300
    assert 1 <= len(features["agent_view"]["suggested_prompts"]) <= 4
    assert len(features["shortcuts"]) <= 10
    for shortcut in features["shortcuts"]:
        assert len(shortcut["name"]) <= 24
        assert len(shortcut["description"]) <= 150
    for command in features["slash_commands"]:
        # Escaped text would turn @ada into <@U0ADA> inside a person's question.
        assert command["should_escape"] is False
        assert len(command["description"]) <= 2_000
    home = features["app_home"]
    assert home["home_tab_enabled"] and home["messages_tab_enabled"]
    assert not home["messages_tab_read_only_enabled"]


def test_socket_mode_has_no_address_and_http_mode_has_them_all(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert MANIFEST["settings"]["socket_mode_enabled"] is True
    assert "url" not in yaml.safe_dump(MANIFEST).replace("background_color", "")
    assert manifest.main(["--url", "https://bot.example.org/"]) == 0
    made = yaml.safe_load(capsys.readouterr().out)
    events = "https://bot.example.org/slack/events"
    assert made["settings"]["socket_mode_enabled"] is False
    assert made["settings"]["token_rotation_enabled"] is True
    assert made["settings"]["event_subscriptions"]["request_url"] == events
    assert made["settings"]["interactivity"]["request_url"] == events
    assert {command["url"] for command in made["features"]["slash_commands"]} == {events}
    assert made["oauth_config"]["redirect_urls"] == ["https://bot.example.org/slack/oauth_redirect"]
    assert manifest.main(["--url", "http://bot.example.org"]) == 2


def test_every_scope_event_command_and_setting_is_explained_in_the_guide() -> None:
    guide = (REPOSITORY / "docs" / "slack.md").read_text()
    settings = (REPOSITORY / "bot" / "on_slack" / "settings.py").read_text()
    documented = settings.split('"""')[1]
    variables = set(re.findall(r"^((?:SLACK|PERSONAE)_[A-Z_]+)", documented, re.MULTILINE))
    assert len(variables) == 16
    used = set(re.findall(r'"((?:SLACK|PERSONAE)_[A-Z_]+)"', settings))
    assert used == variables
    rows = set(re.findall(r"^\| `([^`]+)`", guide, re.MULTILINE))
    assert variables <= rows
    assert set(manifest.SCOPES) <= rows
    assert set(manifest.EVENTS) <= rows
    assert {command.name for command in manifest.COMMANDS} <= {row.split()[0] for row in rows}
