"""The fake Discord refuses what Discord refuses: without this, green tests would prove nothing."""

from __future__ import annotations

import copy
from typing import Any

import aiohttp
import pytest

from tests.fakes import discord_command_rules as command_rules
from tests.fakes import discord_rules as rules
from tests.fakes.discord_limits import RateLimits
from tests.fakes.discord_platform import FakeDiscord
from tests.fakes.discord_refusal import Refusal

COMMAND: dict[str, Any] = {
    "name": "ask",
    "description": "Ask",
    "type": 1,
    "options": [
        {
            "name": "persona",
            "description": "Who",
            "type": 3,
            "required": True,
            "autocomplete": True,
        },
        {
            "name": "question",
            "description": "What",
            "type": 3,
            "required": True,
            "max_length": 6000,
        },
    ],
}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"content": "x" * 2001}, 50035),
        ({"content": "\U0001f600" * 1001}, 50035),
        ({"content": " \n"}, 50006),
        ({}, 50006),
        ({"embeds": [{"description": "x" * 4097}]}, 50035),
        ({"embeds": [{"description": "x" * 4000}, {"description": "x" * 2001}]}, 50035),
        ({"embeds": [{"title": "x"}] * 11}, 50035),
        ({"content": "x", "components": [{"type": 1, "components": []}]}, 50035),
        ({"content": "x", "components": [{"type": 1, "components": [{"type": 2}] * 6}]}, 50035),
        ({"content": "x", "flags": 1 << 15}, 50035),
        ({"content": "x", "allowed_mentions": {"parse": ["all"]}}, 50035),
        ({"content": "x", "allowed_mentions": {"parse": ["users"], "users": ["1"]}}, 50035),
    ],
)
def test_messages_that_discord_refuses(body: dict[str, Any], code: int) -> None:
    with pytest.raises(Refusal) as refused:
        rules.check_message(body, new=True)
    assert refused.value.body["code"] == code


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("name",), "Ask"),
        (("name",), "a" * 33),
        (("description",), ""),
        (("description",), "x" * 101),
        (("contexts",), [3]),
        (("options", 0, "name"), "question"),
        (("options", 0, "required"), False),
        (("options", 0, "type"), 1),
        (("options", 0, "choices"), [{"name": "a", "value": "a"}]),
        (("options", 1, "max_length"), 6001),
        (("options", 1, "description"), None),
    ],
)
def test_commands_that_discord_refuses(place: tuple[Any, ...], value: Any) -> None:
    command_rules.check_commands([COMMAND])
    broken = copy.deepcopy(COMMAND)
    inner: Any = broken
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = value
    with pytest.raises(Refusal):
        command_rules.check_commands([broken])


def test_callbacks_that_discord_refuses() -> None:
    choice = {"name": "n", "value": "v"}
    for kind, body in (
        (rules.AUTOCOMPLETE, {"type": 8, "data": {"choices": [choice] * 26}}),
        (rules.AUTOCOMPLETE, {"type": 8, "data": {"choices": [choice | {"name": "n" * 101}]}}),
        (rules.AUTOCOMPLETE, {"type": 5}),
        (rules.COMMAND, {"type": 8, "data": {"choices": []}}),
        (rules.COMMAND, {"type": 4, "data": {"content": "x" * 2001}}),
        (rules.COMMAND, {"type": 9, "data": {"custom_id": "c", "title": "t" * 46}}),
    ):
        with pytest.raises(Refusal):
            rules.check_callback(kind, body)


def test_pings_are_what_discord_would_send() -> None:
    text = "@everyone @here <@1> <@!2> <@&3>"
    assert rules.pings(text, None) == {"everyone", "here", "user:1", "user:2", "role:3"}
    assert rules.pings(text, {"parse": []}) == set()
    assert rules.pings(text, {"parse": ["roles"], "users": ["1"]}) == {"role:3", "user:1"}


def test_previews_are_what_discord_would_unfold() -> None:
    assert rules.previews("https://a.org [b](https://b.org)", 0) != []
    assert rules.previews("<https://a.org> `https://b.org`", 0) == []
    assert rules.previews("https://a.org", rules.SUPPRESS_EMBEDS) == []


async def test_the_sixth_edit_in_five_seconds_is_refused_with_headers() -> None:
    limits = RateLimits()
    taken = [limits.take("route", 5, 5.0) for _ in range(6)]
    assert [verdict.taken for verdict in taken] == [True] * 5 + [False]
    assert taken[4].headers["X-RateLimit-Remaining"] == "0"
    assert 0 < taken[5].retry_after <= 5.0 and "Retry-After" in taken[5].headers


async def test_what_no_bot_should_do_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="unknown route: GET /api/v10/nowhere"):
        async with (
            FakeDiscord() as platform,
            aiohttp.ClientSession() as session,
            session.get(f"{platform.api_base}/nowhere") as reply,
        ):
            assert reply.status == 404
            assert reply.headers["Content-Type"] == "application/json"
            assert "Via" in reply.headers


async def test_a_silent_bot_is_noticed_and_its_late_answer_refused() -> None:
    async with FakeDiscord(ack_seconds=0.05) as platform, aiohttp.ClientSession() as session:
        await platform.do(_registered(platform))
        ask = await platform.slash("ask", persona="lincoln", question="Why?")
        await platform.until(lambda: bool(platform.problems), "a complaint")
        platform.forgive("unanswered")
        url = f"{platform.api_base}/interactions/{ask.id}/{ask.token}/callback"
        async with session.post(url, json={"type": 5}) as reply:
            assert (reply.status, (await reply.json())["code"]) == (404, 10062)


async def test_tokens_are_used_once_and_die() -> None:
    async with FakeDiscord() as platform, aiohttp.ClientSession() as session:
        await platform.do(_registered(platform))
        ask = await platform.slash("ask", persona="lincoln", question="Why?")
        callback = f"{platform.api_base}/interactions/{ask.id}/{ask.token}/callback"
        edit = f"{platform.api_base}/webhooks/1000000000000000001/{ask.token}/messages/@original"
        quiet = {"content": "x", "allowed_mentions": {"parse": []}}
        for url, body, expected in (
            (callback, {"type": 5}, None),
            (callback, {"type": 5}, 40060),
            (edit, quiet, None),
        ):
            method = session.patch if url == edit else session.post
            async with method(url, json=body) as reply:
                said = await reply.json() if reply.status != 204 else {}
                assert said.get("code") == expected
        await ask.expire()
        async with session.patch(edit, json=quiet) as reply:
            assert (reply.status, (await reply.json())["code"]) == (401, 50027)


async def _registered(platform: FakeDiscord) -> None:
    command_rules.check_commands([COMMAND])
    platform.commands = [COMMAND | {"id": "1", "default_member_permissions": None}]
