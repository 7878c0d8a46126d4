"""Slash commands, shortcuts and modals: acknowledged at once, answered where they should be."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import pytest
from aiohttp import ClientSession, web

from tests.bot.on_slack.bench import shown_everywhere, slack_bot
from tests.conftest import RunningGateway
from tests.fakes import slack_payloads as world

DISCLOSED = "imitation"
NOT_IN_CHANNEL = "I'm not a member of this channel"


@contextlib.contextmanager
def silent_gateway() -> Iterator[str]:
    """The kernel takes every connection, and nobody ever answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
        host, port = listening.getsockname()[:2]
        yield f"http://{host}:{port}"


async def test_ask_grows_in_the_channel_below_a_line_that_says_who_asked_what(
    gateway: RunningGateway,
) -> None:
    gateway.engine.words = [f"word{number} " for number in range(10)]
    gateway.engine.seconds_between = 0.03
    async with slack_bot(gateway.url) as slack:
        command = slack.command("/ask", "lincoln What of the\n&lt;Union&gt; &amp; its laws?")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "an answer")
        [message] = slack.bot_messages
        assert (message.channel, message.thread_ts) == (world.GENERAL, None)
        heading = "ada asked Abraham Lincoln: What of the &lt;Union&gt; &amp; its laws?"
        assert message.shown.startswith(heading)
        assert len(message.history) >= 3
        assert message.pings == set()
        assert slack.private == []
        assert command.attempts == 1


async def test_the_thread_below_an_asked_answer_goes_on_with_its_persona_and_memory(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url) as slack:
        slack.command("/ask", "roosevelt What of the forests?")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "an answer")
        slack.mention("And of the rivers?", thread_ts=slack.bot_messages[0].ts)
        await slack.until(lambda: shown_everywhere(slack).count(DISCLOSED) == 2, "two answers")
        assert gateway.engine.requests[-1]["model"] == "roosevelt@v1"
        assert "What of the forests?" in str(gateway.engine.requests[-1]["messages"])


async def test_ask_in_a_direct_message_with_the_bot_is_answered_there(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url) as slack:
        slack.command("/ask", "roosevelt What of the forests?", channel=world.DIRECT)
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "an answer")
        assert slack.bot_messages[0].channel == world.DIRECT


@pytest.mark.parametrize("channel", [world.RANDOM, world.SECRET])
async def test_ask_where_the_bot_may_not_post_is_answered_privately(
    gateway: RunningGateway, channel: str
) -> None:
    async with slack_bot(gateway.url) as slack:
        slack.command("/ask", "lincoln What of the Union?", channel=channel)
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "an answer")
        assert slack.bot_messages == []
        first, answer = slack.private
        assert NOT_IN_CHANNEL in first.shown
        assert "[lincoln@v1]" in answer.shown
        assert (answer.user, answer.channel) == (world.ADA, channel)
        assert answer.now["response_type"] == "ephemeral"


async def test_ask_private_is_seen_by_one_person_only(gateway: RunningGateway) -> None:
    async with slack_bot(gateway.url) as slack:
        slack.command("/ask", "private lincoln What of the Union?")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "an answer")
        slack.mention("private lincoln And of the law?")
        await slack.until(lambda: shown_everywhere(slack).count(DISCLOSED) == 2, "two answers")
        assert slack.bot_messages == []
        assert {private.user for private in slack.private} == {world.ADA}


async def test_a_private_answer_too_long_for_five_messages_says_that_it_is_cut(
    gateway: RunningGateway,
) -> None:
    gateway.engine.words = ["word & " * 1_000] * 8
    async with slack_bot(gateway.url) as slack:
        slack.command("/ask", "lincoln Tell me everything.", channel=world.RANDOM)
        await slack.until(lambda: len(slack.private) == 5, "five messages")
        assert "the rest is missing" in slack.private[-1].shown
        assert DISCLOSED in slack.private[-1].shown


async def test_what_was_told_before_a_private_answer_counts_among_its_five_messages(
    gateway: RunningGateway,
) -> None:
    gateway.engine.words = ["word & " * 1_000] * 8
    async with slack_bot(gateway.url) as slack:
        slack.command("/ask", "private lincoln Tell me everything.", channel=world.RANDOM)
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "the end")
        assert len(slack.private) == 5
        assert "the rest is missing" in slack.private[-1].shown


async def test_rewrite_gives_a_private_draft_with_the_difference(gateway: RunningGateway) -> None:
    gateway.engine.words = ["we ", "shall ", "try ", "harder"]
    async with slack_bot(gateway.url) as slack:
        slack.command("/rewrite", "lincoln we should try harder")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "a draft")
        assert slack.bot_messages == []
        working, draft = slack.private
        assert "Rewriting." in working.shown
        assert (draft.via, draft.user) == ("response_url", world.ADA)
        assert "Difference to the original" in draft.shown
        assert "~should~" in draft.shown
        assert [e["action_id"] for e in draft.elements] == [
            f"p:{name}" for name in ("share", "copy", "again", "lighter", "stronger")
        ]


async def test_a_command_without_a_question_opens_a_modal_which_asks_for_it(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url) as slack:
        slack.command("/ask", "roosevelt")
        await slack.until(lambda: slack.views, "a modal")
        slack.submit(slack.views[0], {"question": "What of the forests?"})
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "an answer")
        assert "[roosevelt@v1]" in slack.bot_messages[0].shown
        slack.command("/ask", "")
        await slack.until(lambda: len(slack.views) == 2, "a modal")
        slack.submit(
            slack.views[1], {"persona": "lincoln", "question": "Why?", "private": ["private"]}
        )
        await slack.until(lambda: slack.private, "a private answer")
        assert len(slack.bot_messages) == 1
        slack.command("/rewrite", "", user=world.OLGA)
        await slack.until(lambda: len(slack.views) == 3, "a modal")
        assert slack.views[2].now["title"]["text"] == "Text umschreiben"
        slack.submit(
            slack.views[2],
            {"persona": "lincoln", "text": "one\n\ntwo " * 200, "strength": "strong"},
        )
        await slack.until(lambda: "Unterschied zum Original" in shown_everywhere(slack), "a draft")


async def test_a_modal_whose_personas_are_slow_opens_at_once_and_is_filled_then(
    gateway: RunningGateway,
) -> None:
    """Slack gives three seconds; a gateway may take longer."""
    opened = asyncio.Event()

    async def personas(_request: web.Request) -> web.Response:
        await opened.wait()
        async with ClientSession() as session, session.get(f"{gateway.url}/v1/personas") as real:
            return web.Response(body=await real.read(), content_type="application/json")

    app = web.Application()
    app.add_routes([web.get("/v1/personas", personas)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with slack_bot(f"http://127.0.0.1:{runner.addresses[0][1]}") as slack:
            slack.message_action("rewrite_as", slack.direct("nothing", bot_id="B0OTHER"))
            await slack.until(lambda: slack.views, "a modal")
            assert slack.views[0].shown == "One moment…"
            opened.set()
            await slack.until(lambda: slack.views[0].elements, "something to choose")
            assert slack.views[0].elements[0]["action_id"] == "persona"
    finally:
        await runner.cleanup()


async def test_a_gateway_that_is_away_is_named_where_there_is_nobody_to_choose() -> None:
    async with slack_bot("http://127.0.0.1:9") as slack:
        slack.command("/personas", "")
        slack.mention("")
        await slack.until(
            lambda: shown_everywhere(slack).count("can't be reached") == 2, "two sentences"
        )
        slack.command("/ask", "")
        await slack.until(lambda: slack.views, "a modal")
        assert "can't be reached" in slack.views[0].shown


async def test_a_message_is_asked_about_and_answered_below_it(gateway: RunningGateway) -> None:
    async with slack_bot(gateway.url) as slack:
        message = slack.mention("of no interest", bot_id="B0OTHER")
        about = "We hold &lt;these&gt; truths"
        slack.message_action("ask_about", message, text=about, user=world.GRACE)
        await slack.until(lambda: slack.views, "a modal")
        assert "We hold &lt;these&gt; truths" in slack.views[0].shown
        slack.submit(slack.views[0], {"persona": "lincoln", "question": "Do we?"})
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "an answer")
        [answer] = slack.bot_messages
        assert answer.thread_ts == message.payload["event"]["ts"]
        assert answer.shown.startswith("grace asked Abraham Lincoln: Do we?")
        prompt = str(gateway.engine.requests[-1]["messages"])
        assert "Do we?" in prompt and "We hold <these> truths" in prompt


async def test_a_message_is_rewritten_also_where_the_bot_is_no_member(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url) as slack:
        message = slack.mention("of no interest", bot_id="B0OTHER", channel=world.RANDOM)
        slack.message_action("rewrite_as", message, text="we should try harder")
        await slack.until(lambda: slack.views, "a modal")
        slack.submit(slack.views[0], {"persona": "roosevelt", "strength": "light"})
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "a draft")
        assert slack.private[-1].channel == world.RANDOM
        assert "we should try harder" in str(gateway.engine.requests[-1]["messages"])


async def test_an_unknown_persona_is_nobody_elses_business(gateway: RunningGateway) -> None:
    async with slack_bot(gateway.url) as slack:
        slack.command("/ask", "lincon What of the Union?")
        slack.command("/rewrite", "lincon what of the Union")
        await slack.until(
            lambda: shown_everywhere(slack).count("Did you mean") == 2, "two sentences"
        )
        assert slack.bot_messages == []


async def test_personas_usage_and_privacy_are_told_privately(gateway: RunningGateway) -> None:
    async with slack_bot(gateway.url) as slack:

        async def said(command: str, text: str, part: str) -> None:
            before = len(slack.private)
            slack.command(command, text)
            await slack.until(lambda: len(slack.private) > before, f"{command} {text}")
            assert part in slack.private[-1].shown

        await said("/personas", "", "*Abraham Lincoln* (`lincoln`)")
        slack.direct("lincoln What of the Union?")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "an answer")
        await said("/usage", "", "You: one request")
        await said("/personas", "usage", "You: one request")
        await said("/privacy", "", "/privacy opt-out")
        await said("/privacy", "show", "one answer")
        slack.command("/privacy", "export")
        await slack.until(lambda: slack.views, "a modal")
        exported = slack.views[0].elements[0]["initial_value"]
        assert "What of the Union?" in exported
        await said("/privacy", "opt-out", "opted out")
        await said("/privacy", "show", "off")
        await said("/privacy", "opt-in", "opted in")
        await said("/privacy", "delete", "Forgotten")
        await said("/privacy", "show", "0 answers")
        assert {private.user for private in slack.private} == {world.ADA}


async def test_a_gateway_that_never_answers_delays_no_acknowledgement() -> None:
    with silent_gateway() as url:
        async with slack_bot(url) as slack:
            message = slack.mention("lincoln Why?")
            deliveries = [
                message,
                slack.direct("lincoln Why?"),
                slack.command("/ask", "lincoln Why?"),
                slack.command("/rewrite", "lincoln Why?"),
                slack.command("/personas", ""),
                slack.message_action("ask_about", message),
                slack.command("/personae", "status", user=world.GRACE),
            ]
            await slack.until(lambda: all(d.acked for d in deliveries), "acknowledgements")
            assert [delivery.attempts for delivery in deliveries] == [1] * 7
