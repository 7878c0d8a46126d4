"""Questions on Slack are answered in the right place: growing, with sources, disclosed."""

from __future__ import annotations

from pathlib import Path

from bot.core import sentences
from personae.persona import Cast
from tests.bot.on_slack.bench import shown_everywhere, slack_bot
from tests.conftest import RunningGateway, gateway_over
from tests.fakes import slack_payloads as world
from tests.fakes.engine import FakeEngine

DISCLOSED = "imitation"


async def test_a_mention_is_answered_in_its_thread_by_edits_with_sources_and_disclosure(
    gateway: RunningGateway,
) -> None:
    gateway.engine.words = [f"word{number} " for number in range(20)]
    gateway.engine.seconds_between = 0.03
    async with slack_bot(gateway.url) as slack:
        question = slack.mention("lincoln What must be done to keep the Union whole?")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "an answer")
        [message] = slack.bot_messages
        assert message.channel == world.GENERAL
        assert message.thread_ts == question.payload["event"]["ts"]
        assert message.history[0]["text"] == sentences.THINKING
        assert len(message.history) >= 4
        assert "[lincoln@v1] word0 word1" in message.shown
        assert "<https://example.org/1862|Message on the Union>, 1862-12-01" in message.shown
        assert message.shown.index("word19") < message.shown.index("Sources")
        assert message.pings == set()


async def test_a_mention_can_ask_for_a_rewrite_and_name_a_persona_in_full(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url) as slack:
        slack.mention("rewrite Abraham Lincoln: we should &lt;really&gt; try harder")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "an answer")
        request = gateway.engine.requests[-1]
        assert request["model"] == "lincoln@v1"
        assert "we should <really> try harder" in str(request["messages"])


async def test_a_mention_inside_a_thread_is_answered_in_that_thread(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url) as slack:
        slack.mention("roosevelt What of the forests?", thread_ts="1700000000.000001")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "an answer")
        assert slack.bot_messages[0].thread_ts == "1700000000.000001"
        assert "[roosevelt@v1]" in slack.bot_messages[0].shown


async def test_a_direct_message_is_answered_beside_it_and_in_a_thread_inside_the_thread(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url) as slack:
        slack.direct("lincoln What of the Union?")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "an answer")
        slack.direct("lincoln And of the law?", thread_ts="1700000000.000002")
        await slack.until(lambda: len(slack.bot_messages) == 2, "a second answer")
        first, second = slack.bot_messages
        assert (first.channel, first.thread_ts) == (world.DIRECT, None)
        assert (second.channel, second.thread_ts) == (world.DIRECT, "1700000000.000002")


async def test_a_mention_that_asks_nothing_is_told_how_and_whom_to_ask(
    gateway: RunningGateway,
) -> None:
    before = len(gateway.engine.requests)
    async with slack_bot(gateway.url) as slack:
        for text in ("", "lincoln", "   help  "):
            slack.mention(text)
        await slack.until(lambda: len(slack.bot_messages) == 3, "three sentences")
        for message in slack.bot_messages:
            assert "@personae lincoln What holds a nation together?" in message.shown
            assert "Personas here: lincoln, pg, roosevelt, wbw." in message.shown
        assert len(gateway.engine.requests) == before


async def test_an_unknown_persona_is_answered_with_the_nearest_names(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url) as slack:
        slack.mention("lincon What of the Union?")
        await slack.until(lambda: "Did you mean" in shown_everywhere(slack), "a sentence")
        assert 'no persona "lincon". Did you mean lincoln?' in slack.bot_messages[0].shown


async def test_nothing_a_model_says_pings_anybody(gateway: RunningGateway) -> None:
    gateway.engine.words = [
        "<!channel> <!here|here> <!everyone> ",
        f"<@{world.ADA}> <!subteam^S01> @here @channel ",
        "@everyone <#C0GENERAL> ",
        "a & b < c ",
        "[look](https://example.org/<@U0ADA>) ",
        "https://example.org/a?b=1&c=2 ",
    ]
    async with slack_bot(gateway.url) as slack:
        slack.mention("lincoln Whom shall I call?")
        slack.command("/ask", "lincoln <!channel> @here and you?")
        slack.command("/rewrite", "lincoln <@U0ADA> @everyone come")
        await slack.until(lambda: shown_everywhere(slack).count(DISCLOSED) == 3, "three answers")
        assert [message.pings for message in slack.bot_messages] == [set(), set()]
        assert [answer.pings for answer in slack.private] == [set()] * len(slack.private)
        for call in slack.calls_of("chat.postMessage") + slack.calls_of("chat.update"):
            assert (call.arguments["parse"], call.arguments["link_names"]) == ("none", False)
        shown = slack.bot_messages[0].shown
        assert "&lt;!channel&gt;" in shown
        assert "a &amp; b &lt; c" in shown
        assert "<https://example.org/a?b=1&amp;c=2>" in shown


async def test_a_very_long_answer_goes_on_in_its_thread_and_loses_nothing(
    gateway: RunningGateway,
) -> None:
    words = [f"w{number:05d}&<> " for number in range(2_400)]
    gateway.engine.words = ["".join(words[at : at + 300]) for at in range(0, len(words), 300)]
    async with slack_bot(gateway.url) as slack:
        slack.command("/ask", "lincoln How shall the Union be kept whole?")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "the end of the answer")
        first, *others = slack.bot_messages
        assert len(others) >= 3
        assert {message.thread_ts for message in others} == {first.ts}
        shown = shown_everywhere(slack)
        positions = [shown.find(word.strip().replace("&<>", "&amp;&lt;&gt;")) for word in words]
        assert -1 not in positions
        assert positions == sorted(positions)
        assert "Sources" in others[-1].shown


async def test_messages_of_bots_and_about_messages_are_nobodys_questions(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url) as slack:
        slack.mention("lincoln Are you a bot too?", bot_id="B0OTHER")
        slack.direct("lincoln Was this edited?", subtype="message_changed")
        slack.direct("lincoln Is this me?", user=world.BOT)
        slack.mention("lincoln Who asks?")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "the one answer")
        assert len(slack.bot_messages) == 1
        assert all(delivery.acked for delivery in slack.deliveries)


async def test_deleting_the_answer_stops_its_generation(gateway: RunningGateway) -> None:
    gateway.engine.words = ["word "] * 10_000
    gateway.engine.seconds_between = 0.02
    async with slack_bot(gateway.url) as slack:
        slack.mention("lincoln Go on for ever.")
        await slack.until(lambda: "word" in shown_everywhere(slack), "the first words")
        slack.delete(slack.bot_messages[0])
        await slack.until(lambda: gateway.engine.aborted, "the end of the generation")
        assert len(slack.bot_messages) == 1


async def test_answers_at_the_same_time_share_the_edits_that_slack_allows(
    gateway: RunningGateway,
) -> None:
    gateway.engine.words = [f"word{number} " for number in range(40)]
    gateway.engine.seconds_between = 0.05
    async with slack_bot(gateway.url) as slack:
        for _ in range(3):
            slack.mention("lincoln What of the Union?")
            slack.direct("lincoln What of the Union?")
        await slack.until(lambda: shown_everywhere(slack).count("word39") == 6, "six answers")
        # Each at its own pace would make some 160 edits where Slack allows about 80.
        assert [call for call in slack.calls_of("chat.update") if call.error] == []
        assert all(len(message.history) >= 4 for message in slack.bot_messages)


async def test_a_place_in_line_stands_where_the_answer_will(
    engine: FakeEngine, cast: Cast, tmp_path: Path
) -> None:
    engine.words = ["word "] * 20
    engine.seconds_between = 0.1
    settings = {"gateway": "max_answers_at_once = 1", "deadlines": "drain_seconds = 1"}
    async with (
        gateway_over(engine, cast, tmp_path, **settings) as gateway,
        slack_bot(gateway.url) as slack,
    ):
        slack.mention("lincoln Why?")
        await slack.until(lambda: "word" in shown_everywhere(slack), "an answer that grows")
        slack.direct("lincoln How?")
        await slack.until(
            lambda: "In line: 1st, about" in shown_everywhere(slack), "a place in line"
        )
        await slack.until(lambda: shown_everywhere(slack).count(DISCLOSED) == 2, "two answers")
        assert "In line" not in shown_everywhere(slack)
        assert len(slack.bot_messages) == 2
