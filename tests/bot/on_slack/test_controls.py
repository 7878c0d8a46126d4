"""The buttons below an answer do what they say, for whom they may, also after a restart."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from bot.core.gateway_client import GatewayClient
from bot.state.records import AnswerRecord
from bot.state.store import State
from tests.bot.on_slack.bench import MANIFEST, shown_everywhere, slack_bot
from tests.conftest import RunningGateway
from tests.fakes import slack_payloads as world
from tests.fakes.slack_platform import FakeSlack
from tests.fakes.slack_workspace import Message, Private

DISCLOSED = "imitation"


async def answered(slack: FakeSlack, text: str = "lincoln What of the Union?") -> Message:
    """A finished public answer to Ada."""
    before = len(slack.bot_messages)
    slack.mention(text)
    await slack.until(
        lambda: len(slack.bot_messages) > before and slack.bot_messages[-1].elements, "an answer"
    )
    return slack.bot_messages[-1]


async def drafted(slack: FakeSlack, *, channel: str = world.GENERAL) -> Private:
    slack.command("/rewrite", "lincoln we should try harder", channel=channel)
    await slack.until(lambda: slack.private and slack.private[-1].elements, "a draft")
    return slack.private[-1]


def value_of(message: Message, which: str) -> str:
    pair = next(e for e in message.elements if e["action_id"] == "p:rate")
    return str(pair[f"{which}_button"]["value"])


async def test_a_good_answer_is_noted_for_the_one_who_says_so(gateway: RunningGateway) -> None:
    async with slack_bot(gateway.url) as slack:
        message = await answered(slack)
        slack.press(message, "p:rate", value=value_of(message, "positive"), user=world.GRACE)
        await slack.until(lambda: "noted as a good answer" in shown_everywhere(slack), "thanks")
        assert slack.private[-1].user == world.GRACE


async def test_a_bad_answer_counts_at_once_and_may_be_given_a_reason(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url) as slack:
        message = await answered(slack)
        slack.press(message, "p:rate", value=value_of(message, "negative"))
        await slack.until(lambda: slack.views, "a modal")
        await slack.until(lambda: "noted as a bad answer" in shown_everywhere(slack), "thanks")
        slack.submit(slack.views[0], {"reason": "too long"})
        async with GatewayClient(gateway.url, admin_key=gateway.admin_key) as client:

            async def reasons() -> str:
                return (await client.feedback_summary("lincoln")).model_dump_json()

            async with asyncio.timeout(30):
                while "too long" not in await reasons():
                    await asyncio.sleep(0.05)
            exported = await client.export_feedback("lincoln", "kto")
        [line] = exported.decode().splitlines()
        assert json.loads(line)["label"] is False


async def test_again_and_another_persona_answer_below_and_are_other_answers(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url) as slack:
        message = await answered(slack)
        slack.press(message, "p:again")
        await slack.until(lambda: shown_everywhere(slack).count(DISCLOSED) == 2, "another try")
        slack.press(message, "p:other")
        await slack.until(lambda: slack.views, "a modal")
        choices = [o["value"] for o in slack.views[0].elements[0]["options"]]
        assert "lincoln" not in choices
        slack.submit(slack.views[0], {"persona": "roosevelt"})
        await slack.until(lambda: shown_everywhere(slack).count(DISCLOSED) == 3, "a third")
        assert {m.thread_ts for m in slack.bot_messages} == {message.thread_ts}
        assert "[roosevelt@v1]" in slack.bot_messages[2].shown
        values = [e["value"] for m in slack.bot_messages for e in m.elements if "value" in e]
        assert len(set(values)) == 3


async def test_sources_are_shown_to_the_one_who_wants_them(gateway: RunningGateway) -> None:
    async with slack_bot(gateway.url) as slack:
        message = await answered(slack, "lincoln What must be done to keep the Union whole?")
        slack.press(message, "p:sources", user=world.GRACE)
        await slack.until(lambda: slack.private, "sources")
        shown = slack.private[-1].shown
        assert slack.private[-1].user == world.GRACE
        assert "https://example.org/1862" in shown
        assert "v1" in shown


async def test_stop_is_for_who_asked_and_what_was_said_stays(gateway: RunningGateway) -> None:
    gateway.engine.words = ["word "] * 10_000
    gateway.engine.seconds_between = 0.02
    async with slack_bot(gateway.url) as slack:
        slack.command("/ask", "lincoln Go on for ever.")
        await slack.until(lambda: "word" in shown_everywhere(slack), "the first words")
        [message] = slack.bot_messages
        slack.press(message, "p:stop", user=world.OLGA.replace("OLGA", "CROWD1"))
        await slack.until(lambda: "Only the person who asked" in shown_everywhere(slack), "no")
        assert not gateway.engine.aborted
        slack.press(message, "p:stop")
        await slack.until(lambda: gateway.engine.aborted, "the end of the generation")
        await slack.until(lambda: DISCLOSED in message.shown, "the end of the answer")
        assert "(Stopped.)" in message.shown and "word word" in message.shown


async def test_delete_is_for_who_asked_and_for_administrators(gateway: RunningGateway) -> None:
    async with slack_bot(gateway.url) as slack:
        message = await answered(slack)
        slack.press(message, "p:delete", user="U0CROWD1")
        await slack.until(lambda: "Only the person who asked" in shown_everywhere(slack), "no")
        assert not message.deleted
        slack.press(message, "p:delete")
        await slack.until(lambda: message.deleted, "it to be gone")
        other = await answered(slack)
        slack.press(other, "p:delete", user=world.GRACE)
        await slack.until(lambda: other.deleted, "it to be gone")


async def test_all_messages_of_a_long_answer_are_deleted(gateway: RunningGateway) -> None:
    gateway.engine.words = ["word " * 600] * 9
    async with slack_bot(gateway.url) as slack:
        slack.command("/ask", "lincoln Tell me everything.")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "the end", seconds=30)
        assert len(slack.bot_messages) >= 2
        await slack.until(lambda: slack.bot_messages[-1].elements, "buttons")
        slack.press(slack.bot_messages[-1], "p:delete")
        await slack.until(lambda: all(m.deleted for m in slack.bot_messages), "all to be gone")


async def test_a_long_answer_is_deleted_whole_though_its_beginning_was_already(
    gateway: RunningGateway,
) -> None:
    gateway.engine.words = ["word " * 600] * 9
    async with slack_bot(gateway.url) as slack:
        slack.command("/ask", "lincoln Tell me everything.")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "the end", seconds=30)
        await slack.until(lambda: slack.bot_messages[-1].elements, "buttons")
        first, *others = slack.bot_messages
        slack.delete(first)
        assert others
        slack.press(others[-1], "p:delete")
        await slack.until(lambda: all(m.deleted for m in others), "all to be gone")


async def test_an_operator_writes_the_better_answer(gateway: RunningGateway) -> None:
    async with slack_bot(gateway.url, admin_key=gateway.admin_key) as slack:
        message = await answered(slack)
        slack.press(message, "p:sources")
        await slack.until(lambda: slack.private, "sources")
        assert "p:revise" not in [e["action_id"] for e in slack.private[-1].elements]
        slack.press(message, "p:sources", user=world.GRACE)
        await slack.until(lambda: len(slack.private) == 2, "sources")
        slack.press(slack.private[-1], "p:revise")
        await slack.until(lambda: slack.views, "a modal")
        assert "[lincoln@v1]" in slack.views[0].elements[0]["initial_value"]
        slack.submit(slack.views[0], {"revision": "A better answer."})
        await slack.until(lambda: "next training" in shown_everywhere(slack), "thanks")


async def test_a_draft_is_made_stronger_and_lighter_in_its_place_then_shared(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url) as slack:
        draft = await drafted(slack)
        for control in ("stronger", "lighter", "again"):
            states = len(draft.history)
            slack.press(draft, f"p:{control}")
            await slack.until(lambda n=states: len(draft.history) > n, control)  # type: ignore[misc]
        assert slack.bot_messages == []
        slack.press(draft, "p:copy")
        await slack.until(lambda: slack.views, "a modal")
        assert "[lincoln@v1]" in slack.views[0].elements[0]["initial_value"]
        slack.press(draft, "p:share")
        await slack.until(lambda: slack.bot_messages, "a public message")
        [public] = slack.bot_messages
        assert DISCLOSED in public.shown
        assert "ada" in public.shown
        assert "Difference" not in public.shown
        await slack.until(lambda: draft.shown == "Shared.", "the draft to be done with")
        slack.press(public, "p:delete")
        await slack.until(lambda: public.deleted, "it to be gone")


async def test_a_draft_is_shared_also_where_the_bot_is_no_member(gateway: RunningGateway) -> None:
    async with slack_bot(gateway.url) as slack:
        draft = await drafted(slack, channel=world.RANDOM)
        slack.press(draft, "p:share")
        await slack.until(lambda: draft.shown == "Shared.", "the draft to be done with")
        posted = [call for call in slack.calls if call.method == "chat.postMessage"]
        assert posted[-1].error == "not_in_channel"
        assert slack.bot_messages[0].channel == world.RANDOM
        assert DISCLOSED in slack.bot_messages[0].shown


async def test_the_same_press_delivered_twice_does_one_thing(gateway: RunningGateway) -> None:
    async with slack_bot(gateway.url) as slack:
        message = await answered(slack)
        slack.redeliver(slack.press(message, "p:again"))
        await slack.until(lambda: shown_everywhere(slack).count(DISCLOSED) == 2, "another try")
        await slack.until(lambda: all(d.acked for d in slack.deliveries), "acknowledgements")
        assert len(slack.bot_messages) == 2


async def test_buttons_work_after_a_restart(gateway: RunningGateway, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'bots.db'}"
    async with slack_bot(gateway.url, database_url=url) as slack:
        message = await answered(slack, "lincoln What must be done to keep the Union whole?")
        draft = await drafted(slack)
    again = FakeSlack(MANIFEST)
    async with slack_bot(gateway.url, slack=again, database_url=url):
        again.bot_messages.append(message)
        again.private.append(draft)
        again.press(message, "p:sources")
        await again.until(lambda: "https://example.org/1862" in again.private[-1].shown, "sources")
        again.press(message, "p:again")
        await again.until(lambda: len(again.bot_messages) == 2, "another try")
        await again.until(lambda: DISCLOSED in again.bot_messages[1].shown, "its end")
        again.press(message, "p:delete")
        await again.until(lambda: message.deleted, "it to be gone")


@pytest.mark.parametrize("ask", ["mention", "ask", "rewrite"])
async def test_an_answer_of_a_bot_that_died_ends_with_the_truth(
    gateway: RunningGateway, tmp_path: Path, ask: str
) -> None:
    """The state is as a killed process leaves it: an answer that never ended."""
    url = f"sqlite:///{tmp_path / 'bots.db'}"
    slack = FakeSlack(MANIFEST)
    with_message = Message(world.GENERAL, "1700000000.000007", None, [{"text": "…"}])
    reference = {"team": world.TEAM, "channel": world.GENERAL, "user": world.ADA}
    if ask == "rewrite":
        reference |= {"private": "yes"}
    else:
        reference |= {"messages": with_message.ts}
        with_message.streaming = ask == "mention"
        with_message.stream_until = float("inf")
        slack.bot_messages.append(with_message)
    async with State.open(url) as state:
        await state.begin_answer(
            AnswerRecord(
                id="dead",
                platform="slack",
                owner=f"slack:{world.TEAM}:{world.BOT_ID}",
                server=world.TEAM,
                channel=world.GENERAL,
                conversation="c",
                person_key=f"slack:{world.TEAM}:{world.ADA}",
                person_name="ada",
                task="rewrite" if ask == "rewrite" else "ask",
                persona="lincoln",
                question="What of the Union?",
                reference=reference,
                private=ask == "rewrite",
            )
        )
    async with slack_bot(gateway.url, slack=slack, database_url=url):
        expected = "was begun anew"
        if ask == "rewrite":
            expected = "was restarted while this was being answered"  # nobody may see it but ada
        await slack.until(lambda: expected in shown_everywhere(slack), "the answer, or the truth")


async def test_a_persona_speaks_under_its_own_name_where_the_workspace_wants_that(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url, admin_key=gateway.admin_key) as slack:
        slack.command("/personae", "names on", user=world.GRACE)
        await slack.until(lambda: "own names" in shown_everywhere(slack), "the setting")
        streamed = await answered(slack)
        assert streamed.author["username"] == "Abraham Lincoln (imitation)"
        slack.command("/ask", "roosevelt What of the forests?")
        await slack.until(lambda: len(slack.bot_messages) == 2, "an answer")
        assert slack.bot_messages[1].author["username"] == "Theodore Roosevelt (imitation)"
