"""The fake Slack is as strict as it says: what the bot's tests rely on is itself tried here."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from tests.bot.on_slack.bench import MANIFEST
from tests.fakes import slack_payloads as world
from tests.fakes import slack_rules as rules
from tests.fakes.slack_platform import FakeSlack


def section(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, **more}}


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({}, "no_text"),
        ({"text": "x" * 4001}, "msg_too_long"),
        ({"text": "x", "blocks": [section("x" * 3001)]}, "invalid_blocks"),
        ({"text": "x", "blocks": [section("x")] * 51}, "invalid_blocks"),
        ({"text": "x", "blocks": [section(" ")]}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "context", "elements": []}]}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "sektion"}]}, "invalid_blocks"),
        ({"text": "x", "blocks": [section("x", colour="red")]}, "invalid_blocks"),
        ({"text": "x", "blocks": [section("x" * 3000)] * 5}, "msg_blocks_too_long"),
        ({"text": "x", "blocks": [section("x" * 3000)] * 4}, None),
    ],
)
def test_sizes_and_shapes_of_messages(message: dict[str, Any], error: str | None) -> None:
    assert rules.judge(message).error == error


@pytest.mark.parametrize("text", ["a < b", "a > b", "a & b", "<https://a.org|b", "&am", "```"])
def test_broken_markup_is_complained_of(text: str) -> None:
    assert rules.markup_complaints(text)


@pytest.mark.parametrize(
    ("message", "pinged"),
    [
        (
            {"text": "<!channel> <!here|here> <@U1> <@U2|b> <!subteam^S1>"},
            {"channel", "here", "U1", "U2", "subteam^S1"},
        ),
        ({"text": "@here"}, set()),
        ({"text": "@here", "parse": "client"}, {"here"}),
        ({"text": "@channel", "link_names": True}, {"channel"}),
        ({"text": "x", "blocks": [section("@here")]}, {"here"}),
        ({"text": "x", "blocks": [section("@here <#C1> <!date^1^x|y>", verbatim=True)]}, set()),
        ({"text": "x", "blocks": [section("<@U1>", verbatim=True)]}, {"U1"}),
    ],
)
def test_who_would_be_pinged(message: dict[str, Any], pinged: set[str]) -> None:
    assert rules.pings(message) == pinged


def test_the_rates_refill() -> None:
    bucket = rules.TokenBucket(2, 1.0)
    assert [bucket.wait_seconds(100.0) for _ in range(2)] == [0.0, 0.0]
    assert bucket.wait_seconds(100.0) == pytest.approx(1.0)
    assert bucket.wait_seconds(100.5) == pytest.approx(0.5)
    assert bucket.wait_seconds(101.0) == 0.0


async def test_tokens_methods_arguments_rates_and_response_urls_are_held_to() -> None:
    with FakeSlack(MANIFEST, speed=1.0) as slack:
        async with aiohttp.ClientSession() as session:

            async def call(method: str, token: str, **arguments: Any) -> tuple[int, str | None]:
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                url = slack.api_base + method
                async with session.post(url, json=arguments, headers=headers) as response:
                    return response.status, (await response.json()).get("error")

            bot, app = slack.bot_token, slack.app_token
            assert await call("auth.test", "") == (200, "not_authed")
            assert await call("auth.test", "xoxb-other") == (200, "invalid_auth")
            assert await call("auth.test", app) == (200, "not_allowed_token_type")
            assert await call("apps.connections.open", bot) == (200, "not_allowed_token_type")
            post = {"channel": world.GENERAL, "text": "x"}
            assert await call("chat.postMessage", bot, **(post | {"channel": world.RANDOM})) == (
                200,
                "not_in_channel",
            )
            answers = [await call("chat.postMessage", bot, **post) for _ in range(4)]
            assert answers == [(200, None)] * 3 + [(429, "ratelimited")]
            assert slack.violations == []
            assert await call("chat.update", bot, ts="1.2", **post) == (200, "message_not_found")
            assert await call("chat.shout", bot) == (200, "unknown_method")
            await call("users.info", bot, user=world.ADA, colour="red")
            slack.scopes.discard("users:read")
            assert await call("users.info", bot, user=world.ADA) == (200, "missing_scope")
            assert len(slack.violations) == 2

            url = slack.new_response_url(world.ADA, world.GENERAL)
            statuses = []
            for _ in range(6):
                async with session.post(url, json={"text": "x"}) as response:
                    statuses.append(response.status)
            assert statuses == [200] * 5 + [404]
            assert len(slack.violations) == 3


async def test_a_bot_that_does_not_acknowledge_is_tried_again_and_found_out() -> None:
    with FakeSlack(MANIFEST, speed=1000.0, ack_seconds=0.05) as slack:
        async with aiohttp.ClientSession() as session:
            url = slack.new_socket_url()
            async with session.ws_connect(url) as socket:
                assert (await socket.receive_json())["type"] == "hello"
                event, command = slack.mention("lincoln Why?"), slack.command("/ask", "why")
                got = [await socket.receive_json() for _ in range(5)]
                retries = [e["retry_attempt"] for e in got if e["type"] == "events_api"]
                assert retries == [0, 1, 2, 3]
                await slack.until(lambda: event.failed and command.failed, "the verdicts")
                assert (event.failed, command.failed) == ("timeout", "operation_timeout")
                await socket.send_str(json.dumps({"envelope_id": got[0]["envelope_id"]}))
                await slack.until(lambda: len(slack.violations) == 3, "a complaint")
                assert "too late" in slack.violations[-1]
            async with session.get(url.replace("ws", "http", 1)) as again:
                assert again.status == 401
