"""Questions on Slack are answered in the right place: growing, with sources, disclosed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from personae.persona import Cast
from tests.bot.on_slack.bench import MANIFEST, shown_everywhere, slack_bot
from tests.conftest import RunningGateway, gateway_over
from tests.fakes import slack_payloads as world
from tests.fakes.engine import FakeEngine
from tests.fakes.slack_platform import FakeSlack

DISCLOSED = "imitation"
HIDDEN = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


async def test_a_mention_is_streamed_into_its_thread_with_sources_and_disclosure(
    gateway: RunningGateway,
) -> None:
    gateway.engine.words = [f"word{number} " for number in range(20)]
    gateway.engine.seconds_between = 0.03
    async with slack_bot(gateway.url) as slack:
        question = slack.mention("lincoln What must be done to keep the Union whole?")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "an answer")
        [message] = slack.bot_messages
        assert message.streamed
        assert message.channel == world.GENERAL
        assert message.thread_ts == question.payload["event"]["ts"]
        assert slack.statuses[0]["status"] == "is thinking…"
        assert len(message.history) >= 3
        assert "[lincoln@v1] word0 word1" in message.shown
        assert "<https://example.org/1862|Message on the Union>, 1862-12-01" in message.shown
        assert message.shown.index("word19") < message.shown.index("Sources")
        assert message.pings == set()
        start = slack.calls_of("chat.startStream")[0].arguments
        assert start["recipient_team_id"] == world.TEAM
        assert start["recipient_user_id"] == world.ADA


async def test_a_mention_can_name_a_persona_in_full(gateway: RunningGateway) -> None:
    async with slack_bot(gateway.url) as slack:
        slack.mention("Abraham Lincoln: what of &lt;the&gt; Union?")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "an answer")
        request = gateway.engine.requests[-1]
        assert request["model"] == "lincoln@v1"
        assert "what of <the> Union?" in str(request["messages"])


async def test_a_mention_can_ask_for_a_rewrite_that_only_its_author_sees(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url) as slack:
        slack.mention("rewrite Abraham Lincoln: we should &lt;really&gt; try harder")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "a draft")
        assert slack.bot_messages == []
        assert slack.private[-1].user == world.ADA
        assert "we should <really> try harder" in str(gateway.engine.requests[-1]["messages"])


async def test_a_mention_inside_a_thread_is_answered_in_that_thread(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url) as slack:
        slack.mention("roosevelt What of the forests?", thread_ts="1700000000.000001")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "an answer")
        assert slack.bot_messages[0].thread_ts == "1700000000.000001"
        assert "[roosevelt@v1]" in slack.bot_messages[0].shown


async def test_a_direct_message_is_answered_in_its_thread_and_the_thread_is_remembered(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url) as slack:
        first = slack.direct("lincoln What of the Union?")
        thread = first.payload["event"]["ts"]
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "an answer")
        slack.direct("And of the law?", thread_ts=thread)
        await slack.until(lambda: shown_everywhere(slack).count(DISCLOSED) == 2, "two answers")
        assert [m.thread_ts for m in slack.bot_messages] == [thread, thread]
        assert {m.channel for m in slack.bot_messages} == {world.DIRECT}
        assert gateway.engine.requests[-1]["model"] == "lincoln@v1"
        assert "What of the Union?" in str(gateway.engine.requests[-1]["messages"])


async def test_a_thread_keeps_the_version_that_it_began_with(gateway: RunningGateway) -> None:
    async with slack_bot(gateway.url, admin_key=gateway.admin_key) as slack:
        first = slack.mention("lincoln What of the Union?")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "an answer")
        slack.command("/personae", "reload lincoln v2", user=world.GRACE)
        await slack.until(lambda: "v2" in shown_everywhere(slack), "the reload")
        slack.mention("And of the law?", thread_ts=first.payload["event"]["ts"])
        await slack.until(lambda: shown_everywhere(slack).count(DISCLOSED) == 2, "two answers")
        assert "[lincoln@v1]" in slack.bot_messages[1].shown
        slack.mention("lincoln And of the law?")
        await slack.until(lambda: shown_everywhere(slack).count(DISCLOSED) == 3, "three answers")
        assert "[lincoln@v2]" in slack.bot_messages[2].shown


async def test_in_a_subscribed_channel_a_reply_in_the_bots_thread_needs_no_mention(
    gateway: RunningGateway,
) -> None:
    slack = FakeSlack(MANIFEST, extra_events=("message.channels",))
    async with slack_bot(gateway.url, slack=slack):
        first = slack.mention("lincoln What of the Union?")
        thread = first.payload["event"]["ts"]
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "an answer")
        other = slack.twin(slack.mention("", thread_ts="1.2", bot_id="B0X"), "message.channels")
        del other
        for text, ts in (
            (f"<@{world.GRACE}> look at that", thread),  # to somebody else
            ("lincoln who is there?", None),  # not in a thread
            ("What a talk!", "1700000000.000009"),  # in a thread of others
            ("And of the law?", thread),
        ):
            event = world.message_event(
                "message.channels",
                user=world.ADA,
                channel=world.GENERAL,
                text=text,
                ts=world.new_ts(),
            )
            slack._event("message.channels", event | ({"thread_ts": ts} if ts else {}))
        await slack.until(lambda: shown_everywhere(slack).count(DISCLOSED) == 2, "two answers")
        await slack.until(lambda: all(d.acked for d in slack.deliveries), "acknowledgements")
        assert len(slack.bot_messages) == 2
        assert slack.bot_messages[1].thread_ts == thread
        assert "And of the law?" in str(gateway.engine.requests[-1]["messages"])


async def test_a_mention_that_asks_nothing_is_told_how_and_whom_to_ask(
    gateway: RunningGateway,
) -> None:
    before = len(gateway.engine.requests)
    async with slack_bot(gateway.url) as slack:
        for text in ("", "lincoln"):
            slack.mention(text)
        await slack.until(lambda: len(slack.private) == 2, "two sentences")
        for message in slack.private:
            assert message.user == world.ADA
            assert "@personae lincoln What holds a nation together?" in message.shown
            assert "Personas here: lincoln, pg, roosevelt, wbw." in message.shown
        assert slack.bot_messages == []
        assert len(gateway.engine.requests) == before


async def test_a_question_to_nobody_is_asked_back_and_nobody_else_sees_it(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url) as slack:
        slack.mention("What of the Union?")
        await slack.until(lambda: slack.private, "a sentence")
        assert "Which persona?" in slack.private[0].shown
        slack.mention("lincon What of the Union?")
        await slack.until(lambda: "Did you mean" in shown_everywhere(slack), "a sentence")
        assert "lincoln" in slack.private[1].shown
        assert slack.bot_messages == []
        await slack.until(
            lambda: [s["status"] for s in slack.statuses].count("") == 2, "no status left"
        )


NASTY = [
    "<!channel> <!here|here> <!everyone> ",
    f"<@{world.ADA}> <!subteam^S01> @here @channel ",
    "@everyone <#C0GENERAL> a & b < c ",
    "[look](https://example.org/<@U0ADA>) [https://bank.org](https://evil.org) ",
    "https://example.org/a?b=1&c=2 \u202egpj.exe\u202c a\u200bb\ufeff ",
    "```\nopen fence <!channel> ",
    "word " * 2_000,
]


@pytest.mark.parametrize("streams", [True, False])
async def test_nothing_a_model_says_pings_anybody_or_hides_anything(
    gateway: RunningGateway, streams: bool
) -> None:
    gateway.engine.words = NASTY
    gateway.engine.seconds_between = 0.02
    async with slack_bot(gateway.url) as slack:
        if not streams:
            slack.fail_next("chat.startStream", "method_not_supported_for_channel_type", times=9)
        slack.mention("lincoln Whom shall I call?")
        slack.command("/ask", "lincoln <!channel> @here and you?")
        slack.command("/rewrite", "lincoln <@U0ADA> @everyone come")
        await slack.until(lambda: shown_everywhere(slack).count(DISCLOSED) >= 3, "three answers")
        assert set().union(*(message.pings for message in slack.bot_messages)) == set()
        assert set().union(*(answer.pings for answer in slack.private)) == set()
        assert HIDDEN.search(shown_everywhere(slack)) is None
        for call in slack.calls_of("chat.postMessage") + slack.calls_of("chat.update"):
            assert (call.arguments["parse"], call.arguments["link_names"]) == ("none", False)
        assert "<https://evil.org>" in shown_everywhere(slack)


async def test_a_very_long_answer_goes_on_in_its_thread_and_loses_nothing(
    gateway: RunningGateway,
) -> None:
    words = [f"w{number:05d}&<> " for number in range(2_400)]
    gateway.engine.words = ["".join(words[at : at + 300]) for at in range(0, len(words), 300)]
    gateway.engine.seconds_between = 0.02
    async with slack_bot(gateway.url) as slack:
        for ask in (slack.mention, lambda text: slack.command("/ask", text)):
            ask("lincoln How shall the Union be kept whole?")
            await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "the end")
            first, *others = slack.bot_messages
            assert len(others) >= 3
            assert {message.thread_ts for message in others} == {first.thread_ts or first.ts}
            shown = shown_everywhere(slack)
            positions = [shown.find(word.strip().replace("&<>", "&amp;&lt;&gt;")) for word in words]
            assert -1 not in positions
            assert positions == sorted(positions)
            assert "Sources" in others[-1].shown
            slack.bot_messages.clear()


async def test_messages_of_bots_and_about_messages_are_nobodys_questions(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url) as slack:
        slack.mention("lincoln Are you a bot too?", bot_id="B0OTHER")
        slack.direct("lincoln Was this edited?", subtype="message_changed")
        slack.mention("lincoln Who asks?")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "the one answer")
        assert len(slack.bot_messages) == 1
        assert all(delivery.acked for delivery in slack.deliveries)


async def test_deleting_the_answer_stops_its_generation(gateway: RunningGateway) -> None:
    gateway.engine.words = ["word "] * 10_000
    gateway.engine.seconds_between = 0.02
    async with slack_bot(gateway.url) as slack:
        for ask in (slack.mention, slack.direct):
            aborted = gateway.engine.aborted
            ask("lincoln Go on for ever.")
            await slack.until(lambda: "word" in shown_everywhere(slack), "the first words")
            slack.delete(slack.bot_messages[-1])
            await slack.until(lambda a=aborted: gateway.engine.aborted > a, "its end")  # type: ignore[misc]
        assert len(slack.bot_messages) == 2


async def test_deleting_the_question_stops_the_answer(gateway: RunningGateway) -> None:
    gateway.engine.words = ["word "] * 10_000
    gateway.engine.seconds_between = 0.02
    slack = FakeSlack(MANIFEST, extra_events=("message.channels",))
    async with slack_bot(gateway.url, slack=slack):
        for ask in (slack.direct, slack.mention):
            aborted = gateway.engine.aborted
            question = ask("lincoln Go on for ever.")
            await slack.until(
                lambda: slack.bot_messages and "word" in slack.bot_messages[-1].shown, "words"
            )
            slack.delete_question(question)
            await slack.until(lambda a=aborted: gateway.engine.aborted > a, "its end")  # type: ignore[misc]
            slack.bot_messages.clear()


async def test_answers_at_the_same_time_share_what_slack_allows(gateway: RunningGateway) -> None:
    gateway.engine.words = [f"word{number} " for number in range(40)]
    gateway.engine.seconds_between = 0.5  # they go on until each was seen to grow
    async with slack_bot(gateway.url, settings={"policy": {"answers_at_once": 20}}) as slack:
        for _ in range(3):
            slack.mention("lincoln What of the Union?")
            slack.direct("lincoln What of the Union?")
            slack.command("/ask", "lincoln What of the Union?")

        def all_grow() -> bool:
            messages = slack.bot_messages
            return len(messages) == 9 and all(len(message.history) >= 3 for message in messages)

        await slack.until(all_grow, "nine answers that grow")
        gateway.engine.seconds_between = 0.0
        await slack.until(lambda: shown_everywhere(slack).count("word39") == 9, "nine answers")
        assert [call for call in slack.calls if call.error] == []


async def test_a_place_in_line_stands_where_the_answer_will(
    engine: FakeEngine, cast: Cast, tmp_path: Path
) -> None:
    engine.words = ["word "] * 20
    engine.seconds_between = 0.5  # nobody moves up before both were seen in line
    settings = {"gateway": "max_answers_at_once = 1", "deadlines": "drain_seconds = 1"}
    async with (
        gateway_over(engine, cast, tmp_path, **settings) as gateway,
        slack_bot(gateway.url) as slack,
    ):
        slack.mention("lincoln Why?")
        await slack.until(lambda: "word" in shown_everywhere(slack), "an answer that grows")
        slack.direct("lincoln How?")
        await slack.until(
            lambda: any("In line: 1st" in status["status"] for status in slack.statuses),
            "a place in line, as a status",
        )
        slack.command("/ask", "lincoln When?")
        await slack.until(lambda: "In line: 2nd" in shown_everywhere(slack), "one in the channel")
        engine.seconds_between = 0.0
        await slack.until(lambda: shown_everywhere(slack).count(DISCLOSED) == 3, "three answers")
        assert "In line" not in shown_everywhere(slack)


async def test_people_are_answered_in_their_language(gateway: RunningGateway) -> None:
    async with slack_bot(gateway.url) as slack:
        slack.mention("What of the Union?", user=world.OLGA)
        await slack.until(lambda: slack.private, "a sentence")
        assert "Welche Persona?" in slack.private[0].shown
        slack.direct("lincoln What of the Union?", user=world.OLGA)
        await slack.until(lambda: slack.bot_messages and slack.bot_messages[0].elements, "buttons")
        labels = [e.get("text", {}).get("text") for e in slack.bot_messages[0].elements]
        assert "Noch einmal" in labels


async def test_what_is_asked_while_an_answer_grows_waits_for_its_end_and_refers_to_it(
    gateway: RunningGateway,
) -> None:
    gateway.engine.words = [f"word{number} " for number in range(20)]
    gateway.engine.seconds_between = 0.05
    async with slack_bot(gateway.url) as slack:
        first = slack.direct("lincoln What of the Union?")
        await slack.until(lambda: "word" in shown_everywhere(slack), "the first words")
        slack.direct("And of the law?", thread_ts=first.payload["event"]["ts"])
        await slack.until(lambda: shown_everywhere(slack).count(DISCLOSED) == 2, "two answers")
        prompt = str(gateway.engine.requests[-1]["messages"])
        assert "What of the Union?" in prompt and "word19" in prompt
