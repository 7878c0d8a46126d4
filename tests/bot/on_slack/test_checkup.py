"""`personae doctor` asks Slack, and each thing that is wrong gets a sentence that says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot.on_slack.checkup import checkup
from bot.on_slack.installs import Installs
from bot.on_slack.settings import SlackSettings, settings_from
from bot.state.database import parsed, pooled_engine
from personae.cli.doctor import examine
from personae.config import load_config
from personae.errors import ConfigError
from tests.bot.on_slack.bench import MANIFEST, running_frontend, settings_for
from tests.bot.on_slack.test_installs import keep_installation
from tests.fakes import slack_payloads as world
from tests.fakes.slack_platform import FakeSlack


def bare(slack: FakeSlack, tmp_path: Path, **more: Any) -> SlackSettings:
    url = f"sqlite:///{tmp_path / 'bots.db'}"
    return settings_for(slack, "http://127.0.0.1:9", url, **more)


async def said(settings: SlackSettings) -> list[tuple[str, str]]:
    return [(seen.verdict, seen.sentence) for seen in await checkup(settings)]


async def test_a_bot_that_is_set_up_well_has_three_good_findings(tmp_path: Path) -> None:
    with FakeSlack(MANIFEST) as slack:
        found = await said(bare(slack, tmp_path))
    assert [verdict for verdict, _ in found] == ["ok"] * 3
    assert "T0HOME" in found[0][1]
    assert slack.violations == []


async def test_dead_tokens_and_missing_scopes_are_named_with_what_to_do(tmp_path: Path) -> None:
    with FakeSlack(MANIFEST) as slack:
        settings = bare(slack, tmp_path)
        slack.scopes.discard("assistant:write")
        assert "lacks the scopes assistant:write" in (await said(settings))[0][1]
        slack.expire_tokens("token_revoked")
        assert "SLACK_BOT_TOKEN (token_revoked)" in (await said(settings))[0][1]
        wrong = bare(slack, tmp_path, app_token="xapp-wrong")
        verdict, sentence = (await said(wrong))[1]
        assert (verdict, "SLACK_APP_TOKEN (invalid_auth)" in sentence) == ("problem", True)
    assert "can't be reached" in (await said(settings))[0][1]


async def test_the_public_address_is_tried(tmp_path: Path) -> None:
    with FakeSlack(MANIFEST) as slack:
        http = {"app_token": None, "signing_secret": slack.signing_secret}
        assert (await said(bare(slack, tmp_path, **http)))[-1][0] == "note"
        settings = bare(slack, tmp_path, **http)
        async with running_frontend(settings) as frontend:
            reached = bare(slack, tmp_path, **http, public_url=frontend.http_url)
            verdict, sentence = (await said(reached))[-1]
            assert (verdict, "turns unsigned" in sentence) == ("ok", True)
        assert (await said(reached))[-1][0] == "problem"
        elsewhere = bare(slack, tmp_path, **http, public_url=slack.base_url)
        assert "404, not 401" in (await said(elsewhere))[-1][1]


async def test_each_installation_is_asked_about(tmp_path: Path) -> None:
    with FakeSlack(MANIFEST) as slack:
        settings = bare(
            slack,
            tmp_path,
            bot_token=None,
            client_id=slack.client_id,
            client_secret=slack.client_secret,
            public_url="http://127.0.0.1:9",
        )
        verdict, sentence = (await said(settings))[0]
        assert (verdict, "http://127.0.0.1:9/slack/install" in sentence) == ("note", True)
        engine = pooled_engine(parsed(settings.database_url.get_secret_value()))
        token = slack.new_grant(world.TEAM, rotates=True)
        await keep_installation(Installs(engine, slack.client_id), token, slack, expires_in=3600)
        await engine.dispose()
        verdict, sentence = (await said(settings))[0]
        assert (verdict, sentence.startswith("T0HOME: Slack accepts")) == ("ok", True)
        assert token not in str(await said(settings))


GOOD = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1"}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"SLACK_BOT_TOKEN": "xoxb-1"}, ["SLACK_APP_TOKEN is missing", "SLACK_SIGNING_SECRET"]),
        ({"SLACK_CLIENT_ID": "1.2"}, ["SLACK_CLIENT_SECRET and SLACK_PUBLIC_URL are missing"]),
        (GOOD | {"SLACK_HTTP_PORT": "x"}, ["SLACK_HTTP_PORT"]),
        (GOOD | {"SLACK_PUBLIC_URL": "bot.example.org"}, ["SLACK_PUBLIC_URL is no address"]),
        (GOOD | {"PERSONAE_SLACK_ADMINS": "ada"}, ["Copy member ID"]),
        (GOOD | {"PERSONAE_BOT_ANSWERS_AT_ONCE": "many"}, ["PERSONAE_BOT_ANSWERS_AT_ONCE"]),
    ],
)
def test_every_wrong_setting_gets_a_sentence(given: dict[str, str], named: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        settings_from(given)
    assert all(words in str(caught.value) for words in named)


def test_the_ways_to_be_delivered_to() -> None:
    socket = settings_from(GOOD)
    assert (socket.installs, socket.serves_http) == (False, False)
    http = settings_from({"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_SIGNING_SECRET": "s"})
    assert (http.installs, http.serves_http) == (False, True)
    oauth = {"SLACK_CLIENT_ID": "1", "SLACK_CLIENT_SECRET": "s", "SLACK_PUBLIC_URL": "https://b"}
    both = settings_from(GOOD | oauth)
    assert (both.installs, both.serves_http, both.bot_token) == (True, True, None)
    assert "xapp-1" not in repr(both)


def test_the_doctor_asks_with_what_the_environment_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeSlack(MANIFEST) as slack:
        given = {"SLACK_BOT_TOKEN": slack.bot_token, "SLACK_APP_TOKEN": slack.app_token}
        for name, value in (given | {"SLACK_API_BASE": slack.api_base}).items():
            monkeypatch.setenv(name, value)
        (tmp_path / "personae.toml").write_text(
            '[personae]\nprofile = "external"\n[engine]\nurl = "http://127.0.0.1:9"\nbase_model = "m"\n'
        )
        findings = examine(load_config(given, folder=tmp_path))
        told = [(one.verdict, one.sentence) for one in findings if one.what == "slack"]
        assert [verdict for verdict, _ in told] == ["ok"] * 3
        slack.expire_tokens("token_revoked")
        findings = examine(load_config(given, folder=tmp_path))
        told = [(one.verdict, one.sentence) for one in findings if one.what == "slack"]
        assert told[0][0] == "problem"
        assert not any(token in str(told) for token in given.values())
