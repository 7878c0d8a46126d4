"""The small parts of the Slack frontend: what was seen, settings, the patience of reconnections."""

from __future__ import annotations

import pytest

from bot.on_slack.seen import Seen
from bot.on_slack.settings import settings_from
from bot.on_slack.socket import Backoff
from personae.errors import ConfigError

TOKENS = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1"}


def test_a_delivery_is_new_once_under_any_of_its_names() -> None:
    seen = Seen()
    assert seen.first_time("event 1", "message 1")
    assert not seen.first_time("event 1", "message 2")
    assert not seen.first_time("event 2", "message 1")
    assert not seen.first_time("message 2")
    assert seen.first_time("event 3", "message 3")


def test_what_was_seen_is_forgotten_by_age_and_by_number() -> None:
    now = 0.0
    seen = Seen(capacity=3, ttl_seconds=10, clock=lambda: now)
    assert all(seen.first_time(key) for key in "abc")
    assert seen.first_time("d")
    assert len(seen) == 3
    assert not seen.first_time("b")
    now = 10.0
    assert seen.first_time("b")
    assert len(seen) == 1


def test_settings_have_defaults_and_take_ids_in_any_list() -> None:
    listed = {"PERSONAE_SLACK_ADMINS": " U012AB3CD, W98XY7ZW\nU0ADA "}
    settings = settings_from(TOKENS | listed)
    assert settings.gateway_url == "http://127.0.0.1:8420"
    assert settings.api_base == "https://slack.com/api/"
    assert settings.admins == {"U012AB3CD", "W98XY7ZW", "U0ADA"}
    assert settings_from(TOKENS).admins == frozenset()
    assert settings_from(TOKENS | {"PERSONAE_API_KEY": " "}).api_key is None


def test_all_problems_are_told_at_once_and_without_any_token() -> None:
    with pytest.raises(ConfigError) as caught:
        settings_from(
            {
                "SLACK_BOT_TOKEN": "xapp-secret",
                "SLACK_APP_TOKEN": "secret",
                "PERSONAE_GATEWAY_URL": "localhost:8420",
                "PERSONAE_SLACK_ADMINS": "@ada",
            }
        )
    lines = str(caught.value).splitlines()
    assert len(lines) == 4
    assert "secret" not in str(caught.value)
    assert "PERSONAE_GATEWAY_URL" in lines[2]
    assert '"@ada" is no member id' in lines[3]


def test_reconnections_in_a_row_wait_ever_longer_up_to_a_minute() -> None:
    backoff = Backoff(first_seconds=1.0)
    pauses = [backoff.pause_seconds() for _ in range(10)]
    assert pauses[0] == 0.0
    for number, pause in enumerate(pauses[1:]):
        longest = min(2.0**number, 60.0)
        assert 0.75 * longest <= pause <= longest


def test_a_reconnection_after_a_quiet_time_is_immediate_again() -> None:
    backoff = Backoff(first_seconds=1.0, quiet_seconds=-1.0)
    assert [backoff.pause_seconds() for _ in range(3)] == [0.0, 0.0, 0.0]
