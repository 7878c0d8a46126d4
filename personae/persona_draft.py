"""A new persona from a few answers: `personae new` and the console fill in a draft, templates
(`personae.persona_templates`) do the rest.

In: a `PersonaDraft`, of which only id and display_name have no default. Out: a `Persona` with prompts,
limits and a disclosure that hold, its persona.toml, and warnings in words. All problems are told at once,
each with the field it is about. Folders and files are `personae.own_cast`'s business.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from personae.errors import DraftInvalid
from personae.persona import Persona, RetrievalMode
from personae.persona_templates import (
    REFUSALS,
    disclosure_of,
    language_code,
    mode_of,
    plain,
    texts_of,
)
from personae.persona_toml import persona_toml
from personae.prompt import holds_special_tokens
from personae.sources import FolderSource

WRITING = "writing"
"""The folder of a persona made here in which its uploaded writing lies."""
OWN_SOURCE = FolderSource(kind="folder", path=WRITING)

MOST_ABOUT_CHARACTERS = 12_000
"""More would leave a model no room for anything else."""
_LONG_PROMPT_CHARACTERS = 2500

Kind = Literal["author", "character"]


class RightsDraft(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    owner: str = ""
    licence: str | None = None
    consent: str | None = None
    statement: str = ""

    @property
    def given(self) -> dict[str, str]:
        fields = self.model_dump(exclude_none=True)
        return {name: text.strip() for name, text in fields.items() if text.strip()}


class PersonaDraft(BaseModel):
    """What people are asked for. Empty means: by template."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = ""
    display_name: str = ""
    kind: Kind = "author"
    """author: somebody who wrote something. character: somebody made up."""
    description: str = ""
    about: str = ""
    """Manner and subjects, in a sentence or two (of a character: everything that is so)."""
    language: str = "en"
    disclosure: str | None = None
    refusal: str | None = None
    ask_system: str | None = None
    rewrite_system: str | None = None
    mode: RetrievalMode | None = None
    style_anchors: list[str] = []
    tics: list[str] = []
    background: str = ""
    """Facts worth citing, as Markdown; they lie with the writing."""
    picture: str | None = None
    base_model: str | None = None
    sources: list[dict[str, Any]] = Field([])
    """As `[[sources]]` of persona.toml; none takes the folder of uploaded writing."""
    rights: RightsDraft | None = None
    card: dict[str, Any] | None = None
    """The character card it was made from, kept as it came."""


@dataclass(frozen=True)
class Drafted:
    """What became of a draft. Without a `persona` there are problems, as (field, sentence)."""

    persona: Persona | None
    texts: Mapping[str, str]
    """The fields that templates fill: description, disclosure, refusal, ask_system, rewrite_system."""
    file: str
    problems: list[tuple[str, str]]
    warnings: list[str]

    def checked(self) -> Persona:
        """
        Raises:
            DraftInvalid: with every problem.
        """
        if self.persona is None:
            raise DraftInvalid(self.problems)
        return self.persona


OUTSIDE = "From here only files that were uploaded for this persona can be named."


def points_outside(source: Mapping[str, Any]) -> bool:
    """Whether a source, as in `[[sources]]`, reads files that don't lie in the persona's own folder."""
    paths = (source.get(name, "") for name in ("path", "pattern"))
    return any(
        not isinstance(path, str) or path.startswith(("/", "~")) or ".." in path or "\\" in path
        for path in paths
    )


def parse_draft(data: object) -> PersonaDraft:
    """
    Raises:
        DraftInvalid: unknown fields, or fields of another type; all of them at once.
    """
    try:
        return PersonaDraft.model_validate(data)
    except ValidationError as err:
        raise DraftInvalid([_told(dict(problem)) for problem in err.errors()]) from err


_LETTERS = str.maketrans({"ø": "o", "æ": "ae", "œ": "oe", "ß": "ss", "ł": "l", "đ": "d", "þ": "th"})


def suggested_id(display_name: str) -> str:
    """An id that people can type for a name; "" where its letters give none.

    >>> suggested_id("Søren Ångström, Jr.")
    'soren-angstrom-jr'
    """
    plain = display_name.casefold().translate(_LETTERS)
    plain = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
    return re.sub(r"^[^a-z]+", "", re.sub(r"[^a-z0-9]+", "-", plain))[:32].strip("-")


def drafted(draft: PersonaDraft, *, from_afar: bool = False) -> Drafted:
    """The persona of a draft, or everything that stands in its way.

    Args:
        from_afar: it came over the network, so its sources may not read this machine's other files.
    """
    texts = texts_of(draft)
    fields = _fields(draft, texts)
    problems = _own_checks(draft)
    if from_afar:
        problems += [
            (f"sources.{number}.path", OUTSIDE)
            for number, source in enumerate(draft.sources)
            if points_outside(source)
        ]
    if (
        "imitation" not in texts["disclosure"].lower()
    ):  # the persona's own check comes only after all others
        problems.append(
            ("disclosure", f'Say that it is an imitation, for example "{disclosure_of(draft)}"')
        )
    persona = None
    try:
        persona = Persona.model_validate(fields)
    except ValidationError as err:
        problems += [_told(dict(problem)) for problem in err.errors() if problem["loc"]]
    if problems or persona is None:
        return Drafted(None, texts, "", sorted(problems), _warnings(draft, texts))
    text = persona_toml(persona, heading=_heading(draft), rights_note=_rights_note(persona))
    return Drafted(persona, texts, text, [], _warnings(draft, texts))


# ---- to a persona ----------------------------------------------------------------------------------------


def _fields(draft: PersonaDraft, texts: Mapping[str, str]) -> dict[str, Any]:
    sampling = {"temperature": 0.6, "top_p": 0.9, "repetition_penalty": 1.05, "max_tokens": 320}
    rewriting = {**sampling, "temperature": 0.5, "max_tokens": 600}
    rights = draft.rights.given if draft.rights else {}
    return {
        "id": draft.id.strip(),
        "display_name": " ".join(draft.display_name.split()),
        "description": texts["description"],
        "disclosure": texts["disclosure"],
        "refusal": texts["refusal"],
        "picture": (draft.picture or "").strip() or None,
        "language": draft.language.strip() or "en",
        "base_model": (draft.base_model or "").strip() or None,
        "ask": {"system": texts["ask_system"], "sampling": sampling},
        "rewrite": {"system": texts["rewrite_system"], "sampling": rewriting},
        "retrieval": {"mode": mode_of(draft)},
        "sources": _sources(draft),
        "style_anchors": [plain(anchor) for anchor in draft.style_anchors],
        # What somebody made up is short, and made of lists and quotations: all of it counts.
        "cleaning": _MADE_UP if draft.kind == "character" else {},
        "tics": draft.tics,
        "rights": rights or None,
    }


def _sources(draft: PersonaDraft) -> list[dict[str, Any]]:
    own = OWN_SOURCE.model_dump()
    if draft.sources and (not draft.background.strip() or own in draft.sources):
        return draft.sources
    return [*draft.sources, own]


_MADE_UP = {
    "boilerplate": False, "quotes": False, "personal_data": False, "lists": False, "min_words": 3
}  # fmt: skip
_PLACES = {"ask.system": "ask_system", "rewrite.system": "rewrite_system", "retrieval.mode": "mode"}


def _told(problem: Mapping[str, Any]) -> tuple[str, str]:
    """(field of the draft, sentence) of one validation problem."""
    parts = [str(part) for part in problem["loc"]]
    if len(parts) > 2 and parts[0] == "sources":
        parts = [parts[0], parts[1], *parts[3:]]  # without the kind, which pydantic puts in between
    place = ".".join(parts)
    field = _PLACES.get(place, place)
    kind, given = problem["type"], problem.get("input")
    if field == "id":
        what = "Choose an id" if not given else f'"{str(given)[:40]}" can\'t be typed as an id'
        return field, f"{what}: a small letter, then up to 31 small letters, digits, - or _."
    if kind == "string_pattern_mismatch" and parts[0] == "sources":
        return field, "An address begins with https:// or http:// and has no spaces."
    if kind == "union_tag_invalid":
        return field, f"There is no such kind of source. Kinds: {problem['ctx']['expected_tags']}."
    if kind == "missing" or given in ("", None, []) or kind == "string_too_short":
        return field, "This is missing; fill it in."
    if kind == "extra_forbidden":
        return field, "There is no such field; remove it."
    if kind == "string_too_long":
        return field, f"At most {problem['ctx']['max_length']} characters, please."
    return field, _sentence(str(problem["msg"]).removeprefix("Value error, "))


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else text + "."


def _own_checks(draft: PersonaDraft) -> list[tuple[str, str]]:
    texts = {
        "about": draft.about,
        "ask_system": draft.ask_system or "",
        "rewrite_system": draft.rewrite_system or "",
        "refusal": draft.refusal or "",
    }
    problems = [
        (field, "This holds special tokens of chat templates, such as <|im_end|>. Take them out.")
        for field, text in texts.items()
        if holds_special_tokens(text)
    ]
    if len(draft.about) > MOST_ABOUT_CHARACTERS:
        most = f"{MOST_ABOUT_CHARACTERS:,}"
        problems.append(
            ("about", f"At most {most} characters, please; put what are facts into the background.")
        )
    if not draft.display_name.replace("\t", " ").strip().isprintable():
        problems.append(("display_name", "This holds characters that nobody sees. Type it anew."))
    return problems


def _warnings(draft: PersonaDraft, texts: Mapping[str, str]) -> list[str]:
    warnings = []
    if not draft.about.strip() and not draft.ask_system:
        warnings.append(
            "Nothing is said of the manner. A sentence or two on how this person writes, and of what, helps "
            "until a voice is trained."
        )
    rights = draft.rights.given if draft.rights else {}
    if not {"owner", "statement"} <= rights.keys() or not {"licence", "consent"} & rights.keys():
        warnings.append(
            "The rights are not complete (owner, statement, and licence or consent): it answers "
            "nevertheless, but a voice trained for it can only be tried, not published."
        )
    if len(texts["ask_system"]) > _LONG_PROMPT_CHARACTERS:
        tokens = len(texts["ask_system"]) // 4
        warnings.append(
            f"The prompt of questions takes about {tokens:,} tokens of every request; that leaves less for "
            "passages and answers, and small models lose the thread. What are facts rather than manner is "
            "better kept as background, where it is found when it is needed."
        )
    if (
        draft.kind == "author"
        and language_code(draft.language) not in REFUSALS
        and not draft.refusal
    ):
        warnings.append(f'What it says when it knows nothing is in English: "{texts["refusal"]}"')
    if draft.card is not None:
        warnings.append(
            "A character card holds no writing, so there is nothing to train a voice from: it speaks by "
            "its prompt."
        )
    return warnings


def _heading(draft: PersonaDraft) -> str:
    whence = (
        "from a character card (card.json)" if draft.card is not None else "with `personae new`"
    )
    return (
        f"{' '.join(draft.display_name.split())}. Made {whence}; yours to edit.\n"
        "Every key is explained in docs/persona-file.md; a running gateway takes changes up by itself.\n"
        "Changing a `system` prompt means training the voice again.\n"
    )


def _rights_note(persona: Persona) -> str:
    if persona.rights is None:
        return (
            "[rights] with owner, statement, and licence or consent: until they are here, a trained voice "
            "can be\ntried on this machine and not published."
        )
    if persona.rights.licence is None and persona.rights.consent is None:
        return "Add `licence` or `consent` when you have one: until then a trained voice can't be published."
    return ""
