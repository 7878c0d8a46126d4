"""An order on its way: answered once, shown as it grows, ended truly."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bot.core.desk import Desk
from bot.core.sentences import speaker
from bot.core.surface import View
from bot.state.records import AnswerRecord
from bot.state.store import State
from personae.errors import DiskFull
from tests.bot.core.bench import (
    ALICE,
    DISCLOSURE,
    RecordedSurface,
    ScriptedGateway,
    ask,
    rewrite,
    running_desk,
)
from tests.conftest import RunningGateway


async def test_an_answer_of_the_real_gateway_grows_and_ends_with_its_disclosure(
    gateway: RunningGateway, state: State
) -> None:
    gateway.engine.words = [f"word{number} " for number in range(20)]
    gateway.engine.seconds_between = 0.03
    surface = RecordedSurface()
    async with running_desk(gateway.url, state) as desk:
        result = await desk.answer(ask(shows_question=True), surface)
        record = await desk.record(result.id)
    assert result.outcome == "finished" and record is not None
    texts = [view.text for view in surface.shown]
    assert len(texts) >= 3 and "word19" in texts[-1]
    assert all(view.controls == ("stop",) for view in surface.shown[:-1])
    last = surface.last
    assert last.phase == "finished" and last.answer_id == result.id and result.id.isalnum()
    assert last.heading == "Alice asked Abraham Lincoln: How is the Union kept whole?"
    assert last.footnotes[-1].startswith("— An imitation of Abraham Lincoln")
    assert last.controls == ("up", "down", "again", "other", "sources", "delete")
    assert last.sources and not last.private and last.speaker is None
    assert surface.waits == surface.closes == 1
    assert (record.state, record.persona, record.adapter_version) == ("finished", "lincoln", "v1")
    assert (
        record.prompt_fingerprint
        and record.request_id
        and record.reference == {"messages": "message-1"}
    )
    assert record.citations[0]["passage"]


async def test_an_event_that_comes_twice_is_answered_once(
    desk: Desk, script: ScriptedGateway
) -> None:
    order = ask()
    first, second = RecordedSurface(), RecordedSurface()
    assert (await desk.answer(order, first)).outcome == "finished"
    assert (await desk.answer(order, second)).outcome == "duplicate"
    assert len(script.asked) == 1 and second.shown == [] and second.closes == 1


async def test_a_rewrite_is_a_private_draft_with_its_difference(
    desk: Desk, script: ScriptedGateway
) -> None:
    surface = RecordedSurface()
    await desk.answer(rewrite("We must act anew.", persona="lincoln"), surface)
    assert surface.last.private and surface.last.difference == "We must ~~act~~ **think** anew."
    assert surface.last.controls == ("share", "copy", "again", "lighter", "stronger")
    assert surface.last.footnotes == [f"— {DISCLOSURE}"]
    assert script.asked[0]["strength"] == "normal"


async def test_a_button_pressed_as_the_end_appears_finds_the_answer(
    desk: Desk, script: ScriptedGateway
) -> None:
    """The last view is seen a moment before the state knows the end; who presses then is let wait."""
    pressed: list[asyncio.Task[str]] = []

    class Quick(RecordedSurface):
        async def show(self, view: View) -> None:
            await super().show(view)
            if view.ended:
                pressed.append(asyncio.create_task(desk.rate(view.answer_id, ALICE, "up")))
                await asyncio.sleep(0.01)

    await desk.answer(ask(), Quick())
    assert await pressed[0] == speaker("en")("rated-up")
    assert script.fed[0]["answer"] == "We must think anew."


class FailingState(State):
    """A database that fails from a certain call on."""

    fails: frozenset[str] = frozenset()

    async def claim(self, key: str) -> bool:
        self._fail("claim")
        return await super().claim(key)

    async def begin_answer(self, record: AnswerRecord, *, keep: bool = True) -> None:
        self._fail("begin")
        await super().begin_answer(record, keep=keep)

    async def place_answer(self, answer_id: str, reference: dict[str, Any]) -> None:
        self._fail("place")
        await super().place_answer(answer_id, reference)

    async def end_answer(self, answer_id: str, **ended: Any) -> None:
        self._fail("end")
        await super().end_answer(answer_id, **ended)

    def _fail(self, name: str) -> None:
        if name in self.fails:
            raise DiskFull("The disk that holds the bots' state is full.")


@pytest.mark.parametrize("call", ["claim", "begin"])
async def test_a_state_that_fails_at_the_start_is_a_sentence(
    script: ScriptedGateway, tmp_path: Path, call: str
) -> None:
    surface = RecordedSurface()
    async with FailingState.open(f"sqlite:///{tmp_path / 'other.db'}") as state:
        state.fails = frozenset({call})  # type: ignore[attr-defined]
        async with running_desk(script.url, state) as desk:
            assert (await desk.answer(ask(), surface)).outcome == "refused"
    assert surface.text == "The disk that holds the bots' state is full." and surface.last.private
    assert script.asked == []


async def test_a_state_that_fails_later_takes_no_answer_away(
    script: ScriptedGateway, tmp_path: Path
) -> None:
    surface = RecordedSurface()
    async with FailingState.open(f"sqlite:///{tmp_path / 'other.db'}") as state:
        state.fails = frozenset({"place", "end"})  # type: ignore[attr-defined]
        async with running_desk(script.url, state) as desk:
            assert (await desk.answer(ask(), surface)).outcome == "finished"
    assert surface.text == "We must think anew." and surface.last.footnotes
