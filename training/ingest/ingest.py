"""Read a persona's sources into its corpus, `corpora/<persona>/`.

In: the `[[sources]]` of a persona.toml. Out: documents (title, date, URL, plain text), written at once
by `personae.corpus.write_corpus`. Each kind of source is a generator of documents in its own file.
What is a passage or a training sample is decided later, by readers of the corpus.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from personae.corpus import CorpusManifest, Document, write_corpus
from personae.errors import CorpusError
from personae.persona import Persona
from personae.progress import Progress, silent
from personae.sources import FolderSource, SotuSource, Source
from training.ingest.folder import documents_of_folder
from training.ingest.sotu import documents_of_sotu


def ingest(
    persona: Persona, persona_folder: Path, corpora: Path, *, progress: Progress = silent
) -> CorpusManifest:
    """Write `corpora/<persona.id>` anew; the corpus before it stays until this one is complete.

    Args:
        persona_folder: where persona.toml lies; relative paths of sources count from there.

    Raises:
        CorpusError: a source is missing, unreadable or empty, or of a kind that can't be read yet.
        DiskFull: the corpus before it is still there.
    """
    return write_corpus(
        corpora / persona.id,
        persona.id,
        _documents(persona, persona_folder, progress),
        sources=[_described(source) for source in persona.sources],
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _documents(persona: Persona, persona_folder: Path, progress: Progress) -> Iterator[Document]:
    doing = f"reading {persona.id}"
    done = 0
    for source in persona.sources:
        match source:
            case SotuSource():
                documents = documents_of_sotu(source)
            case FolderSource():
                documents = documents_of_folder(source, persona_folder)
            case _:
                raise CorpusError(
                    f"{persona.id} has a source of kind {source.kind}, which this version of personae "
                    "can't fetch yet. Save its pages as Markdown, text or HTML files and name their "
                    'folder in persona.toml: kind = "folder", path = "…".'
                )
        for document in documents:
            yield document
            done += 1
            progress(doing, done, None)


def _described(source: Source) -> str:
    """One line for the corpus manifest: `sotu president=Abraham Lincoln first_year=1861 …`."""
    fields = source.model_dump(exclude={"kind"}, exclude_none=True)
    return " ".join([source.kind, *(f"{name}={value}" for name, value in fields.items())])
