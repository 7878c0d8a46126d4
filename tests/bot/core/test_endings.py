"""However an answer ends, who asked gets a true sentence, keeps what was said, and nothing is left over."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from bot.core.desk import Desk
from bot.core.people import Person
from bot.core.sentences import speaker
from bot.core.surface import View
from bot.state.store import State
from personae.wire import Delta, Done, ErrorEvent, Queued
from tests.bot.core.bench import (
    ALICE,
    BOB,
    CHANNEL,
    DISCLOSURE,
    DONE,
    META,
    MOD,
    THREAD,
    RecordedSurface,
    ScriptedGateway,
    ask,
    rewrite,
    running_desk,
    said,
    scripted_gateway,
)
from tests.conftest import RunningGateway

say = speaker("en")
FOOT = f"— {DISCLOSURE}"
WORDS = [META, Delta(text="We must "), Delta(text="think")]


def grew(view: View) -> bool:
    return view.phase == "growing"


async def forever() -> None:
    await asyncio.Event().wait()


async def started(desk: Desk, surface: RecordedSurface, **changes: object) -> asyncio.Task[object]:
    """An answer under way whose first words can be seen."""
    task: asyncio.Task[object] = asyncio.create_task(desk.answer(ask(**changes), surface))
    await surface.until(grew)
    return task


async def test_the_place_in_line_is_shown_and_gives_way(
    desk: Desk, script: ScriptedGateway
) -> None:
    surface = RecordedSurface()

    async def seen() -> None:
        await surface.until(lambda view: view.phase == "queued")

    script.script = [Queued(position=2, eta_seconds=7.2), seen, *said("We must.")]
    await desk.answer(ask(), surface)
    queued = surface.shown[0]
    assert queued.text == "In line: 2nd, about 7 s." and queued.controls == ("stop",)
    assert surface.text == "We must."


async def test_a_stream_that_dies_keeps_what_was_said(
    desk: Desk, script: ScriptedGateway, state: State
) -> None:
    script.script = WORDS
    surface = RecordedSurface()
    result = await desk.answer(ask(), surface)
    assert result.outcome == "failed"
    assert surface.text.startswith("We must think\n\n") and "broke off" in surface.text
    assert surface.last.footnotes == [FOOT] and surface.last.controls == ("again", "delete")
    record = await state.answer(result.id)
    assert record is not None and (record.state, record.text) == ("failed", "We must think")


async def test_the_real_engine_dying_ends_with_a_sentence(
    gateway: RunningGateway, state: State
) -> None:
    gateway.engine.die_after = 2
    surface = RecordedSurface()
    async with running_desk(gateway.url, state) as desk:
        assert (await desk.answer(ask(), surface)).outcome == "failed"
    assert surface.text.startswith("[lincoln@v1] We") and surface.last.footnotes


async def test_a_refusal_before_the_first_word_is_for_who_asked(
    desk: Desk, script: ScriptedGateway
) -> None:
    script.script = [ErrorEvent(code="busy", message="Too many.", retry_after_seconds=20)]
    surface = RecordedSurface()
    assert (await desk.answer(ask(), surface)).outcome == "failed"
    [only] = surface.shown
    assert only.private and only.phase == "failed" and only.controls == ("again",)
    assert only.text == "Too many. (Try again in about 20 s.)" and only.footnotes == []


async def test_a_refusal_after_a_place_in_line_is_where_that_was(
    desk: Desk, script: ScriptedGateway
) -> None:
    surface = RecordedSurface()

    async def seen() -> None:
        await surface.until(lambda view: view.phase == "queued")

    error = ErrorEvent(code="busy", message="Too many.")
    script.script = [Queued(position=2, eta_seconds=7), seen, error]
    await desk.answer(ask(), surface)
    assert not surface.last.private and surface.text == "Too many."


async def test_errors_are_said_in_german_by_their_code(desk: Desk, script: ScriptedGateway) -> None:
    script.script = [ErrorEvent(code="engine_unavailable", message="The model is gone.")]
    person = Person("discord", "gerda", "Gerda", locale="de")
    surface = RecordedSurface()
    await desk.answer(ask(person=person), surface)
    assert surface.text == "Das Modell ist gerade nicht erreichbar."
    assert surface.last.locale == "de"


async def test_a_gateway_that_is_away_is_a_private_sentence(state: State) -> None:
    surface = RecordedSurface()
    async with running_desk("http://127.0.0.1:9", state) as desk:
        result = await desk.answer(ask(), surface)
    assert (result.id, result.outcome) == ("", "refused")
    assert surface.last.private and "can't be reached" in surface.text and surface.closes == 1


async def test_a_gateway_that_goes_away_after_its_personas_were_known(state: State) -> None:
    surface = RecordedSurface()
    async with contextlib.AsyncExitStack() as stack:
        async with scripted_gateway() as gateway:
            desk = await stack.enter_async_context(running_desk(gateway.url, state))
            assert len(await desk.personas(CHANNEL, ALICE)) == 1
        assert (await desk.answer(ask(), surface)).outcome == "failed"
        assert len(await desk.personas(CHANNEL, ALICE)) == 1, "the last known ones"
    assert surface.last.private and "can't be reached" in surface.text


@pytest.mark.parametrize("person", [ALICE, MOD])
async def test_stop_keeps_what_was_said(
    desk: Desk, script: ScriptedGateway, state: State, person: object
) -> None:
    script.script = [*WORDS, forever]
    surface = RecordedSurface()
    task = await started(desk, surface)
    answer_id = surface.last.answer_id
    assert await desk.stop(answer_id, BOB) == say("only-author-or-manager")
    assert await desk.stop(answer_id, person) == say("stopping")  # type: ignore[arg-type]
    result = await task
    assert result.outcome == "stopped"  # type: ignore[attr-defined]
    assert surface.text == "We must think\n\n(Stopped.)" and surface.last.phase == "finished"
    assert surface.last.footnotes == [FOOT]
    record = await state.answer(answer_id)
    assert record is not None and (record.state, record.text) == ("stopped", "We must think")
    assert await desk.stop(answer_id, ALICE) == say("not-running")
    assert script.open == 0, "the gateway learns of it at once"


async def test_stop_before_the_first_word(desk: Desk, script: ScriptedGateway) -> None:
    script.script = [Queued(position=9, eta_seconds=90), forever]
    surface = RecordedSurface()
    task = asyncio.create_task(desk.answer(ask(), surface))
    queued = await surface.until(lambda view: view.phase == "queued")
    await desk.stop(queued.answer_id, ALICE)
    assert (await task).outcome == "stopped"
    assert surface.text == say("stopped-before-words") and surface.last.footnotes == []


async def test_silence_is_shown_and_can_be_stopped(desk: Desk, script: ScriptedGateway) -> None:
    script.script = [META, forever]
    surface = RecordedSurface()
    task = asyncio.create_task(desk.answer(ask(), surface))
    waiting = await surface.until(lambda view: view.phase == "waiting")
    assert waiting.text == "…" and waiting.controls == ("stop",)
    await desk.stop(waiting.answer_id, ALICE)
    await task


async def test_a_surface_that_is_gone_ends_the_work(
    desk: Desk, script: ScriptedGateway, state: State
) -> None:
    script.script = [*WORDS, forever]
    surface = RecordedSurface()
    task = await started(desk, surface)
    shown = len(surface.shown)
    surface.gone = True
    assert (await task).outcome == "gone"  # type: ignore[attr-defined]
    assert len(surface.shown) == shown and surface.closes == 1 and script.open == 0
    record = await state.answer(surface.last.answer_id)
    assert record is not None and (record.state, record.text, record.question) == (
        "deleted",
        "",
        "",
    )


async def test_a_deleted_answer_ends_at_once(desk: Desk, script: ScriptedGateway) -> None:
    script.script = [*WORDS, forever]
    surface = RecordedSurface(name="page-1 page-2")
    task = await started(desk, surface)
    await desk.message_deleted("page-9")
    await desk.message_deleted("page-2", channel="elsewhere")
    assert desk.running() == 1
    await desk.message_deleted("page-2", channel="general")
    assert (await task).outcome == "gone"  # type: ignore[attr-defined]


async def test_a_deleted_question_ends_its_answer_and_is_forgotten(
    desk: Desk, script: ScriptedGateway, state: State
) -> None:
    script.script = [*WORDS, forever]
    surface = RecordedSurface()
    task = await started(desk, surface, extra={"message": "question-7"})
    await desk.message_deleted("question-7")
    assert (await task).outcome == "stopped"  # type: ignore[attr-defined]
    assert surface.text.endswith("(Stopped.)") and surface.last.footnotes == [FOOT]
    assert surface.last.controls == ("delete",)
    record = await state.answer(surface.last.answer_id)
    assert record is not None and (record.state, record.question) == ("deleted", "")


@pytest.mark.parametrize("deletes", ["message-1", "question-7"])
async def test_what_is_deleted_while_its_last_view_is_on_its_way_is_not_kept(
    desk: Desk, script: ScriptedGateway, state: State, deletes: str
) -> None:
    surface = RecordedSurface()

    async def finishing() -> None:
        await surface.until(lambda view: view.phase == "growing")
        surface.seconds = 0.5

    script.script = [*WORDS, finishing, DONE]
    order = ask(place=THREAD, remembers=True, extra={"message": "question-7"})
    task = asyncio.create_task(desk.answer(order, surface))
    await surface.until(lambda view: view.phase == "growing")
    running = desk._attendance.running()[0]
    while not running.finishing:
        await asyncio.sleep(0.005)
    await desk.message_deleted(deletes)
    assert (await task).outcome in ("gone", "stopped")
    record = await state.answer(surface.last.answer_id)
    assert record is not None and (record.state, record.text) == ("deleted", "")
    assert await state.turns(THREAD.conversation, limit=9) == []
    assert await state.conversation(THREAD.conversation) is None


async def test_a_deleted_place_ends_its_answers_and_conversation(
    desk: Desk, script: ScriptedGateway, state: State
) -> None:
    await desk.answer(ask(place=THREAD, remembers=True), RecordedSurface())
    assert await state.conversation(THREAD.conversation) is not None
    script.script = [*WORDS, forever]
    surface = RecordedSurface()
    task = await started(desk, surface, place=THREAD)
    await desk.place_deleted(THREAD)
    assert (await task).outcome == "gone"  # type: ignore[attr-defined]
    assert await state.conversation(THREAD.conversation) is None
    assert await state.turns(THREAD.conversation, limit=9) == []


async def test_cancelled_it_says_so_first(desk: Desk, script: ScriptedGateway) -> None:
    script.script = [*WORDS, forever]
    surface = RecordedSurface()
    task = await started(desk, surface)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert surface.text == f"We must think\n\n{say('restarting')}"
    assert surface.last.footnotes == [FOOT] and surface.closes == 1 and desk.running() == 0


async def test_the_end_of_the_bot_is_told_to_all_that_run(
    script: ScriptedGateway, state: State
) -> None:
    surfaces = [RecordedSurface() for _ in range(5)]
    script.script = [*WORDS, forever]
    async with running_desk(script.url, state) as desk:
        tasks = [await started(desk, surface) for surface in surfaces]
        await desk.close(grace_seconds=30)
        late = RecordedSurface()
        assert (await desk.answer(ask(), late)).outcome == "refused"
    assert [(await task).outcome for task in tasks] == ["stopped"] * 5  # type: ignore[attr-defined]
    assert all(surface.text.endswith(say("restarting")) for surface in surfaces)
    assert late.text == say("restarting") and late.last.private


async def test_a_bot_in_a_hurry_lets_go_of_a_platform_that_hangs(
    script: ScriptedGateway, state: State
) -> None:
    script.script = [*WORDS, forever]
    surface = RecordedSurface()
    async with running_desk(script.url, state) as desk:
        task = await started(desk, surface)
        surface.seconds = 3600
        await desk.close(grace_seconds=0.05)
        await asyncio.wait({task})
    assert task.cancelled() and surface.closes == 1


async def test_edits_that_fail_are_made_up_for(desk: Desk, script: ScriptedGateway) -> None:
    surface = RecordedSurface(failures=1)

    async def seen() -> None:
        while surface.failures:
            await asyncio.sleep(0.005)

    script.script = [META, Delta(text="We must "), seen, Delta(text="think."), DONE]
    assert (await desk.answer(ask(), surface)).outcome == "finished"
    assert surface.text == "We must think."


async def test_a_last_edit_that_fails_does_not_hurt_anybody(desk: Desk, state: State) -> None:
    surface = RecordedSurface(refuses_ends=True)
    result = await desk.answer(ask(), surface)
    assert result.outcome == "gone" and surface.closes == 1 and desk.running() == 0
    record = await state.answer(result.id)
    assert record is not None and record.text == "We must think anew.", "it can be asked for again"


async def test_a_defect_of_ours_is_told(desk: Desk, script: ScriptedGateway) -> None:
    class Broken(RecordedSurface):
        @property  # type: ignore[misc]
        def reference(self) -> dict[str, str]:
            raise RuntimeError("a defect")

        @reference.setter
        def reference(self, _value: dict[str, str]) -> None: ...

    surface = Broken()
    assert (await desk.answer(ask(), surface)).outcome == "failed"
    assert surface.text == say("unexpected") and surface.last.private and surface.closes == 1


@pytest.mark.parametrize(
    ("done", "words", "text"),
    [
        (DONE.model_copy(update={"finish_reason": "length"}), "We must", "length limit"),
        (DONE, " ", "gave no answer"),
    ],
)
async def test_odd_ends_have_their_sentence(
    desk: Desk, script: ScriptedGateway, done: Done, words: str, text: str
) -> None:
    script.script = [META, Delta(text=words), done]
    surface = RecordedSurface()
    await desk.answer(ask(), surface)
    assert text in surface.text
    assert surface.last.footnotes == ([FOOT] if words.strip() else [])


async def test_nothing_is_left_running_however_it_ended(
    script: ScriptedGateway, state: State
) -> None:
    before = asyncio.all_tasks()
    async with running_desk(script.url, state) as desk:
        for play in (said("We must."), WORDS, [META, forever]):
            script.script = play
            surface = RecordedSurface()
            task = asyncio.create_task(desk.answer(ask(), surface))
            if play[-1] is forever:
                await surface.until(lambda view: view.phase == "waiting")
                task.cancel()
            await asyncio.wait({task})
        script.script = said("We must.")
        await desk.answer(rewrite("We may.", persona="lincoln"), RecordedSurface())
        assert desk.running() == 0
    await asyncio.sleep(0)
    left = {task for task in asyncio.all_tasks() - before if "aiohttp" not in repr(task)}
    assert left == set()


async def test_stop_ends_an_answer_that_another_process_gives(
    state: State, script: ScriptedGateway
) -> None:
    """The button's click reaches one process of the bot, and the answer grows in the other."""
    script.script = [*WORDS, forever]
    surface = RecordedSurface()
    async with running_desk(script.url, state) as desk, running_desk(script.url, state) as other:
        task = await started(desk, surface)
        answer_id = surface.last.answer_id
        assert await other.stop(answer_id, BOB) == say("only-author-or-manager")
        assert await other.stop(answer_id, ALICE) == say("stopping")
        await task
        assert await other.stop(answer_id, ALICE) == say("not-running")
        assert await other.stop("another", ALICE) == say("not-running")
    assert surface.text == f"We must think\n\n{say('stopped')}"
