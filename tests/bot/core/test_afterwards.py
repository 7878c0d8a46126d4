"""What people do with an answer: rate it, try again, look at sources, share, delete, revise."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bot.core.desk import Desk
from bot.core.people import Person
from bot.core.policy import PolicySettings
from bot.core.sentences import speaker
from bot.state.store import State
from personae.wire import Done, Meta
from tests.bot.core.bench import (
    ALICE,
    BOB,
    CARD,
    CHANNEL,
    DISCLOSURE,
    DONE,
    META,
    MOD,
    SERVER,
    RecordedSurface,
    ScriptedGateway,
    ask,
    event,
    rewrite,
    running_desk,
    said,
)
from tests.conftest import RunningGateway

say = speaker("en")


async def answered(desk: Desk, **changes: object) -> str:
    result = await desk.answer(ask(**changes), RecordedSurface())
    assert result.outcome == "finished"
    return result.id


async def drafted(desk: Desk, **changes: object) -> str:
    values: dict[str, object] = {"persona": "lincoln"} | changes
    return (await desk.answer(rewrite(**values), RecordedSurface())).id


async def again(
    desk: Desk, answer_id: str, person: Person = ALICE, **changes: object
) -> RecordedSurface:
    surface = RecordedSurface()
    await desk.again(answer_id, person, CHANNEL, event(), surface, **changes)  # type: ignore[arg-type]
    return surface


def meta(request_id: str) -> Meta:
    return META.model_copy(update={"request_id": request_id})


async def test_a_reason_is_not_lost_to_the_bare_rating_before_it(
    desk: Desk, script: ScriptedGateway
) -> None:
    answer_id = await answered(desk)
    script.slow = [0.3]
    pressed = asyncio.create_task(desk.rate(answer_id, BOB, "down"))
    await asyncio.sleep(0)
    await desk.rate(answer_id, BOB, "down", "It never answered me.")
    await pressed
    assert [told["reason"] for told in script.fed] == ["", "It never answered me."]


async def test_a_rating_tells_the_gateway_how_the_answer_was_made(
    desk: Desk, script: ScriptedGateway, state: State
) -> None:
    answer_id = await answered(desk)
    assert await desk.rate(answer_id, BOB, "up", " Well said. ") == say("rated-up")
    told = script.fed[0]
    assert told | {"history": []} == {
        "path": "/v1/feedback",
        "request_id": "request-1",
        "persona": "lincoln",
        "task": "ask",
        "adapter_version": "v1",
        "base_model": "smollm2-135m",
        "prompt_fingerprint": "fingerprint",
        "voice": "persona",
        "strength": "normal",
        "quoted": False,
        "question": "How is the Union kept whole?",
        "history": [],
        "answer": "We must think anew.",
        "passages": ["passage-1", "passage-2"],
        "rating": "up",
        "reason": "Well said.",
        "rejected": "",
        "user": "discord:bob",
        "asked_by": "discord:alice",
        "surface": "discord",
    }
    assert await state.rating(answer_id, BOB.key) == "up"
    assert await desk.rate(answer_id, BOB, "down") == say("rated-down")
    assert await desk.rate(answer_id, BOB, None) == say("rated-withdrawn")
    assert script.fed[-1]["rating"] is None and await state.rating(answer_id, BOB.key) is None


async def test_the_real_gateway_takes_ratings_and_revisions(
    gateway: RunningGateway, state: State
) -> None:
    async with running_desk(gateway.url, state) as desk:
        answer_id = await answered(desk)
        assert await desk.rate(answer_id, ALICE, "up") == say("rated-up")
        assert (await desk.revise(answer_id, MOD, "Better.")).startswith("Thank you")
        [version] = (await desk.gateway.feedback_summary("lincoln")).versions
        assert (version.adapter_version, version.up, version.revisions) == ("v1", 1, 1)
        assert "one answer" in await desk.forget(ALICE)
        assert (await desk.gateway.feedback_summary("lincoln")).versions == []


async def test_what_can_not_be_rated_says_why(
    desk: Desk, script: ScriptedGateway, state: State
) -> None:
    assert await desk.rate("unknown", ALICE, "up") == say("answer-gone")
    script.script = [META.model_copy(update={"citations": []}), DONE]
    silent = await answered(desk)
    assert await desk.rate(silent, ALICE, "up") == say("cant-rate")
    script.script = said("We must.")
    answer_id = await answered(desk)
    await desk.opt_out(BOB, True)
    assert await desk.rate(answer_id, BOB, "up") == say("rating-opted-out")
    assert script.fed == []


async def test_a_good_second_try_makes_a_pair_with_the_first(
    desk: Desk, script: ScriptedGateway
) -> None:
    first = await answered(desk)
    script.script = [meta("request-2"), *said("We shall.")[1:]]
    surface = await again(desk, first)
    assert (
        surface.text == "We shall." and script.asked[0]["question"] == script.asked[1]["question"]
    )
    second = surface.last.answer_id
    record = await desk.record(second)
    assert record is not None and record.instead_of == first
    await desk.rate(second, ALICE, "up")
    assert script.fed[-1]["rejected"] == "We must think anew."
    await desk.rate(second, ALICE, "down")
    assert script.fed[-1]["rejected"] == ""


async def test_another_personas_answer_makes_no_pair(desk: Desk, script: ScriptedGateway) -> None:
    script.cards = [CARD, CARD.model_copy(update={"id": "roosevelt", "display_name": "Theodore"})]
    first = await answered(desk)
    script.script = [meta("request-2"), *said("We shall.")[1:]]
    surface = await again(desk, first, persona="roosevelt")
    await desk.rate(surface.last.answer_id, ALICE, "up")
    assert script.asked[1]["persona"] == "roosevelt" and script.fed[-1]["rejected"] == ""


async def test_again_is_for_who_asked_and_moderators(
    desk: Desk, script: ScriptedGateway, state: State
) -> None:
    answer_id = await answered(desk, shows_question=True, extra={"message": "7"})
    refused = await again(desk, answer_id, BOB)
    assert refused.text == say("only-author-or-manager") and refused.last.private
    assert (await again(desk, "unknown")).text == say("answer-gone")
    by_moderator = await again(desk, answer_id, MOD)
    assert by_moderator.text == "We must think anew."
    record = await desk.record(by_moderator.last.answer_id)
    assert record is not None and record.person_key == ALICE.key, "the question stays hers"
    assert by_moderator.last.heading.startswith("Mo asked") and record.extra["message"] == "7"
    draft = await drafted(desk)
    assert (await again(desk, draft, MOD)).text == say("only-author")
    await state.set_setting("discord", SERVER, "", "admin_roles", ["helpers"])
    helper = replace(BOB, roles=frozenset({"helpers"}))
    assert (await again(desk, answer_id, helper)).text == "We must think anew."


async def test_again_of_a_failed_answer(desk: Desk, script: ScriptedGateway) -> None:
    script.script = [META]
    surface = RecordedSurface()
    result = await desk.answer(ask(), surface)
    assert result.outcome == "failed" and "again" in surface.last.controls
    script.script = said("We must.")
    assert (await again(desk, result.id)).text == "We must."


@pytest.mark.parametrize(
    ("wanted", "sent", "offered"),
    [
        ("lighter", "light", {"stronger"}),
        ("stronger", "strong", {"lighter"}),
        ("strong", "strong", {"lighter"}),
        (None, "normal", {"lighter", "stronger"}),
    ],
)
async def test_a_draft_in_another_strength(
    desk: Desk, script: ScriptedGateway, wanted: str | None, sent: str, offered: set[str]
) -> None:
    draft = await drafted(desk)
    surface = await again(desk, draft, strength=wanted)
    assert script.asked[-1]["strength"] == sent and surface.last.private
    assert offered == {"lighter", "stronger"} & set(surface.last.controls)


async def test_a_draft_is_shared_by_its_author_only(
    desk: Desk, state: State, script: ScriptedGateway
) -> None:
    draft = await drafted(desk)
    assert (await desk.shared(draft, BOB)).text == say("only-author")
    shared = await desk.shared(draft, ALICE)
    assert (shared.phase, shared.private, shared.text) == ("finished", False, "We must think anew.")
    assert shared.heading == "Alice shares a text in the manner of Abraham Lincoln:"
    assert shared.footnotes == [f"— {DISCLOSURE}"] and shared.difference == ""
    assert shared.controls == ("up", "down", "delete") and shared.speaker is None
    await state.set_setting("discord", SERVER, "", "own_names", True)
    named = (await desk.shared(draft, ALICE)).speaker
    assert named is not None and named.name == "Abraham Lincoln (imitation)"
    assert (await desk.shared("unknown", ALICE)).phase == "failed"


async def test_own_names_are_for_answers_that_others_see(desk: Desk, state: State) -> None:
    await state.set_setting("discord", SERVER, "", "own_names", True)
    public, private = RecordedSurface(), RecordedSurface()
    await desk.answer(ask(), public)
    await desk.answer(ask(private=True), private)
    named = public.last.speaker
    assert named is not None and named.picture == "https://example.org/lincoln.png"
    assert named.name == "Abraham Lincoln (imitation)" and private.last.speaker is None


async def test_sources_tell_what_is_whose(desk: Desk, script: ScriptedGateway) -> None:
    answer_id = await answered(desk)
    view = await desk.sources(answer_id, BOB)
    assert view.private and [its.number for its in view.sources] == [1]
    lines = view.text.splitlines()
    assert lines[0] == "Abraham Lincoln, v1 on smollm2-135m"
    assert lines[2] == "- 1 passage word for word from the writing"
    assert "We must *[1, word for word]* think anew. *[inference]*" in view.text
    assert view.footnotes == [f"— {DISCLOSURE}"]
    quiet = DONE.model_copy(update={"provenance": [], "used_citations": []})
    script.script = [
        META.model_copy(update={"citations": [], "adapter_version": None}),
        *said("We must.", done=quiet)[1:],
    ]
    bare = await desk.sources(await answered(desk), BOB)
    assert "by prompt only" in bare.text and say("no-sources") in bare.text
    assert (await desk.sources("unknown", BOB)).text == say("answer-gone")


async def test_sources_of_a_private_answer_are_its_askers(desk: Desk) -> None:
    answer_id = await answered(desk, private=True)
    assert (await desk.sources(answer_id, BOB)).text == say("only-author")
    assert (await desk.sources(answer_id, ALICE)).sources


async def test_who_asked_or_moderates_may_delete_and_nothing_is_kept(
    desk: Desk, state: State
) -> None:
    answer_id = await answered(desk)
    elsewhere = replace(MOD, server="another guild")
    may = [await desk.may_delete(answer_id, person) for person in (ALICE, BOB, MOD, elsewhere)]
    assert may == [True, False, True, False]
    await desk.deleted(answer_id)
    record = await state.answer(answer_id)
    assert record is not None and (record.state, record.question, record.text) == (
        "deleted",
        "",
        "",
    )
    for view in (await desk.sources(answer_id, ALICE), await desk.shared(answer_id, ALICE)):
        assert view.text == say("answer-gone")
    assert await desk.rate(answer_id, ALICE, "up") == say("answer-gone")
    assert [await desk.may_delete("unknown", person) for person in (ALICE, MOD)] == [False, True]


async def test_operators_revise(script: ScriptedGateway, state: State) -> None:
    policy = PolicySettings(operators=frozenset({"bob"}))
    async with running_desk(script.url, state, policy=policy) as desk:
        surface = RecordedSurface()
        result = await desk.answer(ask(person=BOB), surface)
        assert "revise" in surface.last.controls
        assert await desk.revise(result.id, MOD, "Better.") == say("only-operators")
        assert await desk.revise(result.id, BOB, "  ") == say("revision-empty")
        assert await desk.revise(result.id, BOB, " Better. ") == say(
            "revised", persona="Abraham Lincoln"
        )
    assert script.fed[0]["revision"] == "Better." and script.fed[0]["actor"] == "discord:bob"
    assert script.fed[0]["path"] == "/admin/revisions"


async def test_a_button_pressed_before_the_end_says_so(desk: Desk, script: ScriptedGateway) -> None:
    surface = RecordedSurface()
    told: list[str] = []

    async def press() -> None:
        growing = await surface.until(lambda view: view.phase == "growing")
        told.append((await again(desk, growing.answer_id)).text)
        told.append(await desk.rate(growing.answer_id, ALICE, "up"))
        told.append((await desk.sources(growing.answer_id, ALICE)).text)

    done: Done = DONE
    script.script = [META, *said("We must.")[1:2], press, done]
    await desk.answer(ask(), surface)
    assert told == [say("is-running")] * 3


async def test_too_long_and_empty_texts(desk: Desk, script: ScriptedGateway) -> None:
    texts = []
    for order in (ask("x" * 201), ask("  "), rewrite("y" * 401, persona="lincoln")):
        surface = RecordedSurface()
        assert (await desk.answer(order, surface)).outcome == "refused"
        texts.append(surface.text)
    assert "201 characters, and Abraham Lincoln takes 200" in texts[0]
    assert texts[1] == say("empty-question") and "401 characters" in texts[2]
    assert script.asked == []
