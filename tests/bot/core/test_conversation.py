"""Who speaks where nobody is named, what a thread holds on to, and what is remembered."""

from __future__ import annotations

import asyncio

import pytest

from bot.core.conversation import MOST_CHARACTERS, within
from bot.core.desk import Desk
from bot.core.people import Person, Place
from bot.core.surface import View
from bot.state.store import State
from personae.wire import AdapterChange
from tests.bot.core.bench import (
    ALICE,
    BOB,
    CARD,
    CHANNEL,
    DIRECT,
    MOD,
    SERVER,
    THREAD,
    FakeClock,
    RecordedSurface,
    ScriptedGateway,
    ask,
    event,
    running_desk,
    said,
)
from tests.conftest import RunningGateway

ROOSEVELT = CARD.model_copy(
    update={"id": "roosevelt", "display_name": "Theodore Roosevelt", "picture": None}
)
SETTING = ("discord", SERVER)


@pytest.fixture(autouse=True)
def two_personas(script: ScriptedGateway) -> None:
    script.cards = [CARD, ROOSEVELT]


async def asked(desk: Desk, text: str = "Why?", **changes: object) -> RecordedSurface:
    surface = RecordedSurface()
    values: dict[str, object] = {"place": THREAD, "remembers": True, "persona": None} | changes
    await desk.answer(ask(text, **values), surface)
    return surface


async def test_a_thread_keeps_persona_and_version_of_its_first_message(
    gateway: RunningGateway, state: State
) -> None:
    """The live version moves on, another persona becomes the channel's default: the thread does not care."""
    async with running_desk(gateway.url, state) as desk:
        first = await asked(desk, persona="lincoln")
        await desk.gateway.reload("lincoln", AdapterChange(version="v2"))
        await state.set_setting(*SETTING, "general", "default_persona", "roosevelt")
        again = await asked(desk, "And why?")
        elsewhere = await asked(desk, persona="lincoln", place=CHANNEL)
    assert first.text.startswith("[lincoln@v1]") and again.text.startswith("[lincoln@v1]")
    assert elsewhere.text.startswith("[lincoln@v2]")


async def test_naming_another_persona_changes_the_thread(
    desk: Desk, script: ScriptedGateway, state: State
) -> None:
    await asked(desk, persona="lincoln")
    pinned = await state.conversation(THREAD.conversation)
    assert pinned is not None and (pinned.persona, pinned.adapter_version) == ("lincoln", "v1")
    await asked(desk)
    assert script.asked[-1]["adapter_version"] == "v1"
    await asked(desk, persona="Theodore Roosevelt")
    assert script.asked[-1]["persona"] == "roosevelt"
    assert script.asked[-1]["adapter_version"] is None


async def test_a_slash_command_neither_pins_nor_remembers(
    desk: Desk, script: ScriptedGateway, state: State
) -> None:
    await asked(desk, persona="lincoln", remembers=False)
    assert await state.conversation(THREAD.conversation) is None
    assert await state.turns(THREAD.conversation, limit=9) == []


async def test_defaults_go_from_thread_to_channel_to_server(
    desk: Desk, script: ScriptedGateway, state: State
) -> None:
    nobody = await asked(desk)
    assert nobody.text == "Which persona? Name one: lincoln, roosevelt."
    assert nobody.last.private and script.asked == []
    await state.set_setting(*SETTING, "", "default_persona", "lincoln")
    await asked(desk, place=CHANNEL)
    await state.set_setting(*SETTING, "general", "default_persona", "roosevelt")
    await asked(desk, place=CHANNEL)
    await asked(desk, place=Place("discord", SERVER, "other"))
    await asked(desk, place=CHANNEL, persona="lincoln")
    named = [its["persona"] for its in script.asked]
    assert named == ["lincoln", "roosevelt", "lincoln", "lincoln"]


async def test_the_only_persona_needs_no_name(desk: Desk, script: ScriptedGateway) -> None:
    script.cards = [CARD]
    assert (await asked(desk)).text == "We must think anew."


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("lincon", "There is no persona “lincon” here. Did you mean lincoln? "),
        ("zzz", "There is no persona “zzz” here. Personas here: lincoln, roosevelt."),
    ],
)
async def test_a_mistyped_persona_gets_the_names(desk: Desk, typed: str, text: str) -> None:
    assert (await asked(desk, persona=typed)).text.startswith(text)


async def test_a_server_may_allow_some_personas_only(
    desk: Desk, script: ScriptedGateway, state: State
) -> None:
    await state.set_setting(*SETTING, "", "allowed_personas", ["roosevelt"])
    refused = await asked(desk, persona="lincoln")
    assert refused.text == "Abraham Lincoln may not speak in this server. Allowed here: roosevelt."
    assert [card.id for card in await desk.personas(CHANNEL, ALICE)] == ["roosevelt"]
    assert [card.id for card in await desk.suggest(CHANNEL, ALICE, "l")] == ["roosevelt"]
    assert len(await desk.suggest(DIRECT, ALICE, "lin")) == 1
    assert (await asked(desk)).text == "We must think anew.", "the only one that is allowed"
    await state.set_setting(*SETTING, "", "allowed_personas", [])
    assert "No persona may speak here" in (await asked(desk, persona="lincoln")).text


async def test_what_was_said_goes_with_the_next_question(
    desk: Desk, script: ScriptedGateway
) -> None:
    await asked(desk, "What of the Union?", persona="lincoln")
    await asked(desk, "And why?", person=BOB)
    assert script.asked[1]["history"] == [
        {"role": "user", "content": "What of the Union?"},
        {"role": "assistant", "content": "We must think anew."},
    ]
    await asked(desk, "Elsewhere?", persona="lincoln", place=DIRECT)
    assert script.asked[2]["history"] == []


async def test_memory_is_bounded(desk: Desk, script: ScriptedGateway, state: State) -> None:
    script.script = said("word " * 300)
    for number in range(9):
        await asked(desk, f"Question {number}", persona="lincoln")
    sent = script.asked[-1]["history"]
    assert isinstance(sent, list) and sent[0]["role"] == "user" and len(sent) % 2 == 0
    assert 0 < sum(len(turn["content"]) for turn in sent) <= MOST_CHARACTERS
    assert len(await state.turns(THREAD.conversation, limit=100)) == 12


def test_the_newest_turns_that_fit_begin_with_a_question() -> None:
    turns = [("user", "a" * 900), ("assistant", "b" * 900), ("user", "c"), ("assistant", "d")]
    assert [turn.content for turn in within(turns, most=1_000)] == ["c", "d"]
    assert within([("user", "x" * 9_000)], most=1_000) == []


async def test_memory_ends_after_its_time_and_a_thread_keeps_its_persona(
    desk: Desk, script: ScriptedGateway, clock: FakeClock
) -> None:
    for place in (THREAD, DIRECT):
        await asked(desk, persona="lincoln", place=place)
    clock.now += 25 * 3600
    await asked(desk)
    assert script.asked[-1]["persona"] == "lincoln" and script.asked[-1]["history"] == []
    assert (await asked(desk, place=DIRECT)).text.startswith("Which persona?")


async def test_another_persona_by_the_button_becomes_the_threads(
    desk: Desk, script: ScriptedGateway, state: State
) -> None:
    await asked(desk, "First?", persona="lincoln")
    second = await asked(desk, "Second?")
    button = (second.last.answer_id, ALICE, THREAD, event())
    script.script = [
        its.model_copy(update={"persona": "roosevelt"}) if hasattr(its, "persona") else its
        for its in said("Bully!")
    ]
    surface = RecordedSurface()
    result = await desk.again(*button, surface, persona="roosevelt")
    assert result.outcome == "finished" and surface.text == "Bully!"
    assert script.asked[-1]["question"] == "Second?" and len(script.asked[-1]["history"]) == 2
    pinned = await state.conversation(THREAD.conversation)
    assert pinned is not None and pinned.persona == "roosevelt"
    told = [turn.content for turn in await state.turns(THREAD.conversation, limit=9)]
    assert told == ["First?", "We must think anew.", "Second?", "Bully!"], "it took the place"


async def test_again_alone_leaves_the_threads_persona(
    desk: Desk, script: ScriptedGateway, state: State
) -> None:
    by_lincoln = await asked(desk, persona="lincoln")
    await asked(desk, persona="roosevelt")
    await state.pin(
        THREAD.conversation,
        platform="discord",
        server=SERVER,
        channel="general",
        persona="roosevelt",
        adapter_version="v1",
    )
    await desk.again(by_lincoln.last.answer_id, MOD, THREAD, event(), RecordedSurface())
    pinned = await state.conversation(THREAD.conversation)
    assert pinned is not None and pinned.persona == "roosevelt"
    assert script.asked[-1]["persona"] == "lincoln"


@pytest.mark.parametrize(
    ("place", "person", "waits"),
    [(THREAD, BOB, True), (CHANNEL, ALICE, True), (CHANNEL, BOB, False)],
)
async def test_what_follows_an_answer_that_is_seen_knows_it(
    desk: Desk, script: ScriptedGateway, place: Place, person: Person, waits: bool
) -> None:
    """The last view of the first answer is there, and what was said is not yet remembered."""
    surface = LastViewHeld()
    order = ask("What of the Union?", place=place, remembers=True)
    first = asyncio.create_task(desk.answer(order, surface))
    await surface.until(lambda view: view.ended)
    follow_up = {"place": place, "person": person, "persona": "lincoln"}
    followed = asyncio.create_task(asked(desk, "And why?", **follow_up))
    await asyncio.wait({followed}, timeout=0.3 if waits else 9.0)
    assert followed.done() is not waits
    surface.let_go.set()
    await asyncio.gather(first, followed)
    before = [{"role": "user", "content": "What of the Union?"}] if waits else []
    assert script.asked[1]["history"][:1] == before  # type: ignore[index]


async def test_a_refusal_on_its_way_holds_nobody_up(desk: Desk, script: ScriptedGateway) -> None:
    """After it nothing is remembered, and a platform may take minutes to show it."""
    surface = LastViewHeld()
    order = ask("Hm?", place=THREAD, remembers=True, persona="nobody")
    refused = asyncio.create_task(desk.answer(order, surface))
    await surface.until(lambda view: view.ended)
    async with asyncio.timeout(9):
        await asked(desk, "And why?", persona="lincoln")
    assert not refused.done()
    surface.let_go.set()
    assert (await refused).outcome == "refused"


class LastViewHeld(RecordedSurface):
    """The platform shows the last view at once, and says so only when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = asyncio.Event()

    async def show(self, view: View) -> None:
        await super().show(view)
        if view.ended:
            await self.let_go.wait()
