"""Read a persona's sources into its corpus, `corpora/<persona>/`.

In: the `[[sources]]` and [cleaning] of a persona.toml. Out: documents (title, date, URL, plain text),
cleaned by `training.clean`, written at once by `personae.corpus.write_corpus` with the report on cleaning.
Each kind of source is a generator of documents in its own file. What is a passage or a training sample is
decided later, by readers of the corpus.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from personae.corpus import CorpusManifest, Document, write_corpus
from personae.errors import CorpusError
from personae.files import disk_errors
from personae.persona import Persona
from personae.progress import Progress, silent
from personae.sources import (
    DiscordExportSource,
    FolderSource,
    MediumSource,
    SiteSource,
    SlackExportSource,
    SotuSource,
    Source,
    SubstackSource,
    WordpressSource,
    XArchiveSource,
)
from training.clean.clean import clean
from training.ingest.discord_export import documents_of_discord_export
from training.ingest.folder import documents_of_folder
from training.ingest.medium import documents_of_medium
from training.ingest.slack_export import documents_of_slack_export
from training.ingest.sotu import documents_of_sotu
from training.ingest.substack import documents_of_substack
from training.ingest.wordpress import documents_of_wordpress
from training.ingest.x_archive import documents_of_x_archive


def ingest(
    persona: Persona, persona_folder: Path, corpora: Path, *, progress: Progress = silent
) -> CorpusManifest:
    """Write `corpora/<persona.id>` anew; the corpus before it stays until this one is complete.

    Args:
        persona_folder: where persona.toml lies; relative paths of sources count from there.

    Raises:
        CorpusError: a source is missing, unreadable or empty; or cleaning left nothing.
        DiskFull: the corpus before it is still there.
    """
    corpora.mkdir(parents=True, exist_ok=True)
    with disk_errors(corpora, f"cleaning the corpus of {persona.id}"):
        cleaned = clean(
            _documents(persona, persona_folder, corpora, progress),
            persona.cleaning,
            language=persona.language,
            progress=progress,
            scratch=corpora,
        )
    return write_corpus(
        corpora / persona.id,
        persona.id,
        cleaned.documents,
        sources=[_described(source) for source in persona.sources],
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        cleaning=cleaned.report.words_taken,
        further=cleaned.files(),
    )


def _documents(
    persona: Persona, persona_folder: Path, corpora: Path, progress: Progress
) -> Iterator[Document]:
    doing = f"reading {persona.id}"
    done = 0
    for source in persona.sources:
        prefix = _prefix(source) if len(persona.sources) > 1 else ""
        before = done
        crawls = corpora / ".crawl" / persona.id
        for document in documents_of_source(source, persona_folder, crawls, progress):
            yield document.model_copy(update={"id": f"{prefix}{document.id}"})
            done += 1
            progress(doing, done, None)
        if done == before:
            raise CorpusError(
                f"The source `{_described(source)}` of {persona.id} gave no document at all. Check it in "
                "the persona.toml, or take it out."
            )


def documents_of_source(
    source: Source, persona_folder: Path, crawls: Path, progress: Progress
) -> Iterator[Document]:
    """The documents of one source, as they are, in the reader's order.

    Args:
        crawls: folder in which a crawl keeps its pages from run to run.

    Raises:
        CorpusError: it is missing, unreadable or empty.
    """
    match source:
        case SotuSource():
            return documents_of_sotu(source)
        case FolderSource():
            return documents_of_folder(source, persona_folder)
        case SiteSource():
            from training.ingest.site.crawl import documents_of_site

            # Options of a source change more often than its address, and pages fetched once stay good.
            return documents_of_site(source, crawls / _short_hash(source.url), progress=progress)
        case WordpressSource():
            return documents_of_wordpress(source, persona_folder)
        case XArchiveSource():
            return documents_of_x_archive(source, persona_folder)
        case MediumSource():
            return documents_of_medium(source, persona_folder)
        case SubstackSource():
            return documents_of_substack(source, persona_folder)
        case SlackExportSource():
            return documents_of_slack_export(source, persona_folder)
        case DiscordExportSource():
            return documents_of_discord_export(source, persona_folder)


_WHICH = {"path", "url", "president", "first_year", "last_year", "pattern", "author", "user"}
"""The fields that say which texts a source is; the others say how it is read."""


def _prefix(source: Source) -> str:
    """What sets the ids of one source apart from those of another: the same wherever it stands among them,
    on every machine, and however it is read."""
    which = sorted(source.model_dump(include=_WHICH, exclude_none=True).items())
    return f"{source.kind}-{_short_hash(repr(which))}/"


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _described(source: Source) -> str:
    """One line for the corpus manifest: `sotu president=Abraham Lincoln first_year=1861 …`."""
    fields = source.model_dump(exclude={"kind"}, exclude_none=True)
    return " ".join([source.kind, *(f"{name}={value}" for name, value in fields.items())])
