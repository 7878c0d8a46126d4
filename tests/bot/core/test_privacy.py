"""People who keep nothing, want to be forgotten, or want to see what is kept."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from bot.core.desk import Desk
from bot.core.sentences import speaker
from bot.state.store import State
from personae.feedback_wire import FeedbackKept
from personae.wire import Delta
from tests.bot.core.bench import (
    ALICE,
    BOB,
    META,
    THREAD,
    RecordedSurface,
    ScriptedGateway,
    ask,
    rewrite,
    running_desk,
    scripted_gateway,
)

say = speaker("en")


async def asked(desk: Desk, text: str = "Why?", **changes: object) -> RecordedSurface:
    surface = RecordedSurface()
    values: dict[str, object] = {"place": THREAD, "remembers": True} | changes
    await desk.answer(ask(text, **values), surface)
    return surface


async def test_who_opted_out_leaves_no_words(
    desk: Desk, script: ScriptedGateway, state: State
) -> None:
    await asked(desk, "Of Bob", person=BOB)
    assert await desk.opt_out(ALICE, True) == say("opted-out")
    surface = await asked(desk, "A secret")
    assert surface.last.controls == ("delete",) and surface.last.footnotes
    assert script.asked[1]["history"] == []
    assert [asked["keep"] for asked in script.asked] == [True, False]
    record = await state.answer(surface.last.answer_id)
    assert record is not None and record.state == "finished"
    assert (record.question, record.text, record.citations, record.details) == ("", "", [], {})
    assert len(await state.turns(THREAD.conversation, limit=9)) == 2, "Bob's only"
    assert (await desk.sources(record.id, ALICE)).text == say("nothing-kept")
    assert await desk.may_delete(record.id, ALICE)
    assert await desk.rate(record.id, BOB, "up") == say("rating-not-kept")
    draft = RecordedSurface()
    await desk.answer(rewrite("We may.", persona="lincoln"), draft)
    assert draft.last.controls == () and draft.last.difference
    assert await desk.opt_out(ALICE, False) == say("opted-in")
    assert "up" in (await asked(desk)).last.controls


async def test_forgetting_goes_here_and_at_the_gateway(
    desk: Desk, script: ScriptedGateway, state: State
) -> None:
    surface = await asked(desk)
    await asked(desk, person=BOB)
    told = await desk.forget(ALICE)
    assert told.startswith("Forgotten: one answer, ") and "0 ratings" in told
    assert script.fed == [
        {"path": "/v1/feedback/forget", "user": "discord:alice", "surface": "discord"}
    ]
    assert await state.answer(surface.last.answer_id) is None
    assert len(await state.turns(THREAD.conversation, limit=9)) == 2
    exported = await desk.export(ALICE)
    assert "Why?" not in str(exported)
    script.kept = [
        FeedbackKept(
            at="", persona="lincoln", adapter_version="v1", question="", answer="", rating="up"
        ).model_dump()
    ]
    theirs = await desk.export(BOB)
    assert "Why?" in str(theirs) and theirs["feedback"][0]["rating"] == "up"


async def test_an_export_without_the_gateway_holds_the_rest_and_says_what_is_missing(
    state: State,
) -> None:
    async with scripted_gateway() as gateway:
        url = gateway.url
    async with running_desk(url, state) as desk:
        exported = await desk.export(ALICE)
    assert "feedback" not in exported and exported["feedback_error"] and "error" not in exported


async def test_who_is_forgotten_while_answered_is_forgotten_after_it(
    desk: Desk, script: ScriptedGateway, state: State
) -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    script.script = [META, Delta(text="We must"), forever]
    surface = RecordedSurface()
    task = asyncio.create_task(desk.answer(ask(place=THREAD, remembers=True), surface))
    await surface.until(lambda view: view.phase == "growing")
    assert "one answer" in await desk.forget(ALICE)
    assert (await task).outcome == "stopped"
    assert await state.turns(THREAD.conversation, limit=9) == []


async def test_a_gateway_that_is_away_is_told(state: State) -> None:
    async with scripted_gateway() as gateway:
        url = gateway.url
    async with running_desk(url, state) as desk:
        assert await desk.forget(ALICE) == say("forgotten-but-feedback")


async def test_a_chosen_language_goes_before_the_platforms(desk: Desk, state: State) -> None:
    await state.set_locale(ALICE.key, "de")
    surface = RecordedSurface()
    await desk.answer(ask(" ", person=replace(ALICE, locale="en-US")), surface)
    assert surface.text == speaker("de")("empty-question")


async def test_people_choose_their_language_and_take_it_back(desk: Desk) -> None:
    german = speaker("de")
    assert await desk.set_language(ALICE, "de") == german("language-chosen")
    assert (await desk.say(ALICE)).locale == "de"
    assert "en, de, auto" in await desk.set_language(ALICE, "fr")
    assert await desk.set_language(ALICE, "auto") == say("language-chosen")
    assert (await desk.say(ALICE)).locale == "en"
