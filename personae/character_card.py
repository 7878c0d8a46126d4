"""Character cards of role-play front ends as drafts of personas: versions 1, 2 and 3; PNG, JSON and CHARX.

In: the bytes of a file. Out: a `Card`: a draft to look over, and what to say of it. A card is a small JSON
object that lies in a picture's text (`chara` or `ccv3`, base64), in a file of its own, or in a zip as
card.json:

    {"spec": "chara_card_v2", "spec_version": "2.0", "data": {"name": "Haru", "description": "{{char}} is …",
     "personality": "…", "scenario": "…", "first_mes": "Hello, {{user}}.", "mes_example": "<START>\\n…",
     "system_prompt": "", "post_history_instructions": "", "character_book": {"entries": […]}, …}}

What becomes of it: description, personality and scenario say who it is; the character's lines of greeting
and examples show how it speaks; what a lorebook always inserts joins the first, its other entries are
background, which is found when a question needs it. The card itself is kept whole beside the persona, also
what nobody here understands. Formats: https://github.com/malfoyslastname/character-card-spec-v2 and
https://github.com/kwaroran/character-card-spec-v3. A card comes from a stranger: its words can't become
special tokens of a prompt, and what it unpacks to is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from personae.card_file import fields_of, read_card_file
from personae.card_macros import Macros
from personae.persona_draft import MOST_ABOUT_CHARACTERS, PersonaDraft, suggested_id
from personae.prompt import holds_special_tokens, inert

Format = Literal["v1", "v2", "v3"]

_FORMATS: Mapping[str, Format] = {"chara_card_v2": "v2", "chara_card_v3": "v3"}
_MOST_ANCHORS = 5
_ANCHOR_CHARACTERS = 400
_NOTES_CHARACTERS = 600
_NAME_CHARACTERS = 100
_START = re.compile(r"^\s*<START>\s*$", re.IGNORECASE | re.MULTILINE)
_DECORATOR = re.compile(r"^@@.*\n?", re.MULTILINE)


@dataclass(frozen=True)
class Card:
    draft: PersonaDraft
    format: Format
    lorebook_entries: int
    warnings: list[str]


def read_card(data: bytes) -> Card:
    """A card as a draft.

    Raises:
        UploadRefused: this is no character card, or a damaged one; says why.
    """
    return _Reading(read_card_file(data)).card()


class _Reading:
    """One card on its way to a draft."""

    def __init__(self, card: dict[str, Any]) -> None:
        self._whole = card
        self._data = fields_of(card)
        newer: Format = "v1" if self._data is card else "v3"
        self.format = _FORMATS.get(str(card.get("spec", "")), newer)
        self._name = inert(" ".join(self._text("name").split()))
        called = inert(self._text("nickname").strip()) or self._name
        self._macros = Macros(re.sub(r"[{}]", "", called)[:_NAME_CHARACTERS])
        self._warnings: list[str] = []
        self._odd = False

    def card(self) -> Card:
        always, background, entries = self._lorebook()
        about = "\n\n".join(part for part in [*self._who(), *always] if part)
        about, rest = _split(about, MOST_ABOUT_CHARACTERS)
        if rest:
            background = f"{background}\n\n## More about {self._name}\n\n{rest}".strip()
            self._warnings.append(
                "The description was too long for a prompt; its end was put into the background."
            )
        if self._text("system_prompt").strip() or self._text("post_history_instructions").strip():
            self._warnings.append(
                "The card brings instructions of its own for the model; they are in the prompt of "
                "questions. Read them before you create it."
            )
        draft = PersonaDraft(
            id=suggested_id(self._name),
            display_name=self._name,
            kind="character",
            description=self._description(),
            about=about,
            ask_system=self._ask_system(about),
            style_anchors=self._anchors(),
            background=background,
            card=self._whole,
        )
        return Card(draft, self.format, entries, self._all_warnings())

    # ---- who it is ----

    def _who(self) -> list[str]:
        return [
            self._words("description"),
            *(
                f"{title}: {text}"
                for title, name in (("Personality", "personality"), ("Scenario", "scenario"))
                if (text := self._words(name))
            ),
        ]

    def _description(self) -> str:
        creator = " ".join(inert(self._text("creator")).split())
        return f"A character by {creator}"[:100] if creator else ""

    def _ask_system(self, about: str) -> str | None:
        """None where the template's prompt is right, which is where the card brings no instructions."""
        first, last = self._text("system_prompt"), self._text("post_history_instructions")
        if not first.strip() and not last.strip():
            return None
        who = f"You are an imitation of {self._name}, a character somebody made up."
        # By a macro: a name with one in it would be replaced, and grow, again and again.
        original = "Answer as {{char}} would, in the first person, and keep to that voice."
        said = self._clean(first, original=original) or self._clean(original)
        about = f"About {self._name}:\n{about}" if about else ""
        ending = self._clean(last, original="")
        return "\n\n".join(part for part in (f"{who} {said}", about, ending) if part)

    # ---- how it speaks ----

    def _anchors(self) -> list[str]:
        lines = [self._text("first_mes"), *self._lines_of_examples()]
        shown: list[str] = []
        for line in lines:
            if len(shown) == _MOST_ANCHORS:
                break
            text, _rest = _split(self._clean(line, user="friend"), _ANCHOR_CHARACTERS)
            if len(text.split()) >= 4 and text not in shown:
                shown.append(text)
        return shown

    def _lines_of_examples(self) -> list[str]:
        """What the character says in the example conversations, a turn each."""
        names = {self._name, self._text("nickname"), "{{char}}", "<BOT>", "<CHAR>"}
        others = {"{{user}}", "<USER>", "You", "User"}
        speaker = re.compile(
            rf"^\s*(?:(?P<char>{_either(names)})|(?P<user>{_either(others)}))\s*:\s*", re.IGNORECASE
        )
        lines: list[list[str]] = []
        for talk in _START.split(self._text("mes_example")):
            speaking = False
            for line in talk.splitlines():
                turn = speaker.match(line)
                if turn is not None:
                    speaking = turn.group("char") is not None
                    if speaking:
                        lines.append([line[turn.end() :]])
                elif speaking:
                    lines[-1].append(line)
        return ["\n".join(parts) for parts in lines]

    # ---- what it knows ----

    def _lorebook(self) -> tuple[list[str], str, int]:
        """(what is always said, Markdown of the rest, number of entries in use)."""
        book = self._data.get("character_book")
        if not isinstance(book, dict):
            return [], "", 0
        found = book.get("entries")
        entries = list(found.values()) if isinstance(found, dict) else found
        used = [
            entry
            for entry in (entries if isinstance(entries, list) else [])
            if isinstance(entry, dict)
            and entry.get("enabled", True)
            and _string(entry, "content").strip()
        ]
        used.sort(key=_order)
        always = [self._entry_text(entry) for entry in used if entry.get("constant") is True]
        found_later = [entry for entry in used if entry.get("constant") is not True]
        title = self._clean(_string(book, "name")) or f"What {self._name} knows"
        parts = [
            f"## {self._entry_title(entry)}\n\n{self._entry_text(entry)}" for entry in found_later
        ]
        return always, "\n\n".join([f"# {title}", *parts]) if parts else "", len(used)

    def _entry_text(self, entry: Mapping[str, Any]) -> str:
        return self._clean(_DECORATOR.sub("", _string(entry, "content")))

    def _entry_title(self, entry: Mapping[str, Any]) -> str:
        keys = entry.get("keys")
        listed = (
            ", ".join(key for key in keys if isinstance(key, str)) if isinstance(keys, list) else ""
        )
        title = _string(entry, "name") or _string(entry, "comment") or listed or self._name
        return " ".join(self._clean(title).split())[:120]

    # ---- words ----

    def _text(self, name: str) -> str:
        return _string(self._data, name)

    def _words(self, name: str) -> str:
        return self._clean(self._text(name))

    def _clean(self, text: str, *, user: str = "the user", original: str = "") -> str:
        """With macros replaced, and nothing in it that a chat template would take for its own."""
        said = self._macros.replaced(
            text.replace("\r\n", "\n"), user=user, original=original
        ).strip()
        self._odd = self._odd or holds_special_tokens(said)
        return re.sub(r"\n{3,}", "\n\n", inert(said))

    def _all_warnings(self) -> list[str]:
        warnings = list(self._warnings)
        if self._odd:
            warnings.append(
                "The card held special tokens of chat templates; they were made harmless."
            )
        if self._macros.unknown:
            listed = ", ".join(sorted(self._macros.unknown)[:8])
            warnings.append(f"Macros that are not known here were taken out: {listed}.")
        if self._data.get("alternate_greetings") or self._data.get("assets"):
            warnings.append(
                "Further greetings and pictures are kept in card.json, and nothing here uses them."
            )
        notes = self._notes()
        if notes:
            warnings.append(f"The card's maker says: {notes}")
        return warnings

    def _notes(self) -> str:
        translated = self._data.get("creator_notes_multilingual")
        english = _string(translated, "en") if isinstance(translated, dict) else ""
        notes = " ".join((english or self._text("creator_notes")).split())
        return notes if len(notes) <= _NOTES_CHARACTERS else notes[:_NOTES_CHARACTERS] + "…"


def _string(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    return value if isinstance(value, str) else ""


def _order(entry: Mapping[str, Any]) -> float:
    order = entry.get("insertion_order")
    return order if isinstance(order, int | float) else 0


def _either(names: set[str]) -> str:
    found = (name.strip() for name in sorted(names, reverse=True))
    return "|".join(re.escape(name) for name in found if 0 < len(name) <= _NAME_CHARACTERS)


def _split(text: str, characters: int) -> tuple[str, str]:
    """What fits, up to the end of a paragraph, a sentence or at least a word; and the rest."""
    if len(text) <= characters:
        return text, ""
    head = text[:characters]
    for mark in ("\n\n", "\n", ". ", " "):
        end = head.rfind(mark)
        if end > characters // 2:
            end += len(mark.rstrip())
            return text[:end].strip(), text[end:].strip()
    return head, text[characters:]
