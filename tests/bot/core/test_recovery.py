"""Answers that a crash cut off: another desk over the same state begins them anew, or ends them truly."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.core.desk import Desk
from bot.core.policy import Limit, PolicySettings
from bot.core.sentences import speaker
from bot.core.surface import Surface
from bot.state.records import AnswerRecord
from bot.state.store import State
from tests.bot.core.bench import (
    ALICE,
    CHANNEL,
    THREAD,
    FakeClock,
    RecordedSurface,
    ScriptedGateway,
    ask,
    event,
    running_desk,
    said,
)

say = speaker("en")
LONG = 3600.0


def left(answer_id: str, **changes: object) -> AnswerRecord:
    """What a process that is gone has left of an answer."""
    values: dict[str, object] = {
        "id": answer_id,
        "platform": "discord",
        "owner": "app",
        "channel": "general",
        "server": "guild",
        "conversation": THREAD.conversation,
        "person_key": ALICE.key,
        "person_name": "Alice",
        "task": "ask",
        "persona": "lincoln",
        "question": "Why?",
        "process": "a process that is gone",
        "reference": {"messages": f"message-of-{answer_id}"},
    }
    return AnswerRecord(**(values | changes))  # type: ignore[arg-type]


async def test_each_is_begun_anew_once_and_people_are_told(
    desk: Desk, state: State, script: ScriptedGateway
) -> None:
    script.script = said("By law.")
    for record in (left("one"), left("two", locale="de"), left("three", owner="another app")):
        await state.begin_answer(record)
    found: dict[str, RecordedSurface] = {}

    async def reopen(record: AnswerRecord) -> Surface:
        found[record.reference["messages"]] = surface = RecordedSurface()
        return surface

    assert await desk.recover(reopen) == 2
    assert sorted(found) == ["message-of-one", "message-of-two"]
    english, german = found["message-of-one"], found["message-of-two"]
    assert english.text == german.text == "By law." and english.closes == german.closes == 1
    assert say("begun-anew") in english.last.footnotes
    assert speaker("de")("begun-anew") in german.last.footnotes
    assert [asked["question"] for asked in script.asked] == ["Why?", "Why?"]
    assert script.asked[0]["user"] == ALICE.key
    first = await state.answer("one")
    assert first is not None and first.state == "failed"
    assert await desk.recover(reopen) == 0


async def test_a_question_is_counted_once_though_it_is_answered_twice(
    script: ScriptedGateway, state: State
) -> None:
    policy = PolicySettings(answers_at_once=5, person=Limit(requests=1))
    async with running_desk(script.url, state, policy=policy) as desk:
        assert (await desk.answer(ask(), RecordedSurface())).outcome == "finished"
        await state.begin_answer(left("one"))
        surface = RecordedSurface()

        async def reopen(_record: AnswerRecord) -> Surface:
            return surface

        await desk.recover(reopen)
        assert surface.last.phase == "finished"


@pytest.mark.parametrize(
    "changes",
    [
        {"extra": {"desk.recovered": "1"}},  # it may be what kills the bot
        {"begun_at": 1.0},  # nobody waits for it any more
        {"private": True},
        {"person_key": "discord-of-before:alice"},
    ],
)
async def test_what_is_not_begun_anew_is_told_and_can_be_asked_again(
    desk: Desk, state: State, script: ScriptedGateway, changes: dict[str, object]
) -> None:
    await state.begin_answer(left("one", **changes))
    surface = RecordedSurface()

    async def reopen(_record: AnswerRecord) -> Surface:
        return surface

    assert await desk.recover(reopen) == 1
    assert surface.text == say("was-restarted") and surface.last.controls == ("again",)
    assert script.asked == [] and surface.closes == 1


async def test_where_no_gateway_answers_each_is_told_and_can_be_asked_again(
    state: State, script: ScriptedGateway
) -> None:
    await state.begin_answer(left("one"))
    await state.begin_answer(left("two", locale="de"))
    found: dict[str, RecordedSurface] = {}

    async def reopen(record: AnswerRecord) -> Surface:
        found[record.reference["messages"]] = surface = RecordedSurface()
        return surface

    async with running_desk("http://127.0.0.1:9", state) as away:
        assert await away.recover(reopen) == 2
        english, german = found["message-of-one"], found["message-of-two"]
        assert english.text == say("was-restarted") and english.last.controls == ("again",)
        assert german.text.startswith("Der Bot wurde neu gestartet") and german.closes == 1
        assert await away.recover(reopen) == 0
    retried = RecordedSurface()
    async with running_desk(script.url, state) as desk:
        result = await desk.again("one", ALICE, CHANNEL, event(), retried)
    assert result.outcome == "finished" and script.asked[0]["question"] == "Why?"


async def test_what_a_platform_can_not_reopen_is_ended_all_the_same(
    desk: Desk, state: State
) -> None:
    await state.begin_answer(left("gone"))
    await state.begin_answer(left("raises"))
    await state.begin_answer(left("hangs up"))

    async def reopen(record: AnswerRecord) -> Surface | None:
        if record.id == "raises":
            raise ConnectionError("the platform is away")
        return None if record.id == "gone" else RecordedSurface(refuses_ends=True)

    assert await desk.recover(reopen) == 3
    for answer_id in ("gone", "raises", "hangs up"):
        record = await state.answer(answer_id)
        assert record is not None and record.state == "failed"


async def test_a_person_who_keeps_nothing_gets_no_button(desk: Desk, state: State) -> None:
    await state.begin_answer(left("blank"), keep=False)
    surface = RecordedSurface()

    async def reopen(_record: AnswerRecord) -> Surface:
        return surface

    await desk.recover(reopen)
    assert surface.text == say("was-restarted-plain") and surface.last.controls == ()


async def test_running_answers_of_this_process_are_left_alone(
    desk: Desk, script: ScriptedGateway
) -> None:
    surface, opened = RecordedSurface(), []

    async def look() -> None:
        await surface.until(lambda view: view.phase == "growing")

        async def reopen(record: AnswerRecord) -> Surface | None:
            opened.append(record)
            return None

        assert await desk.recover(reopen) == 0

    script.script = [*script.script[:2], look, *script.script[2:]]
    assert (await desk.answer(ask(), surface)).outcome == "finished"
    assert opened == []


async def test_a_bot_that_dies_with_its_machine(
    script: ScriptedGateway, tmp_path: Path, clock: FakeClock
) -> None:
    """One desk is cut off without a word; another takes over once its process counts as gone."""
    url = f"sqlite:///{tmp_path / 'bots.db'}"

    async def forever() -> None:
        await asyncio.Event().wait()

    script.script = [*script.script[:2], forever]
    surface = RecordedSurface()
    async with State.open(url, clock=clock) as first, running_desk(script.url, first) as desk:
        task = asyncio.create_task(desk.answer(ask(), surface))
        await surface.until(lambda view: view.phase == "growing")
        async with (
            State.open(url, clock=clock) as second,
            running_desk(script.url, second) as other,
        ):
            shown: list[RecordedSurface] = []

            async def reopen(_record: AnswerRecord) -> Surface:
                shown.append(RecordedSurface())
                return shown[-1]

            assert await other.recover(reopen) == 0, "the first one lives"
            script.script = said("By law.")
            await first._say_gone()
            assert await other.recover(reopen) == 1
            assert shown[0].text == "By law."
        task.cancel()
        await asyncio.wait({task})


async def test_a_deleted_or_ended_record_stays_as_it_is(desk: Desk, state: State) -> None:
    await state.begin_answer(left("deleted"))
    await desk.deleted("deleted")

    async def reopen(_record: AnswerRecord) -> Surface | None:
        raise AssertionError("nothing is open")

    assert await desk.recover(reopen) == 0
