"""Personas that were made here: `<home>/cast/<id>/` with persona.toml, writing/, exports/ and, of some,
card.json.

In: drafts. Out: folders that are whole whenever somebody looks (a running gateway takes them up by itself).
Personas of other folders are never touched. One that is removed is moved to `<home>/removed`, with all that
was made for it. Files of writing are `personae.own_writing`'s business.
"""

from __future__ import annotations

import json
import re
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path

from personae.config import Config
from personae.errors import PersonaFileError, PersonaFixed, PersonaTaken, UnknownPersona
from personae.files import disk_errors, write_atomic
from personae.persona import PERSONA_ID_PATTERN, Persona, load_persona
from personae.persona_draft import WRITING, PersonaDraft, drafted

PERSONA_FILE = "persona.toml"
CARD_FILE = "card.json"
BACKGROUND = "background.md"


class OwnCast:
    """The folder of personas made here. Calls may come from several threads."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._root = config.own_cast
        self.one_writer = threading.Lock()
        """Of persona files that are changed."""

    def folder(self, persona_id: str) -> Path:
        """
        Raises:
            UnknownPersona, PersonaFixed: there is none; it lies in a folder of somebody else's.
        """
        if not re.fullmatch(PERSONA_ID_PATTERN, persona_id):
            raise UnknownPersona(f'There is no persona "{persona_id[:40]}".')
        folder = self._root / persona_id
        if (folder / PERSONA_FILE).is_file():
            return folder
        for other in self._config.cast:
            if (other / persona_id / PERSONA_FILE).is_file():
                raise PersonaFixed(
                    f"{persona_id} was not made here: its file is {other / persona_id / PERSONA_FILE}. "
                    "Change it there."
                )
        raise UnknownPersona(f'There is no persona "{persona_id}".')

    def create(self, draft: PersonaDraft, *, from_afar: bool = False) -> Path:
        """Make the folder of a persona, at once.

        Args:
            from_afar: as `drafted`'s.

        Raises:
            DraftInvalid: with every problem.
            PersonaTaken: there is one of that id.
        """
        made = drafted(draft, from_afar=from_afar)
        persona = made.checked()
        self._require_free(persona.id)
        with disk_errors(self._root, f"making {persona.id}"):
            self._root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(
                dir=self._config.home, prefix=".new-persona-"
            ) as scratch:
                aside = Path(scratch) / persona.id
                (aside / WRITING).mkdir(parents=True)
                (aside / PERSONA_FILE).write_text(made.file, encoding="utf-8")
                load_persona(aside / PERSONA_FILE)
                if draft.background.strip():
                    text = draft.background.strip() + "\n"
                    (aside / WRITING / BACKGROUND).write_text(text, encoding="utf-8")
                if draft.card is not None:
                    card = json.dumps(draft.card, ensure_ascii=False, indent=2)
                    (aside / CARD_FILE).write_bytes(card.encode("utf-8", "surrogatepass"))
                try:
                    aside.rename(self._root / persona.id)
                except OSError as err:
                    if (self._root / persona.id).exists():  # by somebody else, meanwhile
                        raise self._taken(persona.id, self._root / persona.id) from err
                    raise
        return self._root / persona.id

    def remove(self, persona_id: str) -> Path:
        """Put a persona away, with its corpus, indexes, versions and runs; gives the folder it is kept in.

        Raises:
            UnknownPersona, PersonaFixed
        """
        folder = self.folder(persona_id)
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        self._config.removed.mkdir(parents=True, exist_ok=True)
        kept = Path(tempfile.mkdtemp(dir=self._config.removed, prefix=f"{persona_id}-{now}-"))
        folder.rename(kept / "persona")  # first: from now on nobody makes anything for it
        for made in self._made_for(persona_id):
            if made.exists():
                made.rename(kept / made.parent.name)
        return kept

    def edit(self, folder: Path, text: str) -> Persona:
        """Put a changed file in place, once it is known to be read."""
        with tempfile.TemporaryDirectory(dir=self._config.home, prefix=".edit-") as scratch:
            aside = Path(scratch) / folder.name / PERSONA_FILE
            aside.parent.mkdir()
            aside.write_text(text, encoding="utf-8")
            try:
                persona = load_persona(aside)
            except PersonaFileError as err:
                raise PersonaFileError(folder / PERSONA_FILE, err.problems) from err
        write_atomic(folder / PERSONA_FILE, text)
        return persona

    def _require_free(self, persona_id: str) -> None:
        for cast in self._config.cast:
            if (cast / persona_id).exists():
                raise self._taken(persona_id, cast / persona_id)
        for kept in sorted(self._config.removed.glob(f"{persona_id}-*Z-*")):
            if (kept / "adapters").is_dir():
                raise PersonaTaken(
                    f"There was a trained persona {persona_id}, and what people said of its answers is "
                    "still kept under that id. Choose another id. (To have it back, move "
                    f"{kept / 'persona'} to {self._root / persona_id} and the other folders to where they "
                    "were.)"
                )

    def _taken(self, persona_id: str, where: Path) -> PersonaTaken:
        return PersonaTaken(f"The id {persona_id} is taken ({where}). Choose another one.")

    def _made_for(self, persona_id: str) -> list[Path]:
        config = self._config
        made = (config.corpora, config.indexes, config.adapters, config.variants, config.runs)
        return [folder / persona_id for folder in made]
