"""An answer is written down from its question to its one end; those of processes that are gone are found."""

from __future__ import annotations

import asyncio
import dataclasses
import subprocess
import sys

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.state.records import AnswerRecord
from bot.state.store import State
from bot.state.tables import processes
from tests.bot.state.conftest import NOON, an_answer, ended, said

NOBODY = "a process that nobody knows"


async def test_an_answer_comes_back_as_it_was_given(state):
    record = an_answer(
        1,
        task="rewrite",
        strength="strong",
        private=True,
        instead_of="a0",
        history=[{"role": "user", "content": "Hm \ud800?"}],
        extra={"token_of_nothing": "x"},
        locale="de",
    )
    await state.begin_answer(record)
    begun = dataclasses.replace(record, process=state.process, begun_at=NOON)
    assert await state.answer("a1") == begun
    assert await state.answer("a2") is None


async def test_an_answer_is_placed_and_ends(state, clock):
    await state.begin_answer(an_answer(1))
    await state.place_answer("a1", {"message": "77"})
    clock.now += 3
    await state.end_answer(
        "a1",
        state="stopped",
        text="Four score",
        persona="lincoln",
        adapter_version="v2",
        base_model="smollm2-135m",
        prompt_fingerprint="f1",
        request_id="r1",
        citations=[{"title": "Address"}],
    )
    found = await state.answer("a1")
    assert found == an_answer(
        1,
        process=state.process,
        begun_at=NOON,
        ended_at=NOON + 3,
        reference={"message": "77"},
        state="stopped",
        text="Four score",
        adapter_version="v2",
        base_model="smollm2-135m",
        prompt_fingerprint="f1",
        request_id="r1",
        citations=[{"title": "Address"}],
    )


async def test_an_answer_ends_once(state):
    await ended(state, an_answer(1))
    await state.end_answer("a1", state="failed", text="too late")
    found = await state.answer("a1")
    assert found is not None and (found.state, found.text) == ("finished", "Four score …")


async def test_a_deleted_answer_keeps_its_id_and_loses_its_words(state):
    await state.begin_answer(an_answer(1, history=[{"role": "user", "content": "x"}]))
    await said(state, 1)
    await state.note_rating("a1", "discord:ada", "up")
    await state.delete_answer("a1")
    await state.end_answer("a1", state="finished", text="too late")
    await state.place_answer("a1", {"message": "77"})
    found = await state.answer("a1")
    assert found is not None and found.state == "deleted" and found.ended_at == NOON
    assert (found.question, found.text, found.history, found.reference, found.person_name) == (
        "", "", [], {}, ""
    )  # fmt: skip
    assert found.rating is None
    assert await state.turns("discord:S:C:T", limit=9) == []


async def test_words_that_may_not_be_kept_are_never_written_down(state):
    theirs = [{"role": "user", "content": "x"}]
    await state.begin_answer(an_answer(1, history=theirs), keep=False)
    begun = await state.answer("a1")
    assert begun is not None and begun.state == "open"
    assert (begun.question, begun.history, begun.person_name) == ("", [], "")
    await state.end_answer("a1", state="finished", text="Four score", citations=[{"title": "A"}])
    found = await state.answer("a1")
    assert found is not None and found.state == "finished" and found.person_key == "discord:ada"
    assert (found.question, found.text, found.history, found.citations, found.person_name) == (
        "", "", [], [], ""
    )  # fmt: skip


async def test_everybody_rates_for_themselves(state):
    await ended(state, an_answer(1))
    await state.note_rating("a1", "discord:bob", "down")
    assert (await state.answer("a1")).rating is None
    await state.note_rating("a1", "discord:ada", "down")
    await state.note_rating("a1", "discord:ada", "up")
    assert (await state.answer("a1")).rating == "up"
    assert await state.rating("a1", "discord:bob") == "down"
    await state.note_rating("a1", "discord:ada", None)
    assert (await state.answer("a1")).rating is None
    assert await state.rating("a1", "discord:ada") is None


async def test_answers_left_open_are_handed_to_one_caller(state, state_url, clock):
    await state.begin_answer(an_answer(1, process=NOBODY))
    await state.begin_answer(an_answer(2, process=NOBODY, begun_at=NOON - 1))
    await state.begin_answer(an_answer(3, process=NOBODY, owner="another app"))
    await state.begin_answer(an_answer(4, process=NOBODY, platform="slack"))
    await ended(state, an_answer(5, process=NOBODY))
    await state.begin_answer(an_answer(6))
    async with State.open(state_url, clock=clock) as other:
        found = await asyncio.gather(*(s.open_answers("discord", "app") for s in (state, other)))
        handed = [record for records in found for record in records]
        assert [record.id for record in handed] == ["a2", "a1"]
        assert {record.process for record in handed} <= {state.process, other.process}


async def test_an_answer_of_a_process_that_is_there_is_left_alone(state, state_url, clock):
    async with State.open(state_url, clock=clock) as other:
        await other.begin_answer(an_answer(1))
        assert await state.open_answers("discord", "app") == []
    assert [record.id for record in await state.open_answers("discord", "app")] == ["a1"]
    assert await state.open_answers("discord", "app") == []


async def test_a_process_elsewhere_is_gone_when_it_is_silent(state, clock):
    await _another_process(state, host="elsewhere", pid=1)
    await state.begin_answer(an_answer(1, process="other"))
    clock.now += 59
    assert await state.open_answers("discord", "app") == []
    clock.now += 2
    assert len(await state.open_answers("discord", "app")) == 1


async def test_a_process_killed_on_this_machine_is_gone_at_once(state_url, clock):
    """Another program begins an answer and is killed before it could say anything."""
    program = (
        "import asyncio, os, sys\n"
        "from bot.state.store import State\n"
        "from tests.bot.state.conftest import an_answer, Clock\n"
        "async def main():\n"
        "    async with State.open(sys.argv[1], clock=Clock()) as state:\n"
        "        await state.begin_answer(an_answer(1))\n"
        "        os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    killed = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program, state_url], check=False
    )
    assert killed.returncode == -9
    async with State.open(state_url, clock=clock) as state:
        assert [record.id for record in await state.open_answers("discord", "app")] == ["a1"]


async def _another_process(state: State, *, host: str, pid: int) -> None:
    row = {"id": "other", "host": host, "pid": pid, "seen_at": state.clock()}

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(sa.insert(processes).values(row))

    await state._database.write(work)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(AnswerRecord)])
async def test_every_field_of_an_answer_has_a_column(field):
    from bot.state.tables import answers

    assert field == "rating" or field in answers.c
