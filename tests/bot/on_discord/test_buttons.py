"""What people press is known again by its id alone, and nothing is kept in memory for it."""

from __future__ import annotations

import gc

import discord
from hypothesis import given
from hypothesis import strategies as st

from bot.core.sentences import speaker
from bot.core.surface import Control
from bot.on_discord.buttons import Used, ask_modal, buttons, custom_id, rewrite_modal, used
from bot.on_discord.suggestions import choices
from personae.wire import PersonaCard
from tests.fakes.discord_component_rules import check_components
from tests.fakes.discord_rules import units

EVERY: tuple[Control, ...] = (
    *("up", "down", "again", "other", "sources", "stop", "delete", "revise"),
    *("share", "copy", "lighter", "stronger"),
)


def card(number: int = 1, **changed: object) -> PersonaCard:
    plain: dict[str, object] = {
        "id": f"persona{number}",
        "display_name": f"Persona {number}",
        "description": "What it wrote",
        "disclosure": "An imitation",
        "base_model": "m",
        "adapter_version": "v1",
        "passages": 1,
        "notice": None,
        "max_question_characters": 2000,
        "max_text_characters": 2000,
    }
    return PersonaCard.model_validate(plain | changed)


async def test_all_buttons_fit_and_say_whose_they_are() -> None:
    for locale in ("en-US", "de"):
        view = buttons(EVERY, "a1b2c3", locale)
        assert view is not None and view.is_finished()
        rows = view.to_components()
        check_components(rows, v2=False)
        ids = [part["custom_id"] for row in rows for part in row["components"]]
        assert ids == [custom_id(control, "a1b2c3") for control in EVERY]
    assert buttons((), "a1", "en") is None and buttons(EVERY, "", "en") is None


@given(st.sampled_from(EVERY), st.text("abcdef0123456789:é", max_size=60))
def test_an_id_tells_action_and_subject(action: str, subject: str) -> None:
    assert used({"custom_id": custom_id(action, subject)}) == Used(action, subject, {})


def test_other_ids_are_none_of_ours() -> None:
    for foreign in ("", "p:", "x:up:1", "p:UP:1", "p:up"):
        assert used({"custom_id": foreign}) is None


def test_fields_of_both_kinds_of_modals_are_read() -> None:
    text = {"type": 4, "custom_id": "text", "value": "words"}
    choice = {"type": 3, "custom_id": "persona", "values": ["lincoln"]}
    sent = used(
        {
            "custom_id": "p:rewrite:",
            "components": [{"type": 18, "component": choice}, {"type": 1, "components": [text]}],
        }
    )
    assert sent == Used("rewrite", "", {"persona": "lincoln", "text": "words"})


async def test_modals_carry_a_long_message_and_every_persona_that_fits() -> None:
    cards = [card(number) for number in range(40)]
    for locale in ("en", "de"):
        say = speaker(locale)
        for modal in (ask_modal(cards, "x" * 9000, say), rewrite_modal([], "", say)):
            told = modal.to_dict()
            assert units(told["title"]) <= 45
            assert all(units(part["label"]) <= 45 for part in told["components"])
    about = ask_modal(cards, "x" * 9000, speaker("en")).to_dict()["components"]
    assert len(about[0]["component"]["options"]) == 25
    assert len(about[2]["component"]["value"]) == 4000


async def test_nothing_is_kept_in_memory_for_buttons_that_were_sent() -> None:
    for _ in range(50):
        buttons(EVERY, "a1", "en")
    gc.collect()
    assert sum(issubclass(type(thing), discord.ui.View) for thing in gc.get_objects()) < 5


def test_suggestions_say_who_a_persona_is_within_discords_limits() -> None:
    long = card(7, display_name="N" * 150, description="d" * 200)
    plain = card(1, description="")
    names = [choice.name for choice in choices([card(), long, plain, *[card()] * 30])]
    assert names[0] == "Persona 1 (persona1): What it wrote"
    assert names[2] == "Persona 1 (persona1)"
    assert len(names) == 25 and all(len(name) <= 100 for name in names)
    assert "(persona7)" in names[1]
