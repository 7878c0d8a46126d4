"""An order on its way: answered once, shown as it grows, ended truly."""

from __future__ import annotations

from bot.core.desk import Desk
from bot.state.store import State
from tests.bot.core.bench import (
    CHANNEL,
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
    assert record.prompt_fingerprint and record.request_id and record.reference == {
        "messages": "message-1"
    }
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
    assert CHANNEL.server is not None
