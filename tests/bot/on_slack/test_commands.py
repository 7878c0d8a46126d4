"""Slash commands: acknowledged at once, /ask in the channel, /rewrite and what goes wrong in private."""

from __future__ import annotations

import asyncio

import pytest

from bot.core import sentences
from tests.bot.on_slack.bench import shown_everywhere, slack_bot
from tests.conftest import RunningGateway
from tests.fakes import slack_payloads as world

DISCLOSED = "imitation"


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
        heading = "ada asked lincoln: What of the &lt;Union&gt; &amp; its laws?"
        assert message.shown.startswith(heading)
        assert len(message.history) >= 3
        assert message.pings == set()
        assert slack.private == []
        assert command.attempts == 1


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
        assert first.shown == sentences.NOT_IN_CHANNEL
        assert "[lincoln@v1]" in answer.shown
        assert (answer.user, answer.channel) == (world.ADA, channel)
        assert answer.message["response_type"] == "ephemeral"


async def test_a_private_answer_too_long_for_five_messages_says_that_it_is_cut(
    gateway: RunningGateway,
) -> None:
    gateway.engine.words = ["word & " * 1_000] * 8
    async with slack_bot(gateway.url) as slack:
        slack.command("/ask", "lincoln Tell me everything.", channel=world.RANDOM)
        await slack.until(lambda: len(slack.private) == 5, "five messages")
        assert slack.private[-1].shown == sentences.TOO_LONG_PRIVATELY


async def test_rewrite_is_announced_at_once_and_answered_for_one_person_only(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url) as slack:
        slack.command("/rewrite", "lincoln we should try harder")
        await slack.until(lambda: len(slack.private) == 2, "a sentence and a rewrite")
        assert slack.bot_messages == []
        working, result = sorted(slack.private, key=lambda private: private.via)
        assert (working.via, working.shown) == ("ack", sentences.REWRITING)
        assert (result.via, result.user) == ("response_url", world.ADA)
        assert "[lincoln@v1]" in result.shown
        assert DISCLOSED in result.shown


async def test_a_command_without_question_or_text_is_told_how_in_private(
    gateway: RunningGateway,
) -> None:
    cases = [
        ("/ask", "", "/ask lincoln What holds a nation together?"),
        ("/ask", "lincoln", "/ask lincoln What holds a nation together?"),
        ("/rewrite", "lincoln ", "/rewrite roosevelt We should try harder."),
    ]
    async with slack_bot(gateway.url) as slack:
        for number, (command, text, example) in enumerate(cases):
            slack.command(command, text)
            await slack.until(lambda n=number: len(slack.private) > n, "a sentence")  # type: ignore[misc]
            assert example in slack.private[-1].shown
            assert "Personas here: lincoln" in slack.private[-1].shown
        assert len(slack.private) == len(cases)
        assert slack.bot_messages == []


async def test_an_unknown_persona_is_nobody_elses_business(gateway: RunningGateway) -> None:
    async with slack_bot(gateway.url) as slack:
        slack.command("/ask", "lincon What of the Union?")
        slack.command("/rewrite", "lincon what of the Union")
        await slack.until(
            lambda: shown_everywhere(slack).count("Did you mean lincoln?") == 2, "two sentences"
        )
        assert slack.bot_messages == []


async def test_a_gateway_that_never_answers_delays_no_acknowledgement() -> None:
    async def never(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hung.wait()
        writer.close()

    hung = asyncio.Event()
    server = await asyncio.start_server(never, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    async with server:
        async with slack_bot(f"http://{host}:{port}") as slack:
            deliveries = [
                slack.mention("lincoln Why?"),
                slack.direct("lincoln Why?"),
                slack.command("/ask", "lincoln Why?"),
                slack.command("/rewrite", "lincoln Why?"),
                slack.command("/personae", "list", user=world.GRACE),
            ]
            await slack.until(lambda: all(d.acked for d in deliveries), "acknowledgements")
            assert [delivery.attempts for delivery in deliveries] == [1] * 5
            assert [private.via for private in slack.private] == ["ack"]
        hung.set()
