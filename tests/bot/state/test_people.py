"""People choose, see what is kept of them, and have it deleted."""

from __future__ import annotations

import json

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.state.records import Forgotten, PersonRecord
from bot.state.store import State
from bot.state.tables import metadata
from tests.bot.state.conftest import NOON, an_answer, ended, said

ADA, BOB = "discord:ada", "discord:bob"
KEY = "discord:S:C:T"


async def test_choices_are_kept_until_they_are_the_defaults_again(state):
    assert await state.person(ADA) == PersonRecord(ADA, opted_out=False, locale=None)
    await state.set_opted_out(ADA, True)
    await state.set_locale(ADA, "de")
    assert await state.person(ADA) == PersonRecord(ADA, opted_out=True, locale="de")
    await state.set_opted_out(ADA, False)
    assert await state.person(ADA) == PersonRecord(ADA, opted_out=False, locale="de")
    await state.set_locale(ADA, None)
    assert ADA not in await everything(state)


async def test_somebody_forgotten_is_nowhere_any_more(state):
    await both_speak(state)
    forgotten = await state.forget_person(ADA)
    assert forgotten == Forgotten(answers=2, turns=1, ratings=3, usage=1, conversations=1)
    left = await everything(state)
    for trace in (ADA, "Ada", "Toronto", "question 1", "answer 1", "'a1'"):
        assert trace not in left, trace
    assert await state.forget_person(ADA) == Forgotten()


async def test_other_people_keep_what_is_theirs(state):
    await both_speak(state)
    await state.forget_person(ADA)
    bobs = await state.answer("a2")
    assert bobs is not None and (bobs.question, bobs.text) == ("And Ottawa?", "Four score …")
    assert bobs.history == []  # it held what Ada had said
    assert [turn.content for turn in await state.turns(KEY, limit=9)] == ["question 2", "answer 2"]
    assert await state.conversation(KEY) is not None
    assert (await state.usage_top("discord", "S", 0, 9))[0].key == BOB


async def test_an_answer_that_is_running_may_be_forgotten(state):
    await state.begin_answer(an_answer(1))
    await state.forget_person(ADA)
    await state.end_answer("a1", state="finished", text="Four score")
    assert await state.answer("a1") is None


async def test_opting_out_outlives_being_forgotten(state):
    await state.set_opted_out(ADA, True)
    await state.set_locale(ADA, "de")
    await state.forget_person(ADA)
    assert await state.person(ADA) == PersonRecord(ADA, opted_out=True, locale=None)


async def test_an_export_has_everything_of_theirs_and_nothing_of_others(state):
    await both_speak(state)
    await state.set_locale(ADA, "de")
    exported = json.loads(json.dumps(await state.export_person(ADA)))
    assert exported["person"] == {"key": ADA, "opted_out": False, "locale": "de"}
    assert [answer["question"] for answer in exported["answers"]] == ["What about Toronto?", ""]
    assert [turn["answer"] for turn in exported["turns"]] == ["answer 1"]
    assert [rating["answer_id"] for rating in exported["ratings"]] == ["a1", "a2"]
    assert [line["tokens"] for line in exported["usage"]] == [7]
    text = json.dumps(exported)
    for trace in (BOB, "Bob", "Ottawa", "question 2"):
        assert trace not in text, trace
    nothing = await state.export_person("discord:cyd")
    assert not any(nothing[part] for part in ("answers", "turns", "ratings", "usage"))


async def both_speak(state: State) -> None:
    """Ada and Bob speak in one thread and rate each other's answers; Ada also speaks with the bot alone."""
    theirs = [{"role": "user", "content": "What about Toronto?"}]
    await ended(state, an_answer(1))
    bobs = {"person_key": BOB, "person_name": "Bob", "question": "And Ottawa?"}
    await ended(state, an_answer(2, **bobs, history=theirs))
    await said(state, 1)
    await said(state, 2, person=BOB)
    for rated, by in (("a1", ADA), ("a1", BOB), ("a2", ADA), ("a2", BOB)):
        await state.note_rating(rated, by, "up")
    place = {"platform": "discord", "server": "S", "channel": "C"}
    await state.pin(KEY, **place, persona="lincoln", adapter_version="v2")
    for person in (ADA, BOB):
        await state.count_usage(
            platform="discord", server="S", person_key=person, requests=1, tokens=7
        )
    direct = "discord::D-ada:"
    await state.pin(
        direct, platform="discord", server=None, channel="D-ada", persona="pg", adapter_version="v1"
    )
    await ended(state, an_answer("1-direct", conversation=direct, server=None, channel="D-ada"))
    await said(state, "1-direct", key=direct)
    await state.forget_answer_turns("a1-direct")
    await state.delete_answer("a1-direct")
    assert state.clock() == NOON


async def everything(state: State) -> str:
    """All rows of all tables, as text."""

    async def work(connection: AsyncConnection) -> str:
        rows = []
        for table in metadata.sorted_tables:
            rows += [(table.name, *row) for row in await connection.execute(sa.select(table))]
        return "\n".join(map(str, rows))

    return await state._database.read(work)
