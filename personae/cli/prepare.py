"""What `personae up` needs on disk, made if it is missing: models, corpora, adapters, indexes.

Each part is complete or absent (it is written aside and renamed), so an interrupted run goes on where
it stopped, and a second run finds everything and does nothing.
"""

from __future__ import annotations

from personae.cli.terminal import say
from personae.config import Config
from personae.corpus import stream_corpus
from personae.errors import AdapterError, CorpusError, ModelError, PersonaeError
from personae.files import one_at_a_time
from personae.persona import Cast, Persona
from personae.progress import Progress
from personae.registry import Registry
from personae.weights import model_folder, read_model_manifest

LOCK_FILE = ".preparing"
_LOCAL_SOURCES = (
    "sotu", "folder", "wordpress", "x_archive", "medium", "substack", "slack_export", "discord_export"
)  # fmt: skip
"""Kinds of sources that are read without a network, and so without being asked."""


def prepare(config: Config, cast: Cast, *, progress: Progress) -> None:
    """Make what is missing. Of gateways that share a home one does it, and the others wait.

    Raises:
        ModelError, DiskFull: the server can't run without.
    """
    with one_at_a_time(config.home / LOCK_FILE, tell=say):
        for engine in config.all_engines:
            if engine.url is None:
                ensure_model(config, engine.base_model, progress=progress)
        for model_id in config.retrieval.models:
            ensure_model(config, model_id, progress=progress)
        for persona in cast.values():
            try:
                ensure_corpus(config, cast, persona, progress=progress)
                ensure_index(config, persona, progress=progress)
            except CorpusError as err:
                # One persona's broken corpus must not keep the others from answering.
                say(f"  {persona.id}: {err}")
            import_shipped_adapters(config, cast, persona)


def ensure_model(config: Config, model_id: str, *, progress: Progress) -> None:
    """Fetch a model that is not there yet."""
    try:
        read_model_manifest(model_folder(config.models, model_id))
        return
    except ModelError:
        pass
    from training.models.fetch import fetch_model

    say(f"Preparing the model {model_id} (once)")
    fetch_model(model_id, config.models, progress=progress, tell=say)


def ensure_corpus(config: Config, cast: Cast, persona: Persona, *, progress: Progress) -> None:
    """Ingest a persona's writing where that needs no network and was not done yet."""
    if (config.corpora / persona.id / "manifest.json").is_file():
        return
    if not all(source.kind in _LOCAL_SOURCES for source in persona.sources):
        return
    from training.ingest.ingest import ingest

    say(f"Reading the writing of {persona.display_name} (once)")
    ingest(persona, cast.folder(persona.id), config.corpora, progress=progress)


def ensure_index(config: Config, persona: Persona, *, progress: Progress) -> None:
    """Index a corpus that has no index of this corpus by this embedder."""
    corpus = config.corpora / persona.id
    if not corpus.is_dir():
        return
    from serving.retrieval.build import build_index
    from serving.retrieval.embedder import Embedder
    from serving.retrieval.snapshot import is_current

    manifest, _documents = stream_corpus(corpus)
    embedder = Embedder(model_folder(config.models, config.retrieval.embedder), threads=2)
    if is_current(
        config.indexes,
        persona.id,
        corpus_sha256=manifest.documents_sha256,
        embedder=embedder,
        language=persona.language,
    ):
        return
    say(f"Indexing {manifest.documents:,} documents of {persona.display_name} (once)")
    build_index(
        persona.id, corpus, config.indexes, embedder, language=persona.language, progress=progress
    )


def import_shipped_adapters(config: Config, cast: Cast, persona: Persona) -> None:
    """Copy adapters that came with the persona's folder into the registry."""
    try:
        Registry(config.adapters).import_shipped(persona.id, cast.folder(persona.id))
    except AdapterError as err:
        say(f"  {persona.id}: {err}")


def missing(config: Config, cast: Cast) -> list[str]:
    """What `prepare` would make, in words. Empty when all is there."""
    lacking = []
    models = [engine.base_model for engine in config.all_engines if engine.url is None]
    models.append(config.retrieval.embedder)
    for model_id in models:
        try:
            read_model_manifest(model_folder(config.models, model_id))
        except PersonaeError:
            lacking.append(f"model {model_id}")
    for persona in cast.values():
        if not (config.corpora / persona.id / "manifest.json").is_file():
            lacking.append(f"corpus of {persona.id}")
    return lacking
