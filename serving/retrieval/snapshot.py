"""An index snapshot on disk: passages and their vectors, written once under a name of its own.

    indexes/<persona>/<name>/passages.sqlite   table passages(row, document_id, number, title, …)
                             dense.faiss       inner-product index; row i is passage i
                             manifest.json     written last: embedder, chunker, corpus, counts
    indexes/<persona>/CURRENT                  the name of the snapshot in use, replaced atomically

A reader that opened a snapshot keeps it while a newer one is built and put in its place.
"""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from personae.corpus import CHUNKER_VERSION, Passage, cut_passages, read_corpus
from personae.errors import CorpusError
from personae.files import folder_written_aside, sha256_of, write_atomic
from personae.progress import Progress, silent
from serving.retrieval.embedder import TextEmbedder

PASSAGES = "passages.sqlite"
VECTORS = "dense.faiss"
MANIFEST = "manifest.json"
CURRENT = "CURRENT"


class IndexManifest(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    persona: str
    embedder: str
    embedder_weights_sha256: str
    chunker_version: int
    corpus_sha256: str
    passages: int
    dimensions: int
    files: dict[str, str]
    created_at: str


@dataclass(frozen=True)
class Hit:
    """A passage and its cosine to the query, in [-1, 1]."""

    passage: Passage
    similarity: float


class Snapshot:
    """An open snapshot. `search` may be called from several threads at once."""

    def __init__(self, manifest: IndexManifest, passages: Sequence[Passage], vectors: faiss.Index):
        self.manifest = manifest
        self._passages = list(passages)
        self._vectors = vectors

    def __len__(self) -> int:
        return len(self._passages)

    def search(self, query: np.ndarray, limit: int) -> list[Hit]:
        """The nearest passages, best first.

        Args:
            query: (1, dim) float32, L2-normalised.
        """
        limit = min(limit, len(self._passages))
        if limit <= 0:
            return []
        similarities, rows = self._vectors.search(query, limit)
        return [
            Hit(self._passages[row], float(similarity))
            for row, similarity in zip(rows[0].tolist(), similarities[0].tolist(), strict=True)
            if row >= 0
        ]


def build_index(
    persona: str,
    corpus: Path,
    indexes: Path,
    embedder: TextEmbedder,
    *,
    progress: Progress = silent,
) -> IndexManifest:
    """Cut a corpus into passages, embed them, write a snapshot, test it and make it current.

    Raises:
        CorpusError: the corpus is missing or damaged, or the snapshot failed its own test.
        DiskFull: nothing was kept.
    """
    corpus_manifest, documents = read_corpus(corpus)
    passages = [passage for document in documents for passage in cut_passages(document)]
    if not passages:
        raise CorpusError(f"The documents of {persona} hold no text. Check its [[sources]].")
    vectors = embedder.embed([_indexed_text(passage) for passage in passages], progress=progress)
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    now = datetime.datetime.now(datetime.UTC)
    name = f"{now:%Y%m%dT%H%M%S%f}-{corpus_manifest.documents_sha256[:8]}"
    with folder_written_aside(indexes / persona / name, f"indexing {persona}") as aside:
        _write_passages(aside / PASSAGES, passages)
        faiss.write_index(index, str(aside / VECTORS))
        manifest = IndexManifest(
            persona=persona,
            embedder=embedder.id,
            embedder_weights_sha256=embedder.weights_sha256,
            chunker_version=CHUNKER_VERSION,
            corpus_sha256=corpus_manifest.documents_sha256,
            passages=len(passages),
            dimensions=int(vectors.shape[1]),
            files={file: sha256_of(aside / file) for file in (PASSAGES, VECTORS)},
            created_at=now.isoformat(timespec="seconds"),
        )
        (aside / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        _self_test(open_snapshot(aside, embedder), vectors)
    write_atomic(indexes / persona / CURRENT, name + "\n")
    return manifest


def current_snapshot(indexes: Path, persona: str) -> Path | None:
    """Folder of the snapshot in use; None when the persona was never indexed."""
    try:
        name = (indexes / persona / CURRENT).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    return indexes / persona / name


def read_index_manifest(folder: Path) -> IndexManifest:
    """Raises CorpusError when it is missing or unreadable."""
    try:
        return IndexManifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError) as err:
        raise CorpusError(f"There is no complete index in {folder}. {_again(folder)}") from err
    except ValidationError as err:
        raise CorpusError(f"{folder / MANIFEST} can't be read. {_again(folder)}") from err


def is_current(indexes: Path, persona: str, *, corpus_sha256: str, embedder: TextEmbedder) -> bool:
    """Whether the snapshot in use was made of this corpus, by this embedder and chunker."""
    folder = current_snapshot(indexes, persona)
    if folder is None:
        return False
    try:
        manifest = read_index_manifest(folder)
    except CorpusError:
        return False
    return (
        manifest.corpus_sha256 == corpus_sha256
        and manifest.chunker_version == CHUNKER_VERSION
        and manifest.embedder_weights_sha256 == embedder.weights_sha256
    )


def open_snapshot(folder: Path, embedder: TextEmbedder) -> Snapshot:
    """Open and check a snapshot.

    Raises:
        CorpusError: files are missing or damaged, or another embedder made it.
    """
    manifest = read_index_manifest(folder)
    if manifest.embedder_weights_sha256 != embedder.weights_sha256:
        raise CorpusError(
            f"{folder} was made with the embedder {manifest.embedder}, and this server runs "
            f"{embedder.id}. {_again(folder)}"
        )
    for file, expected in manifest.files.items():
        path = folder / file
        if not path.is_file() or sha256_of(path) != expected:
            raise CorpusError(f"{path} is missing or damaged. {_again(folder)}")
    try:
        vectors = faiss.read_index(str(folder / VECTORS))
        passages = _read_passages(folder / PASSAGES)
    except (RuntimeError, sqlite3.Error) as err:
        raise CorpusError(f"The index in {folder} can't be read ({err}). {_again(folder)}") from err
    if vectors.ntotal != manifest.passages or len(passages) != manifest.passages:
        raise CorpusError(
            f"The index in {folder} holds other numbers than it says. {_again(folder)}"
        )
    return Snapshot(manifest, passages, vectors)


def _again(folder: Path) -> str:
    return f"Build it again with `personae index build {folder.parent.name}`."


def _indexed_text(passage: Passage) -> str:
    """What is embedded: the title gives a passage the subject that its sentences may not name."""
    return f"{passage.title}\n{passage.text}"


def _write_passages(path: Path, passages: Sequence[Passage]) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "CREATE TABLE passages (row INTEGER PRIMARY KEY, document_id TEXT NOT NULL, "
            "number INTEGER NOT NULL, title TEXT NOT NULL, date TEXT NOT NULL, url TEXT NOT NULL, "
            "text TEXT NOT NULL)"
        )
        database.executemany(
            "INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (row, p.document_id, p.number, p.title, p.date, p.url, p.text)
                for row, p in enumerate(passages)
            ),
        )


def _read_passages(path: Path) -> list[Passage]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        rows = database.execute(
            "SELECT document_id, number, title, date, url, text FROM passages ORDER BY row"
        ).fetchall()
    return [
        Passage(
            document_id=row[0], number=row[1], title=row[2], date=row[3], url=row[4], text=row[5]
        )
        for row in rows
    ]


def _self_test(snapshot: Snapshot, vectors: np.ndarray) -> None:
    """The first, middle and last passage must be found by their own vectors."""
    for row in {0, len(snapshot) // 2, len(snapshot) - 1}:
        best = snapshot.search(vectors[row : row + 1], 1)
        if not best or best[0].similarity < 0.999:
            raise CorpusError("The index failed its own test and was not put in use.")
