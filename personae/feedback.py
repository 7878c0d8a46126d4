"""Answers that people judged or wrote better, with all that their prompts were made of.

The gateway keeps them in its database (`serving.feedback`) and lays an operator's revisions where training
finds them: `feedback/<persona>/revisions.jsonl`, one `Revision` a line, the newest first. No person is in
there. A prompt is rendered again by `personae.prompt`, from the passages as they were shown.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from personae.feedback_wire import Rating
from personae.files import write_atomic
from personae.persona import Persona
from personae.prompt import Message, PromptPassage, render_ask, render_rewrite
from personae.wire import Strength, Turn

log = logging.getLogger(__name__)

REVISIONS = "revisions.jsonl"
BASE_ALONE = "base"
"""Stands in the place of a version where the base model alone answered, in a comparison."""


class _Noun(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ShownPassage(_Noun):
    """A passage that stood in a prompt."""

    name: str
    """`Citation.passage`."""
    title: str = ""
    date: str = ""
    text: str = ""
    """As shown; empty where it could not be found any more when the answer was judged."""


class Answered(_Noun):
    """An answer, and what its prompt was made of."""

    request_id: str
    persona: str
    task: Literal["ask", "rewrite"]
    adapter_version: str | None
    base_model: str
    prompt_fingerprint: str
    strength: Strength
    quoted: bool
    """No model wrote it."""
    question: str
    history: list[Turn]
    passages: list[ShownPassage]
    answer: str
    at: str
    """When it was judged."""

    @property
    def can_teach(self) -> bool:
        """Whether a persona wrote it, and its prompt can be rendered as it was, and is the one an adapter is
        trained on.

        A lighter or stronger rewrite has that prompt too, but the adapter at another strength: it would teach
        what nobody asked for.
        """
        if self.adapter_version == BASE_ALONE:
            return False
        return self.strength == "normal" and all(passage.text for passage in self.passages)

    def prompt(self, persona: Persona) -> list[Message]:
        """As a persona with an adapter is prompted today."""
        if self.task == "rewrite":
            return render_rewrite(persona, self.question)
        shown = [
            PromptPassage(title=passage.title, date=passage.date, text=passage.text)
            for passage in self.passages
        ]
        history: list[Message] = [
            {"role": turn.role, "content": turn.content} for turn in self.history
        ]
        return render_ask(persona, self.question, shown, history=history)


class Rated(Answered):
    """An answer that somebody liked or did not."""

    rating: Rating
    reason: str
    rejected: str
    """The answer it replaced, or empty."""


class Revision(Answered):
    """An answer that an operator wrote better."""

    revision: str


def revisions_file(feedback: Path, persona: str) -> Path:
    return feedback / persona / REVISIONS


def write_revisions(feedback: Path, persona: str, revisions: Sequence[Revision]) -> None:
    """Replace the file; without revisions there is none.

    Raises:
        DiskFull: the file before is kept.
    """
    path = revisions_file(feedback, persona)
    if revisions:
        write_atomic(path, lines_of(revisions), mode=0o600)
    else:
        path.unlink(missing_ok=True)


def lines_of(revisions: Sequence[Revision]) -> str:
    return "".join(f"{revision.model_dump_json()}\n" for revision in revisions)


def read_revisions(feedback: Path, persona: str) -> list[Revision]:
    """In the order of the file; a line that can't be read is passed over, and logged."""
    path = revisions_file(feedback, persona)
    if not path.is_file():
        return []
    found = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            revision = Revision.model_validate_json(line)
        except ValidationError:
            log.warning("%s: line %d is no revision and was left out", path, number)
            continue
        if revision.persona == persona:
            found.append(revision)
    return found
