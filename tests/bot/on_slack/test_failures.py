"""Whatever fails, the person is told what is true, in the place where they asked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from bot.core import sentences
from bot.core.gateway_client import GatewayClient
from bot.on_slack.frontend import SlackFrontend
from personae.wire import Delta, Meta, encode_event
from tests.bot.on_slack.bench import MANIFEST, QUICK, shown_everywhere, slack_bot
from tests.conftest import RunningGateway
from tests.fakes import slack_payloads as world
from tests.fakes.slack_platform import FakeSlack

DISCLOSED = "imitation"


@asynccontextmanager
async def dying_gateway() -> AsyncIterator[str]:
    """A gateway whose process is gone after the first words of an answer."""

    async def ask(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        meta = Meta(
            request_id="r1",
            persona="lincoln",
            display_name="Abraham Lincoln",
            disclosure="An imitation of Abraham Lincoln, not the person.",
            adapter_version="v1",
            base_model="smollm2-135m",
        )
        await response.write(encode_event(meta) + encode_event(Delta(text="We can not")))
        assert request.transport is not None
        request.transport.abort()
        return response

    async def personas(_request: web.Request) -> web.Response:
        return web.json_response({"personas": []})

    app = web.Application()
    app.add_routes([web.post("/v1/ask", ask), web.get("/v1/personas", personas)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_gateway_that_is_down_is_named_wherever_people_ask() -> None:
    async with slack_bot("http://127.0.0.1:9", admin_key="key") as slack:
        slack.mention("lincoln Why?")
        slack.direct("lincoln Why?")
        slack.command("/ask", "lincoln Why?")
        slack.command("/rewrite", "lincoln why")
        slack.command("/personae", "list", user=world.GRACE)
        await slack.until(
            lambda: shown_everywhere(slack).count("can't be reached") == 5, "five sentences"
        )
        assert len(slack.bot_messages) == 2


async def test_a_gateway_that_dies_amid_an_answer_leaves_the_words_and_the_truth() -> None:
    async with dying_gateway() as url, slack_bot(url) as slack:
        slack.mention("lincoln Why?")
        await slack.until(lambda: "broke off" in shown_everywhere(slack), "the truth")
        [message] = slack.bot_messages
        assert "We can not\n\nThe answer broke off" in message.shown
        assert "(Try again in about 20 s.)" in message.shown
        assert DISCLOSED in message.shown


async def test_an_engine_that_dies_amid_an_answer_leaves_the_words_and_the_truth(
    gateway: RunningGateway,
) -> None:
    gateway.engine.words = ["We ", "can ", "not ", "escape "]
    gateway.engine.die_after = 3
    async with slack_bot(gateway.url) as slack:
        slack.command("/ask", "lincoln Can we escape history?")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "the end")
        [message] = slack.bot_messages
        assert "[lincoln@v1] We can\n\n" in message.shown
        assert "again" in message.shown


async def test_a_rate_limit_on_edits_is_waited_out_and_the_whole_answer_still_arrives(
    gateway: RunningGateway,
) -> None:
    gateway.engine.words = [f"word{number} " for number in range(10)]
    gateway.engine.seconds_between = 0.05
    async with slack_bot(gateway.url) as slack:
        slack.fail_next("chat.update", "ratelimited", times=2, retry_after=1)
        slack.mention("lincoln What of the Union?")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "the whole answer")
        [message] = slack.bot_messages
        assert "word9" in message.shown
        refused = [call for call in slack.calls_of("chat.update") if call.error == "ratelimited"]
        assert len(refused) == 2
        # Two refusals cost two seconds; the words of half a second waited in one edit.
        assert len(message.history) <= 4


async def test_an_answer_whose_last_edit_is_forbidden_is_posted_anew(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url) as slack:
        slack.fail_next("chat.update", "edit_window_closed", times=100)
        question = slack.mention("lincoln What of the Union?")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "the answer")
        placeholder, answer = slack.bot_messages
        assert placeholder.shown == sentences.THINKING
        assert answer.thread_ts == question.payload["event"]["ts"]
        assert "[lincoln@v1] We must think anew." in answer.shown


async def test_slack_refusing_a_post_for_a_moment_loses_nothing(gateway: RunningGateway) -> None:
    async with slack_bot(gateway.url) as slack:
        slack.fail_next("chat.postMessage", "ratelimited", retry_after=1)
        slack.mention("lincoln What of the Union?")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "the answer")
        assert len(slack.bot_messages) == 1


async def test_a_failure_nobody_foresaw_is_told_and_logged_without_the_words(
    gateway: RunningGateway, caplog: pytest.LogCaptureFixture
) -> None:
    async with slack_bot(gateway.url, admin_key=gateway.admin_key) as slack:
        slack.fail_next("users.info", "fatal_error")
        slack.command("/personae", "list", user=world.GRACE)
        await slack.until(lambda: sentences.UNEXPECTED in shown_everywhere(slack), "a sentence")
        slack.mention("lincoln my secret question", without=("ts",))
        await slack.until(lambda: slack.bot_messages, "a sentence")
        assert slack.bot_messages[0].shown == sentences.UNEXPECTED
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 2
    assert "secret question" not in caplog.text


async def test_a_bot_that_stops_says_so_under_every_answer_in_flight(
    gateway: RunningGateway,
) -> None:
    gateway.engine.words = ["word "] * 1_000
    gateway.engine.seconds_between = 0.02
    with FakeSlack(MANIFEST) as slack:
        async with GatewayClient(gateway.url) as client:
            frontend = SlackFrontend(
                bot_token=slack.bot_token,
                app_token=slack.app_token,
                gateway=client,
                api_base=slack.api_base,
                **QUICK,
            )
            async with frontend:
                slack.mention("lincoln Go on.")
                slack.command("/ask", "lincoln Go on.")
                slack.command("/rewrite", "lincoln go on")
                await slack.until(
                    lambda: shown_everywhere(slack).count("[lincoln@v1] word") >= 2, "first words"
                )
                await slack.until(lambda: len(gateway.engine.requests) >= 3, "three requests")
        texts = [message.shown for message in slack.bot_messages] + [slack.private[-1].shown]
        assert len(texts) == 3
        assert [text.count(sentences.RESTARTING) for text in texts] == [1, 1, 1]
        assert slack.open_sockets == 0
        assert slack.violations == []
    others = {task.get_name() for task in asyncio.all_tasks()} - {"coalesced-edits"}
    assert not [name for name in others if name.startswith(("answer", "/"))]
