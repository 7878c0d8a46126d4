"""The fake Slack is as strict as it says: what the bot's tests rely on is itself tried here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from tests.bot.on_slack.bench import MANIFEST
from tests.fakes import slack_payloads as world
from tests.fakes import slack_rules as rules
from tests.fakes.slack_platform import FakeSlack

Call = Callable[..., Awaitable[Any]]


def button(action_id: str, label: str = "Go", **more: Any) -> dict[str, Any]:
    text = {"type": "plain_text", "text": label}
    return {"type": "button", "action_id": action_id, "text": text, **more}


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


@pytest.fixture
async def calls() -> AsyncIterator[tuple[FakeSlack, Call]]:
    """A Slack, and a way to call its methods: gives what it answers."""
    with FakeSlack(MANIFEST, speed=1.0, trigger_seconds=0.3) as slack:
        async with aiohttp.ClientSession() as session:

            async def call(method: str, token: str = slack.bot_token, **arguments: Any) -> Any:
                headers = {"Authorization": f"Bearer {token}"}
                url = slack.api_base + method
                async with session.post(url, json=arguments, headers=headers) as response:
                    return await response.json()

            yield slack, call


async def test_streams_need_a_thread_and_recipients_and_die(
    calls: tuple[FakeSlack, Call],
) -> None:
    slack, call = calls
    place = {"channel": world.GENERAL, "thread_ts": "1.1"}
    recipient = {"recipient_team_id": world.TEAM, "recipient_user_id": world.ADA}
    assert (await call("chat.startStream", channel=world.DIRECT))["error"] == "invalid_thread_ts"
    missing = await call("chat.startStream", **place, recipient_team_id=world.TEAM)
    assert missing["error"] == "missing_recipient_user_id"
    assert slack.violations.pop() == "chat.startStream: no recipient_user_id"
    begun = await call("chat.startStream", **place, **recipient, markdown_text="**One** ")
    at = {"channel": world.GENERAL, "ts": begun["ts"]}
    assert (await call("chat.appendStream", **at, markdown_text="two"))["ok"]
    assert (await call("chat.update", **at, text="x"))["error"] == "streaming_state_conflict"
    long = await call("chat.appendStream", **at, markdown_text="x" * 12_001)
    assert long["error"] == "msg_too_long"
    assert "12001 characters" in slack.violations.pop()
    assert slack.bot_messages[0].shown == "**One** two"
    blocks = [section("three", verbatim=True)]
    assert (await call("chat.stopStream", **at, blocks=blocks))["ok"]
    assert slack.bot_messages[0].shown == "**One** two\nthree"
    late = await call("chat.appendStream", **at, markdown_text="four")
    assert late["error"] == "message_not_in_streaming_state"
    again = await call("chat.startStream", channel=world.DIRECT, thread_ts="1.1")
    slack.kill_streams()
    at = {"channel": world.DIRECT, "ts": again["ts"]}
    dead = await call("chat.appendStream", **at, markdown_text="x")
    assert dead["error"] == "message_not_in_streaming_state"
    assert (await call("chat.update", **at, text="x"))["ok"]
    assert slack.violations == []


@pytest.mark.parametrize(("limits", "appends"), [({"stream_appends": 2}, 2), ({}, 0)])
async def test_streams_end_after_so_many_appends_or_seconds(
    limits: dict[str, Any], appends: int
) -> None:
    seconds = {} if limits else {"stream_seconds": 0.0}
    with FakeSlack(MANIFEST, **limits, **seconds) as slack:
        async with aiohttp.ClientSession() as session:
            headers = {"Authorization": f"Bearer {slack.bot_token}"}

            async def call(method: str, **arguments: Any) -> Any:
                url = slack.api_base + method
                async with session.post(url, json=arguments, headers=headers) as response:
                    return await response.json()

            begun = await call("chat.startStream", channel=world.DIRECT, thread_ts="1.1")
            at = {"channel": world.DIRECT, "ts": begun["ts"]}
            for _ in range(appends):
                assert (await call("chat.appendStream", **at, markdown_text="x"))["ok"]
            dead = await call("chat.appendStream", **at, markdown_text="x")
            assert dead["error"] == "message_not_in_streaming_state"


async def test_triggers_are_good_once_and_for_a_moment_and_views_are_looked_at(
    calls: tuple[FakeSlack, Call],
) -> None:
    slack, call = calls
    text = {"type": "plain_text", "text": "Ask"}
    field = {"type": "plain_text_input", "action_id": "question"}
    block = {"type": "input", "block_id": "b", "label": text, "element": field}
    view = {"type": "modal", "title": text, "submit": text, "blocks": [block]}
    trigger = slack.new_trigger(world.ADA, world.TEAM)
    opened = await call("views.open", trigger_id=trigger, view=view)
    assert opened["ok"]
    twice = await call("views.open", trigger_id=trigger, view=view)
    assert twice["error"] == "exchanged_trigger_id"
    assert slack.violations.pop() == "a trigger_id was used twice"
    late = slack.new_trigger(world.ADA, world.TEAM)
    await asyncio.sleep(0.35)
    assert (await call("views.open", trigger_id=late, view=view))["error"] == "expired_trigger_id"
    no_submit = {key: value for key, value in view.items() if key != "submit"}
    fresh = slack.new_trigger(world.ADA, world.TEAM)
    refused = await call("views.open", trigger_id=fresh, view=no_submit)
    assert refused["error"] == "invalid_arguments"
    assert "inputs without submit" in slack.violations[0]
    updated = await call("views.update", view_id=opened["view"]["id"], view=view, hash="old")
    assert updated["error"] == "hash_conflict"


async def test_a_retry_inside_the_time_slack_named_is_noticed(
    calls: tuple[FakeSlack, Call],
) -> None:
    slack, call = calls
    slack.fail_next("chat.update", "ratelimited", retry_after=1)
    at = {"channel": world.GENERAL, "ts": "1.1", "text": "x"}
    assert (await call("chat.update", **at))["error"] == "ratelimited"
    await asyncio.sleep(0.4)
    await call("chat.update", **at)
    assert [one.method for one in slack.too_early] == ["chat.update"]
    await asyncio.sleep(0.7)
    await call("chat.update", **at)
    assert len(slack.too_early) == 1


async def test_tokens_die_and_are_those_of_one_workspace(calls: tuple[FakeSlack, Call]) -> None:
    slack, call = calls
    away = slack.new_grant(world.OTHER_TEAM)
    post = {"channel": world.GENERAL, "text": "x"}
    assert (await call("chat.postMessage", away, **post))["error"] == "channel_not_found"
    assert (await call("auth.test", away))["team_id"] == world.OTHER_TEAM
    slack.expire_tokens(team=world.TEAM)
    assert (await call("auth.test"))["error"] == "token_expired"
    assert (await call("auth.test", away))["ok"]
    slack.expire_tokens("token_revoked")
    assert (await call("auth.test", away))["error"] == "token_revoked"


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ({"type": "actions", "elements": []}, "1 to 25"),
        ({"type": "actions", "elements": [button("a"), button("a")]}, "twice"),
        ({"type": "actions", "elements": [button("x" * 256)]}, "action_id"),
        ({"type": "actions", "elements": [button("a", "x" * 76)]}, "76 characters"),
        ({"type": "actions", "elements": [button("a", value="x" * 2001)]}, "too long"),
        ({"type": "actions", "elements": [button("a", colour="red")]}, "unknown keys"),
        ({"type": "markdown", "text": "x" * 12_001}, "too long"),
        ({"type": "input", "label": {}, "element": {}}, "block type"),
        ({"type": "context_actions", "elements": [button("a")]}, "element 'button'"),
    ],
)
def test_blocks_slack_would_refuse(block: dict[str, Any], problem: str) -> None:
    verdict = rules.judge({"text": "x", "blocks": [block]})
    assert verdict.error == "invalid_blocks"
    assert problem in verdict.complaints[0]
