"""Buttons, selects and modals, and the ids by which their use is known again, also after a restart.

An id is `p:<action>:<subject>`: the subject is an answer's id for a button, and what a modal needs to
remember otherwise. discord.py is not asked to keep any of them (`stop()` tells it so): it would hold each
one in memory for ever, and forget all of them with the process.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import discord
from discord import ui

from bot.core.sentences import Say, speaker
from bot.core.surface import Control
from personae.wire import PersonaCard

_ID = re.compile(r"p:([a-z]+):(.{0,90})", re.DOTALL)

_EMOJI: Mapping[str, str] = {
    "up": "👍",
    "down": "👎",
    "again": "🔁",
    "other": "🎭",
    "sources": "📚",
    "stop": "⏹️",
    "delete": "🗑️",
    "revise": "✏️",
    "share": "📣",
    "copy": "📋",
    "lighter": "🪶",
    "stronger": "💪",
}
_WORDLESS = ("up", "down")
_STYLE = {"stop": discord.ButtonStyle.danger, "share": discord.ButtonStyle.success}
_IN_A_ROW = 5
MOST_CHOICES = 25
MODAL_TEXT_CHARACTERS = 4000


@dataclass(frozen=True)
class Used:
    """What somebody pressed, chose or sent.

    Attributes:
        values: of a modal's fields, by their ids; of a select, its choice under "".
    """

    action: str
    subject: str
    values: Mapping[str, str]


def custom_id(action: str, subject: str) -> str:
    return f"p:{action}:{subject}"


def used(data: Mapping[str, Any]) -> Used | None:
    """From the data of a component or modal interaction; None if it is none of ours."""
    match = _ID.fullmatch(str(data.get("custom_id", "")))
    if match is None:
        return None
    values = dict(_fields(data.get("components") or []))
    if chosen := data.get("values"):
        values[""] = str(chosen[0])
    return Used(match[1], match[2], values)


def _fields(components: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, str]]:
    for component in components:
        if "component" in component:
            yield from _fields([component["component"]])
        yield from _fields(component.get("components") or [])
        if "value" in component:
            yield str(component.get("custom_id")), str(component["value"] or "")
        elif component.get("values"):
            yield str(component.get("custom_id")), str(component["values"][0])


def controls_of(message: discord.Message) -> list[tuple[str, str]]:
    """(action, subject) of our buttons under a message."""
    found = []
    for row in message.components:
        for part in getattr(row, "children", []):
            if match := _ID.fullmatch(getattr(part, "custom_id", None) or ""):
                found.append((match[1], match[2]))
    return found


def answer_id_of(message: discord.Message) -> str | None:
    """Which answer a message shows the end of."""
    return next((subject for action, subject in controls_of(message) if action in _EMOJI), None)


def buttons(controls: Sequence[Control], answer_id: str, locale: str) -> ui.View | None:
    """The rows of buttons under an answer. Needs a running event loop."""
    if not controls or not answer_id:
        return None
    say = speaker(locale)
    view = ui.View(timeout=None)
    for number, control in enumerate(controls):
        view.add_item(
            ui.Button(
                style=_STYLE.get(control, discord.ButtonStyle.secondary),
                emoji=_EMOJI[control],
                label=None if control in _WORDLESS else say(f"discord-button-{control}"),
                custom_id=custom_id(control, answer_id),
                row=number // _IN_A_ROW,
            )
        )
    view.stop()
    return view


def one_button(action: str, subject: str, label: str, *, danger: bool = False) -> ui.View:
    view = ui.View(timeout=None)
    style = discord.ButtonStyle.danger if danger else discord.ButtonStyle.primary
    view.add_item(ui.Button(style=style, label=label, custom_id=custom_id(action, subject)))
    view.stop()
    return view


def persona_select(cards: Sequence[PersonaCard], answer_id: str, say: Say) -> ui.View:
    """Who should answer instead."""
    view = ui.View(timeout=None)
    view.add_item(_select(cards, custom_id("pick", answer_id), say))
    view.stop()
    return view


def ask_modal(cards: Sequence[PersonaCard], text: str, say: Say) -> ui.Modal:
    """A question about somebody's message. The message travels in the modal itself."""
    modal = ui.Modal(title=say("discord-ask-about-title"), custom_id=custom_id("asked", ""))
    modal.add_item(_persona_field(cards, say))
    question = ui.TextInput[ui.View](
        custom_id="question", required=False, max_length=1000, placeholder=say("discord-what-of-it")
    )
    modal.add_item(ui.Label(text=say("discord-field-question"), component=question))
    modal.add_item(_text_field(say("discord-field-about"), text))
    modal.stop()
    return modal


def rewrite_modal(cards: Sequence[PersonaCard], text: str, say: Say) -> ui.Modal:
    """Somebody's message in another voice."""
    modal = ui.Modal(title=say("discord-rewrite-title"), custom_id=custom_id("rewrite", ""))
    modal.add_item(_persona_field(cards, say))
    strength = ui.Select[ui.View](
        custom_id="strength",
        required=False,
        options=[
            discord.SelectOption(
                label=say(f"discord-strength-{name}"), value=name, default=name == "normal"
            )
            for name in ("light", "normal", "strong")
        ],
    )
    modal.add_item(ui.Label(text=say("discord-field-strength"), component=strength))
    modal.add_item(_text_field(say("discord-field-text"), text))
    modal.stop()
    return modal


def text_modal(
    action: str,
    subject: str,
    title: str,
    label: str,
    *,
    text: str = "",
    required: bool = True,
    most: int = MODAL_TEXT_CHARACTERS,
) -> ui.Modal:
    """One field of text."""
    modal = ui.Modal(title=title, custom_id=custom_id(action, subject))
    field = ui.TextInput[ui.View](
        custom_id="text",
        style=discord.TextStyle.paragraph,
        required=required,
        default=text[:most] or None,
        max_length=most,
    )
    modal.add_item(ui.Label(text=label, component=field))
    modal.stop()
    return modal


def _text_field(label: str, text: str) -> ui.Label[ui.View]:
    field = ui.TextInput[ui.View](
        custom_id="text",
        style=discord.TextStyle.paragraph,
        default=text[:MODAL_TEXT_CHARACTERS] or None,
        max_length=MODAL_TEXT_CHARACTERS,
    )
    return ui.Label(text=label, component=field)


def _persona_field(cards: Sequence[PersonaCard], say: Say) -> ui.Label[ui.View]:
    """A list to choose from, or a line to type into while the list is not known."""
    if cards:
        chooser: ui.Item[ui.View] = _select(cards, "persona", say)
    else:
        chooser = ui.TextInput(custom_id="persona", max_length=100)
    return ui.Label(text=say("discord-field-persona"), component=chooser)


def _select(cards: Sequence[PersonaCard], id_: str, say: Say) -> ui.Select[ui.View]:
    options = [
        discord.SelectOption(
            label=card.display_name[:100] or card.id,
            value=card.id[:100],
            description=card.description[:100] or None,
        )
        for card in cards[:MOST_CHOICES]
    ]
    return ui.Select(custom_id=id_, placeholder=say("discord-choose-persona"), options=options)
