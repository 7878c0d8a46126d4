"""Whatever fails, the person is told what is true, in the place where they asked, and nothing leaks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from bot.core.sentences import speaker
from personae.wire import Delta, Meta, PersonaCard, PersonaList, encode_event
from tests.bot.on_slack.bench import (
    MANIFEST,
    running_frontend,
    settings_for,
    shown_everywhere,
    slack_bot,
)
from tests.conftest import RunningGateway
from tests.fakes import slack_payloads as world
from tests.fakes.slack_platform import FakeSlack

DISCLOSED = "imitation"
SAY = speaker("en")


@asynccontextmanager
async def dying_gateway(*, silent: bool = False) -> AsyncIterator[str]:
    """A gateway whose process is gone after the first words of an answer, or that never begins one."""

    async def ask(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        if silent:
            await asyncio.sleep(3600)
        meta = Meta(
            request_id="r1",
            persona="lincoln",
            display_name="Abraham Lincoln",
            disclosure="An imitation of Abraham Lincoln, not the person.",
            adapter_version="v1",
            base_model="smollm2-135m",
        )
        await response.write(encode_event(meta) + encode_event(Delta(text="We can not")))
        await asyncio.sleep(0.2)
        assert request.transport is not None
        request.transport.abort()
        return response

    async def personas(_request: web.Request) -> web.Response:
        card = PersonaCard(
            id="lincoln",
            display_name="Abraham Lincoln",
            description="A president.",
            disclosure="An imitation of Abraham Lincoln, not the person.",
            base_model="smollm2-135m",
            adapter_version="v1",
            passages=1,
            notice=None,
            max_question_characters=2000,
            max_text_characters=4000,
        )
        return web.json_response(PersonaList(personas=[card]).model_dump(mode="json"))

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
        slack.command("/ask", "lincoln Why?", user="U0CROWD1")
        slack.command("/rewrite", "lincoln why", user="U0CROWD2")
        slack.command("/personae", "versions", user=world.GRACE)
        await slack.until(
            lambda: shown_everywhere(slack).count("can't be reached") == 5, "five sentences"
        )


async def test_a_gateway_that_dies_amid_an_answer_leaves_the_words_and_the_truth() -> None:
    async with dying_gateway() as url, slack_bot(url) as slack:
        slack.mention("lincoln Why?")
        await slack.until(lambda: "broke off" in shown_everywhere(slack), "the truth")
        [message] = slack.bot_messages
        assert "We can not" in message.shown
        assert DISCLOSED in message.shown
        assert any(element["action_id"].startswith("p:again") for element in message.elements)


async def test_a_gateway_that_says_nothing_keeps_the_bot_free_and_can_be_given_up() -> None:
    async with dying_gateway(silent=True) as url, slack_bot(url) as slack:
        slack.mention("lincoln Why?")
        await slack.until(lambda: slack.statuses or slack.bot_messages, "a sign of life")
        slack.command("/usage", "")
        await slack.until(lambda: slack.private, "another answer meanwhile")
    assert SAY("restarting") in shown_everywhere(slack)


async def test_an_engine_that_dies_amid_an_answer_leaves_the_words_and_the_truth(
    gateway: RunningGateway,
) -> None:
    gateway.engine.words = ["We ", "can ", "not ", "escape "]
    gateway.engine.die_after = 3
    async with slack_bot(gateway.url) as slack:
        slack.command("/ask", "lincoln Can we escape history?")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "the end")
        [message] = slack.bot_messages
        assert "[lincoln@v1] We can" in message.shown


async def test_rate_limits_are_waited_out_and_the_whole_answer_still_arrives(
    gateway: RunningGateway,
) -> None:
    gateway.engine.words = [f"word{number} " for number in range(10)]
    gateway.engine.seconds_between = 0.05
    async with slack_bot(gateway.url) as slack:
        for method in ("chat.update", "chat.appendStream", "chat.stopStream", "chat.postMessage"):
            slack.fail_next(method, "ratelimited", times=2, retry_after=1)
        slack.mention("lincoln What of the Union?")
        slack.command("/ask", "lincoln What of the Union?")
        await slack.until(lambda: shown_everywhere(slack).count(DISCLOSED) == 2, "two answers", 30)
        assert shown_everywhere(slack).count("word9") == 2
        assert any(call.error == "ratelimited" for call in slack.calls)


async def test_an_answer_whose_edits_are_forbidden_is_posted_anew(gateway: RunningGateway) -> None:
    async with slack_bot(gateway.url) as slack:
        slack.fail_next("chat.update", "edit_window_closed", times=100)
        slack.command("/ask", "lincoln What of the Union?")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "the answer")
        assert "[lincoln@v1] We must think anew." in slack.bot_messages[-1].shown


async def test_a_token_that_dies_amid_an_answer_and_cannot_be_renewed_ends_it_by_the_response_url(
    gateway: RunningGateway,
) -> None:
    gateway.engine.words = [f"word{number} " for number in range(20)]
    gateway.engine.seconds_between = 0.05
    async with slack_bot(gateway.url) as slack:
        slack.command("/ask", "lincoln What of the Union?")
        await slack.until(lambda: "word" in shown_everywhere(slack), "the first words")
        slack.expire_tokens()
        await slack.until(lambda: any("word19" in one.shown for one in slack.private), "the answer")
        assert DISCLOSED in slack.private[-1].shown


async def test_deleting_the_question_in_a_direct_message_ends_its_answer(
    gateway: RunningGateway,
) -> None:
    gateway.engine.words = ["word "] * 10_000
    gateway.engine.seconds_between = 0.02
    async with slack_bot(gateway.url) as slack:
        question = slack.direct("lincoln Go on for ever.")
        await slack.until(lambda: "word" in shown_everywhere(slack), "the first words")
        slack.delete_question(question)
        await slack.until(lambda: gateway.engine.aborted, "the end of the generation")
        await slack.until(lambda: SAY("stopped") in shown_everywhere(slack), "a true sentence")


async def test_deleting_the_answer_ends_its_generation(gateway: RunningGateway) -> None:
    gateway.engine.words = ["word "] * 10_000
    gateway.engine.seconds_between = 0.02
    async with slack_bot(gateway.url) as slack:
        slack.mention("lincoln Go on for ever.")
        slack.direct("lincoln Go on for ever.")

        def both_begun() -> bool:
            messages = slack.bot_messages
            return len(messages) == 2 and all("word word" in message.shown for message in messages)

        await slack.until(both_begun, "first words")
        for message in slack.bot_messages:
            slack.delete(message)
        await slack.until(lambda: gateway.engine.aborted == 2, "the end of both")
        assert len(slack.bot_messages) == 2


async def test_a_failure_nobody_foresaw_is_told_and_logged_without_the_words(
    gateway: RunningGateway, caplog: pytest.LogCaptureFixture
) -> None:
    async with slack_bot(gateway.url, admin_key=gateway.admin_key) as slack:
        slack.fail_next("views.open", "fatal_error")
        slack.command("/ask", "")
        await slack.until(lambda: slack.private, "a sentence")
        slack.mention("lincoln my secret question", without=("ts",))
        slack.mention("lincoln What of the Union?")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "the next one's answer")
    assert any(record.levelno >= logging.WARNING for record in caplog.records)
    assert "secret question" not in caplog.text


async def test_a_bot_that_stops_says_so_under_every_answer_in_flight_and_leaves_nothing(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    gateway.engine.words = ["word "] * 1_000
    gateway.engine.seconds_between = 0.02
    with FakeSlack(MANIFEST) as slack:
        url = f"sqlite:///{tmp_path / 'bots.db'}"
        async with running_frontend(settings_for(slack, gateway.url, url)):
            slack.mention("lincoln Go on.")
            slack.direct("lincoln Go on.")
            slack.command("/ask", "lincoln Go on.")
            await slack.until(
                lambda: shown_everywhere(slack).count("[lincoln@v1] word") >= 3, "first words"
            )
        texts = [message.shown for message in slack.bot_messages]
        assert len(texts) == 3
        assert [text.count(SAY("restarting")) for text in texts] == [1, 1, 1]
        assert slack.open_sockets == 0
        assert slack.violations == []
    await asyncio.sleep(0)
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    ours = [task.get_name() for task in left if "bot/" in str(task.get_coro().cr_code)]  # type: ignore[union-attr]
    assert ours == []
