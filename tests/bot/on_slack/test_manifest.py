"""deploy/slack/manifest.yaml asks Slack for exactly what the code listens to and calls."""

from __future__ import annotations

import re

from slack_sdk.web.async_client import AsyncWebClient

from bot.core.gateway_client import GatewayClient
from bot.on_slack.admin import AdminDesk
from bot.on_slack.answers import Answers, Names, Tasks
from bot.on_slack.identity import SCOPES, Identity
from bot.on_slack.listeners import Listeners
from tests.bot.on_slack.bench import MANIFEST, REPOSITORY
from tests.fakes import slack_rules as rules


def listeners() -> Listeners:
    gateway, client = GatewayClient("http://127.0.0.1:9"), AsyncWebClient()
    desk = AdminDesk(gateway, client, team_id="T", admins=frozenset(), has_key=False)
    return Listeners(
        client=client,
        identity=Identity(user_id="U", team_id="T"),
        answers=Answers(gateway, edit_seconds=1),
        names=Names(gateway),
        desk=desk,
        tasks=Tasks(),
        post_seconds=1,
    )


def test_every_command_that_is_registered_is_in_the_manifest_and_the_other_way_round() -> None:
    entries = MANIFEST["features"]["slash_commands"]
    assert {entry["command"] for entry in entries} == set(listeners().commands)
    for entry in entries:
        # Escaped text would turn @ada into <@U0ADA> inside a person's question.
        assert entry["should_escape"] is False
        assert entry["usage_hint"]
        assert "url" not in entry


def test_every_event_that_is_registered_is_subscribed_and_the_other_way_round() -> None:
    subscribed = MANIFEST["settings"]["event_subscriptions"]["bot_events"]
    assert {event.partition(".")[0] for event in subscribed} == set(listeners().events)
    assert subscribed == ["app_mention", "message.im"]


def test_the_scopes_are_those_of_the_events_the_commands_and_the_methods() -> None:
    asked_for = set(MANIFEST["oauth_config"]["scopes"]["bot"])
    events = MANIFEST["settings"]["event_subscriptions"]["bot_events"]
    needed = {rules.EVENT_SCOPES[event] for event in events} | {"commands"}
    needed |= set(rules.SCOPES.values())
    assert asked_for == needed == SCOPES


def test_the_methods_the_code_calls_are_those_the_fake_knows_the_scopes_of() -> None:
    sources = list((REPOSITORY / "bot" / "on_slack").glob("*.py"))
    assert len(sources) >= 8
    code = "\n".join(path.read_text() for path in sources)
    called = set(re.findall(r"client\.((?:chat|users|auth|apps|conversations|views)_\w+)", code))
    known = {re.sub(r"[.](?=[a-z])", "_", method) for method in rules.ARGUMENTS}
    assert called == known


def test_the_manifest_is_inside_slacks_own_limits_and_uses_socket_mode() -> None:
    assert len(MANIFEST["display_information"]["name"]) <= 35
    assert len(MANIFEST["display_information"]["description"]) <= 140
    assert len(MANIFEST["features"]["bot_user"]["display_name"]) <= 80
    assert MANIFEST["settings"]["socket_mode_enabled"] is True
    assert MANIFEST["settings"]["token_rotation_enabled"] is False
    home = MANIFEST["features"]["app_home"]
    assert home["messages_tab_enabled"] and not home["messages_tab_read_only_enabled"]


def test_every_scope_and_every_setting_is_explained_in_the_guide() -> None:
    guide = (REPOSITORY / "docs" / "slack.md").read_text()
    settings = (REPOSITORY / "bot" / "on_slack" / "settings.py").read_text()
    variables = set(re.findall(r"\b(?:SLACK|PERSONAE)_[A-Z]+(?:_[A-Z]+)*\b", settings))
    assert len(variables) == 7
    rows = set(re.findall(r"^\| `([^`]+)`", guide, re.MULTILINE))
    assert variables <= rows
    assert set(SCOPES) <= rows
