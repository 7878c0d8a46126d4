"""A conversation holds on to its persona and its version, and remembers a bounded number of turns."""

from __future__ import annotations

import asyncio

from bot.state.records import Conversation, Turn
from tests.bot.state.conftest import NOON, said

KEY = "discord:S:C:T"
PLACE = {"platform": "discord", "server": "S", "channel": "C"}


async def test_a_pin_is_set_changed_and_taken_out(state, clock):
    assert await state.conversation(KEY) is None
    await state.pin(KEY, **PLACE, persona="lincoln", adapter_version="v2")
    pinned = Conversation(KEY, "discord", "S", "C", "lincoln", "v2", NOON)
    assert await state.conversation(KEY) == pinned
    clock.now += 5
    await state.pin(KEY, **PLACE, persona="roosevelt", adapter_version=None)
    changed = Conversation(KEY, "discord", "S", "C", "roosevelt", None, NOON + 5)
    assert await state.conversation(KEY) == changed
    await state.unpin(KEY)
    assert await state.conversation(KEY) is None


async def test_a_direct_message_has_no_server(state):
    await state.pin(
        "discord::D:",
        platform="discord",
        server=None,
        channel="D",
        persona="pg",
        adapter_version="v0",
    )
    pinned = await state.conversation("discord::D:")
    assert pinned is not None and (pinned.server, pinned.adapter_version) == (None, "v0")


async def test_turns_come_oldest_first_and_the_newest_of_them(state):
    for number in (1, 2, 3):
        await said(state, number)
    assert await state.turns(KEY, limit=3) == [
        Turn("assistant", "answer 2"),
        Turn("user", "question 3"),
        Turn("assistant", "answer 3"),
    ]
    assert len(await state.turns(KEY, limit=50)) == 6
    assert await state.turns("discord:S:C:", limit=50) == []


async def test_the_oldest_turns_go_beyond_the_bound(state):
    await said(state, 0, key="discord:S:C:other")
    for number in range(5):
        await said(state, number, most_turns=4)
    kept = [turn.content for turn in await state.turns(KEY, limit=50)]
    assert kept == ["question 3", "answer 3", "question 4", "answer 4"]
    assert len(await state.turns("discord:S:C:other", limit=50)) == 2


async def test_turns_may_be_too_old(state, clock):
    await said(state, 1)
    clock.now += 100
    await said(state, 2)
    recent = await state.turns(KEY, limit=50, not_before=clock.now - 50)
    assert [turn.content for turn in recent] == ["question 2", "answer 2"]


async def test_a_question_stays_beside_its_answer(state):
    await asyncio.gather(*(said(state, number) for number in range(6)))
    contents = [turn.content for turn in await state.turns(KEY, limit=50)]
    for question, answer in zip(contents[::2], contents[1::2], strict=True):
        assert question.replace("question", "answer") == answer


async def test_saying_something_keeps_a_pin_alive(state, clock):
    await state.pin(KEY, **PLACE, persona="lincoln", adapter_version="v2")
    clock.now += 60
    await said(state, 1)
    pinned = await state.conversation(KEY)
    assert pinned is not None and pinned.updated_at == NOON + 60


async def test_turns_are_forgotten_by_conversation_and_by_answer(state):
    await state.pin(KEY, **PLACE, persona="lincoln", adapter_version="v2")
    await said(state, 1)
    await said(state, 2)
    await state.forget_answer_turns("a1")
    assert [turn.content for turn in await state.turns(KEY, limit=9)] == ["question 2", "answer 2"]
    await state.forget_turns(KEY)
    assert await state.turns(KEY, limit=9) == []
    assert await state.conversation(KEY) is not None


async def test_nothing_is_remembered_of_an_answer_that_is_deleted_or_forgotten(state):
    await said(state, 1)
    await state.delete_answer("a1")
    await said(state, 1)
    assert await state.turns(KEY, limit=9) == []
    await state.forget_person("discord:ada")
    words = {"question": "late", "answer": "later", "answer_id": "a1", "most_turns": 12}
    await state.remember(KEY, person_key="discord:ada", **words)
    assert await state.turns(KEY, limit=9) == []


async def test_what_no_database_can_hold_is_left_out(state):
    await said(state, 1, question="a\0b\ud800c 🎩 ü", answer="‮")
    kept = [turn.content for turn in await state.turns(KEY, limit=9)]
    assert kept == ["ab?c 🎩 ü", "‮"]
