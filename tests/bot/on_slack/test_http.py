"""HTTP mode: the same bot behind signed requests; what is not Slack's own is turned away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.on_slack.presence import SlackFrontend
from tests.bot.on_slack.bench import MANIFEST, running_frontend, settings_for, shown_everywhere
from tests.conftest import RunningGateway
from tests.fakes import slack_payloads as world
from tests.fakes.slack_platform import FakeSlack

DISCLOSED = "imitation"


@asynccontextmanager
async def http_bot(
    gateway_url: str, folder: Path, slack: FakeSlack | None = None, **settings: Any
) -> AsyncIterator[tuple[FakeSlack, SlackFrontend]]:
    with slack or FakeSlack(MANIFEST) as fake:
        chosen = settings_for(
            fake,
            gateway_url,
            f"sqlite:///{folder / 'bots.db'}",
            app_token=None,
            signing_secret=fake.signing_secret,
            **settings,
        )
        async with running_frontend(chosen) as frontend:
            fake.deliver_to(frontend.http_url + "/slack/events")
            yield fake, frontend
        assert fake.violations == []


async def test_mentions_commands_and_retries_over_http_are_answered_once(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    async with http_bot(gateway.url, tmp_path) as (slack, _):
        assert await slack.verify_url() == "open sesame"
        mention = slack.mention("lincoln What of the Union?")
        command = slack.command("/ask", "lincoln What of the law?")
        again = slack.redeliver(mention)
        await slack.until(lambda: shown_everywhere(slack).count(DISCLOSED) == 2, "two answers")
        await slack.until(lambda: again.acked and command.acked, "acknowledgements")
        assert len(slack.bot_messages) == 2
        assert slack.open_sockets == 0
        assert set(slack.http.statuses) == {200}


async def test_a_lost_acknowledgement_is_tried_again_and_answered_once(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    async with http_bot(gateway.url, tmp_path, FakeSlack(MANIFEST, speed=100.0)) as (slack, _):
        slack.lose_acks(2)
        mention = slack.mention("lincoln What of the Union?")
        await slack.until(lambda: mention.acked, "an acknowledgement")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "an answer")
        assert mention.attempts == 3
        assert len(slack.bot_messages) == 1


@pytest.mark.parametrize(("skew_seconds", "status"), [(-240, 200), (-360, 401), (360, 401)])
async def test_signatures_hold_for_five_minutes(
    gateway: RunningGateway, tmp_path: Path, skew_seconds: int, status: int
) -> None:
    slack = FakeSlack(MANIFEST, speed=1000.0)
    async with http_bot(gateway.url, tmp_path, slack) as (slack, _):
        slack.http.skew_seconds = skew_seconds
        command = slack.command("/usage", "")
        await slack.until(lambda: slack.http.statuses, "a reply")
        assert slack.http.statuses == [status]
        await slack.until(lambda: command.acked or command.failed, "the verdict")
        if status == 401:
            assert slack.private == []
            assert (
                slack.violations.pop() == "slash_commands was not acknowledged: operation_timeout"
            )
        else:
            await slack.until(lambda: slack.private, "an answer")


async def test_wrong_secrets_and_no_signature_at_all_are_turned_away(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    async with http_bot(gateway.url, tmp_path) as (slack, frontend):
        slack.http.secret = "somebody else's"
        slack.command("/ask", "lincoln What of the Union?")
        await slack.until(lambda: slack.http.statuses == [401], "a refusal")
        async with aiohttp.ClientSession() as session:
            url = frontend.http_url + "/slack/events"
            async with session.post(url, json={"type": "event_callback"}) as response:
                assert response.status == 401
            async with session.get(url) as response:
                assert response.status == 405
            async with session.get(frontend.http_url + "/healthz") as response:
                assert (response.status, await response.text()) == (200, "ok")
            async with session.get(frontend.http_url + "/slack/install") as response:
                assert response.status == 404  # one workspace, by its token: nothing to install
        await slack.until(lambda: slack.violations, "the verdict")
        assert slack.violations.pop() == "slash_commands was not acknowledged: operation_timeout"
        assert shown_everywhere(slack) == ""


async def test_buttons_and_modals_work_over_http(gateway: RunningGateway, tmp_path: Path) -> None:
    async with http_bot(gateway.url, tmp_path) as (slack, _):
        question = slack.mention("lincoln What of the Union?")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "an answer")
        slack.message_action("ask_about", question)
        await slack.until(lambda: slack.views, "a modal")
        assert slack.views[-1].user == world.ADA
