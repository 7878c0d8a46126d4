"""The writing of personas that were made here: files that are handed over, exports, further sources.

In: files that came from anywhere, sources. Out: `<home>/cast/<id>/writing/` and `exports/`, and a
persona.toml that names them as sources. What somebody edited in that file by hand stays: sources are added
to its text.

    writing/    texts and books; one source of kind "folder"
    exports/    exports of other places as they came; each a source of its own
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from personae.errors import DraftInvalid, UploadRefused
from personae.files import disk_errors
from personae.own_cast import PERSONA_FILE, OwnCast
from personae.persona import load_persona
from personae.persona_draft import OUTSIDE, OWN_SOURCE, WRITING, points_outside
from personae.persona_toml import with_source, without_source
from personae.sources import Source
from personae.uploads import READABLE, export_kind, lay_text, safe_name, unpacked_texts

EXPORTS = "exports"

_MOST_FILES = 50_000
_sources: TypeAdapter[Source] = TypeAdapter(Source)


@dataclass
class Uploaded:
    """What became of handed-over files."""

    taken: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    """(name, why)"""
    notes: list[str] = field(default_factory=list)


class OwnWriting:
    """Calls may come from several threads.

    Args:
        most_bytes: that writing and exports of one persona may take together.
    """

    def __init__(self, own: OwnCast, *, most_bytes: int = 2 << 30) -> None:
        self._own = own
        self._most_bytes = most_bytes

    def files(self, persona_id: str) -> list[tuple[str, int]]:
        """(name, bytes) of each file of writing and each export, by name."""
        folder = self._own.folder(persona_id)
        found = []
        for part in (WRITING, EXPORTS):
            for path in sorted((folder / part).rglob("*")):
                if path.is_file() and not path.is_symlink():
                    name = path.relative_to(folder if part == EXPORTS else folder / part)
                    found.append((name.as_posix(), path.stat().st_size))
        return found

    def sources(self, persona_id: str) -> list[dict[str, Any]]:
        persona = load_persona(self._own.folder(persona_id) / PERSONA_FILE)
        return [
            source.model_dump(exclude_defaults=True, exclude_none=True) | {"kind": source.kind}
            for source in persona.sources
        ]

    def take(
        self, persona_id: str, files: Sequence[tuple[str, Path]], *, user: str = ""
    ) -> Uploaded:
        """Take files over as writing: texts and books as they are, zips of them unpacked, exports whole.

        Args:
            files: (name, where it lies now); they may be moved.
            user: whose messages, of exports that hold everybody's.
        """
        folder = self._own.folder(persona_id)
        outcome = Uploaded()
        with self._own.one_writer, disk_errors(folder, f"taking files for {persona_id}"):
            room = self._room(folder)
            for given, path in files:
                size = path.stat().st_size
                try:
                    if size > room:
                        most = f"{self._most_bytes >> 20:,} MB"
                        raise UploadRefused(f"A persona's writing may take {most} in all.")
                    self._take_one(folder, given, path, user.strip(), outcome, room)
                except UploadRefused as err:
                    outcome.refused.append((given[:200], str(err)))
                unpacked = given.lower().endswith(".zip")
                room = self._room(folder) if unpacked else room - size
            self._match_sources(folder)
        return outcome

    def drop(self, persona_id: str, name: str) -> None:
        """Delete one file of writing, or one export with its source.

        Raises:
            UploadRefused: there is none of that name.
        """
        folder = self._own.folder(persona_id)
        safe = safe_name(name)
        export = safe.startswith(f"{EXPORTS}/") and Path(safe).suffix.lower() not in READABLE
        path = folder / safe if export else folder / WRITING / safe
        with self._own.one_writer:
            if not path.is_file() or path.is_symlink():
                raise UploadRefused(f'{persona_id} has no file "{safe}".')
            sources = load_persona(folder / PERSONA_FILE).sources
            for source in sources:
                if getattr(source, "path", None) == safe:
                    text = without_source(self._text(folder), source)
                    self._own.edit(
                        folder, text if len(sources) > 1 else with_source(text, OWN_SOURCE)
                    )
            path.unlink()
            self._match_sources(folder)

    def add_source(self, persona_id: str, data: object) -> None:
        """Add one of `[[sources]]`, which came over the network, to the persona's file.

        Raises:
            DraftInvalid: it is none, or reads what was not uploaded for this persona.
        """
        folder = self._own.folder(persona_id)
        if isinstance(data, dict) and points_outside(data):
            raise DraftInvalid([("path", OUTSIDE)])
        try:
            source = _sources.validate_python(data)
        except ValidationError as err:
            problems = [
                (".".join(str(part) for part in problem["loc"][1:]) or "kind", str(problem["msg"]))
                for problem in err.errors()
            ]
            raise DraftInvalid(problems) from err
        with self._own.one_writer:
            self._add(folder, source)
            self._match_sources(folder)

    # ---- inside ----

    def _take_one(
        self, folder: Path, given: str, path: Path, user: str, outcome: Uploaded, room: int
    ) -> None:
        name = safe_name(given)
        suffix = Path(name).suffix.lower()
        if suffix in READABLE:
            self._lay(folder, name, path, outcome)
            return
        kind = export_kind(path, name) if suffix in (".zip", ".xml") else None
        if kind is not None:
            self._keep_export(folder, kind, name, path, user, outcome)
        elif suffix == ".zip":
            with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
                for member, place in unpacked_texts(path, Path(scratch), most_bytes=room):
                    self._lay(folder, f"{Path(name).stem}/{member}", place, outcome)
        else:
            raise UploadRefused(
                "Files of this kind are not read. Save it as text, Markdown, HTML or EPUB, or send the "
                "export of WordPress, Medium, Substack, X, Slack or Discord as it was downloaded."
            )

    def _lay(self, folder: Path, name: str, path: Path, outcome: Uploaded) -> None:
        if len(outcome.taken) >= _MOST_FILES:
            raise UploadRefused(
                f"More than {_MOST_FILES:,} files. Put texts together, or send a book."
            )
        try:
            note = lay_text(path, folder / WRITING / name)
        except UploadRefused as err:
            outcome.refused.append((name, str(err)))
            return
        except (IsADirectoryError, FileExistsError, NotADirectoryError):
            outcome.refused.append(
                (name, "There is a folder of that name, or a file where one must be.")
            )
            return
        outcome.taken.append(name)
        if note:
            outcome.notes.append(f"{name} {note}.")

    def _keep_export(
        self, folder: Path, kind: str, name: str, path: Path, user: str, outcome: Uploaded
    ) -> None:
        place = f"{EXPORTS}/{Path(name).name}"
        data = {"kind": kind, "path": place}
        if kind == "slack_export":
            if not user:
                raise UploadRefused(
                    "This Slack export holds everybody's messages: say whose to take (id, name or e-mail), "
                    "and send it again."
                )
            data["user"] = user
        elif user and kind == "wordpress":
            data["author"] = user
        (folder / EXPORTS).mkdir(exist_ok=True)
        shutil.move(path, folder / place)
        self._add(folder, _sources.validate_python(data))
        outcome.taken.append(place)
        outcome.notes.append(f"{place} is read as an export ({kind.replace('_', ' ')}).")

    def _add(self, folder: Path, source: Source) -> None:
        persona = load_persona(folder / PERSONA_FILE)
        text = self._text(folder)
        for other in persona.sources:
            if other == source:
                return
            if getattr(other, "path", None) == getattr(source, "path", object()):
                text = without_source(text, other)  # the same file, read otherwise
        self._own.edit(folder, with_source(text, source))

    def _match_sources(self, folder: Path) -> None:
        """The folder of writing is a source where it holds any, or where there is no other."""
        sources = load_persona(folder / PERSONA_FILE).sources
        there = OWN_SOURCE in sources
        wanted = len(sources) - there == 0 or any(
            path.suffix.lower() in READABLE for path in (folder / WRITING).rglob("*")
        )
        if wanted and not there:
            self._own.edit(folder, with_source(self._text(folder), OWN_SOURCE))
        elif there and not wanted:
            self._own.edit(folder, without_source(self._text(folder), OWN_SOURCE))

    def _text(self, folder: Path) -> str:
        return (folder / PERSONA_FILE).read_text(encoding="utf-8")

    def _room(self, folder: Path) -> int:
        used = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        return max(0, self._most_bytes - used)
