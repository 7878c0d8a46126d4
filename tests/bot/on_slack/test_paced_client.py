"""Calls stand in line by method and channel, and all wait when Slack says wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.on_slack.installs import Clients
from bot.on_slack.paced_client import RATES, PacedClient, Turns, faster
from tests.bot.on_slack.bench import MANIFEST
from tests.fakes import slack_payloads as world
from tests.fakes import slack_rules as rules
from tests.fakes.slack_platform import FakeSlack


@pytest.fixture
async def client() -> AsyncIterator[tuple[FakeSlack, PacedClient]]:
    with FakeSlack(MANIFEST) as slack:
        async with aiohttp.ClientSession() as session:
            clients = Clients(session, api_base=slack.api_base, rates=faster(RATES, 20))
            yield slack, clients.make(slack.bot_token)


def test_the_rates_stay_below_slacks_own() -> None:
    for method, (burst, seconds) in RATES.items():
        slacks_burst, slacks_seconds = rules.RATES[method]
        in_a_minute = burst + 60 / seconds
        assert in_a_minute <= max(slacks_burst, 60 / slacks_seconds), method


async def test_a_crowd_that_writes_at_once_is_refused_nothing(
    client: tuple[FakeSlack, PacedClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    slack, web = client
    sent = []
    send = AsyncWebClient.api_call

    async def noted(self: AsyncWebClient, api_method: str, **kwargs: Any) -> AsyncSlackResponse:
        if api_method == "chat.postMessage":
            sent.append((kwargs["json"]["channel"], kwargs["json"]["text"]))
        return await send(self, api_method, **kwargs)

    monkeypatch.setattr(AsyncWebClient, "api_call", noted)
    posts = [web.chat_postMessage(channel=world.GENERAL, text=f"{n}") for n in range(12)]
    posts += [web.chat_postMessage(channel=world.DIRECT, text=f"{n}") for n in range(12)]
    answers = await asyncio.gather(*posts)
    edits = [
        web.chat_update(channel=answer["channel"], ts=answer["ts"], text="x")
        for answer in answers * 3
    ]
    await asyncio.gather(*edits)
    assert [call.error for call in slack.calls] == [None] * len(slack.calls)
    # First come, first served. (Two that are sent at once may arrive in any order.)
    for channel in (world.GENERAL, world.DIRECT):
        assert [text for where, text in sent if where == channel] == [f"{n}" for n in range(12)]


async def test_when_slack_says_wait_everybody_does(client: tuple[FakeSlack, PacedClient]) -> None:
    slack, web = client
    slack.fail_next("chat.update", "ratelimited", retry_after=1)
    answer = await web.chat_postMessage(channel=world.GENERAL, text="x")
    at = {"channel": world.GENERAL, "ts": answer["ts"]}
    first = asyncio.create_task(web.chat_update(**at, text="one"))
    while not web.busy("chat.update"):
        await asyncio.sleep(0.01)
    await asyncio.gather(first, *(web.chat_update(**at, text=f"{n}") for n in range(5)))
    assert slack.too_early == []
    assert len([call for call in slack.calls if call.error == "ratelimited"]) == 1


async def test_what_is_worth_nothing_later_fails_at_once(
    client: tuple[FakeSlack, PacedClient],
) -> None:
    slack, web = client
    slack.fail_next("chat.startStream", "ratelimited", retry_after=30)
    place = {"channel": world.DIRECT, "thread_ts": "1.1"}
    for _ in range(2):
        with pytest.raises(SlackApiError, match=r"not now|ratelimited"):
            await web.chat_startStream(**place)
    assert len(slack.calls_of("chat.startStream")) == 1
    assert web.busy("chat.startStream") > 10
    assert web.busy("chat.appendStream") == 0.0


async def test_who_gives_up_leaves_the_line(client: tuple[FakeSlack, PacedClient]) -> None:
    turns = Turns(1.0, 0.05)
    await turns.take()
    waiting = [asyncio.create_task(turns.take()) for _ in range(3)]
    await asyncio.sleep(0)
    assert turns.wait_seconds() > 0.1
    for task in waiting[:2]:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert not waiting[2].cancelled()
    await asyncio.sleep(0.06)
    assert turns.idle


async def test_a_dead_token_is_replaced_once_and_the_call_repeated() -> None:
    with FakeSlack(MANIFEST) as slack:
        fresh = slack.new_grant(world.TEAM)
        asked = []

        async def renew(dead: str) -> str | None:
            asked.append(dead)
            return fresh if len(asked) == 1 else None

        async with aiohttp.ClientSession() as session:
            web = Clients(session, api_base=slack.api_base).make(slack.bot_token, renew=renew)
            slack.expire_tokens(except_newest=True)
            assert (await web.auth_test())["ok"]
            assert asked == [slack.bot_token]
            slack.expire_tokens()
            with pytest.raises(SlackApiError):
                await web.auth_test()
