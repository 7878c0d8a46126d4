"""Native streams end early, are stopped, are refused: the answer arrives whole, or ends with the truth."""

from __future__ import annotations

import pytest

from bot.core.sentences import speaker
from personae.wire import Delta
from tests.bot.core.bench import META, said, scripted_gateway
from tests.bot.on_slack.bench import MANIFEST, QUICK, shown_everywhere, slack_bot
from tests.conftest import RunningGateway
from tests.fakes import slack_payloads as world
from tests.fakes.slack_platform import FakeSlack

DISCLOSED = "imitation"


def slow(gateway: RunningGateway, words: int) -> None:
    gateway.engine.words = [f"word{number} " for number in range(words)]
    gateway.engine.seconds_between = 0.05


async def test_a_stream_that_dies_goes_on_by_edits_of_the_same_message(
    gateway: RunningGateway,
) -> None:
    slow(gateway, 40)
    slack = FakeSlack(MANIFEST, stream_appends=2)
    async with slack_bot(gateway.url, slack=slack):
        slack.mention("lincoln What of the Union?")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "the whole answer")
        [message] = slack.bot_messages
        assert message.streamed
        refused = [c for c in slack.calls if c.error == "message_not_in_streaming_state"]
        assert len(refused) == 1
        assert len(slack.calls_of("chat.update")) >= 2
        assert "word0" in message.shown and "word39" in message.shown
        assert {e["action_id"] for e in message.elements} >= {"p:rate", "p:again"}


async def test_a_stream_that_slack_ends_after_its_minutes_loses_no_word(
    gateway: RunningGateway,
) -> None:
    slow(gateway, 40)
    slack = FakeSlack(MANIFEST, stream_seconds=10)  # half a second here
    async with slack_bot(gateway.url, slack=slack):
        slack.direct("lincoln What of the Union?")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "the whole answer")
        [message] = slack.bot_messages
        shown = message.shown
        assert all(f"word{number}" in shown for number in range(40))


@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("chat.startStream", "method_not_supported_for_channel_type"),
        ("assistant.threads.setStatus", "missing_scope"),
    ],
)
async def test_where_slack_has_no_streams_or_status_the_answer_grows_by_edits(
    gateway: RunningGateway, method: str, error: str
) -> None:
    slow(gateway, 20)
    async with slack_bot(gateway.url) as slack:
        slack.fail_next(method, error, times=50)
        slack.mention("lincoln What of the Union?")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "the whole answer")
        [message] = slack.bot_messages
        assert not message.streamed
        assert len(message.history) >= 2
        assert "word0" in message.shown and "word19" in message.shown


async def test_more_streams_than_slack_starts_go_by_edits_and_nobody_waits(
    gateway: RunningGateway,
) -> None:
    slow(gateway, 8)
    policy = {"policy": {"answers_at_once": 100}}
    rates = {**QUICK["rates"], "chat.startStream": (3.0, 60.0)}
    async with slack_bot(gateway.url, settings=policy, rates=rates) as slack:
        for _ in range(8):
            slack.direct("lincoln What of the Union?")
        await slack.until(
            lambda: shown_everywhere(slack).count(DISCLOSED) == 8, "8 answers", seconds=60
        )
        assert len(slack.bot_messages) == 8
        assert [message.streamed for message in slack.bot_messages].count(True) == 3
        assert [call for call in slack.calls if call.error == "ratelimited"] == []


@pytest.mark.parametrize("channel", [world.GENERAL, world.DIRECT])
async def test_the_native_stop_button_ends_the_generation_and_what_was_said_stays(
    gateway: RunningGateway, channel: str
) -> None:
    slow(gateway, 10_000)
    async with slack_bot(gateway.url) as slack:
        ask = slack.mention if channel == world.GENERAL else slack.direct
        question = ask("lincoln Go on for ever.")
        await slack.until(lambda: "word" in shown_everywhere(slack), "the first words")
        thread = question.payload["event"]["ts"]
        assert {
            "status": "processing",
            "channel_id": channel,
            "thread_ts": thread,
        } in slack.statuses
        slack.stop_session(channel, thread)
        await slack.until(lambda: gateway.engine.aborted, "the end of the generation")
        [message] = slack.bot_messages
        await slack.until(lambda: "(Stopped.)" in message.shown, "the truth")
        assert "word0" in message.shown and DISCLOSED in message.shown
        await slack.until(
            lambda: slack.statuses[-1]["status"] == "active", "a session that is active again"
        )


async def test_somebody_elses_stop_is_refused_and_the_answer_goes_on(
    gateway: RunningGateway,
) -> None:
    slow(gateway, 40)
    async with slack_bot(gateway.url) as slack:
        question = slack.mention("lincoln What of the Union?")
        await slack.until(lambda: "word" in shown_everywhere(slack), "the first words")
        slack.stop_session(world.GENERAL, question.payload["event"]["ts"], user=world.FRED)
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "the whole answer")
        assert "word39" in slack.bot_messages[0].shown
        await slack.until(lambda: "Only the person who asked" in shown_everywhere(slack), "why")


async def test_an_open_conversation_suggests_questions_to_personas(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url) as slack:
        slack.open_home(tab="messages")
        await slack.until(lambda: slack.prompts, "suggested prompts")
        [prompts] = slack.prompts
        assert "thread_ts" not in prompts
        assert prompts["prompts"][0]["title"].startswith("Ask ")
        slack.direct(prompts["prompts"][0]["message"])
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "an answer")


async def test_an_answer_in_code_closes_its_fence(gateway: RunningGateway) -> None:
    gateway.engine.words = ["Like so:\n", "```py\n", "x = 1 ", "# and on"]
    gateway.engine.seconds_between = 0.1
    async with slack_bot(gateway.url) as slack:
        slack.mention("lincoln What of the Union?")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "the whole answer")
        assert slack.bot_messages[0].shown.count("```") == 2


async def test_what_was_streamed_goes_where_the_answer_begins_anew() -> None:
    """A stream takes no word back: its message goes on by edits."""
    say = speaker("en")
    async with (
        scripted_gateway() as one,
        scripted_gateway() as other,
        slack_bot(f"{one.url},{other.url}") as slack,
    ):

        async def breaks_off() -> None:
            await slack.until(lambda: "We can not" in shown_everywhere(slack), "the first words")
            one.script = other.script = [is_told, *said("By law.")]

        async def is_told() -> None:
            await slack.until(
                lambda: say("asking-again") in shown_everywhere(slack), "why it waits"
            )
            [message] = slack.bot_messages
            assert "We can not" in message.shown, "until there are others"

        one.script = other.script = [META, Delta(text="We can not"), breaks_off]
        slack.mention("lincoln Why?")
        await slack.until(lambda: say("begun-anew") in shown_everywhere(slack), "the whole answer")
        [message] = slack.bot_messages
        assert message.streamed and "By law." in message.shown
        assert "We can not" not in message.shown and say("asking-again") not in message.shown
        assert len(one.asked) == len(other.asked) == 1
