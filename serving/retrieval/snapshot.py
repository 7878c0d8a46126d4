"""An index snapshot on disk: passages and their vectors, written once under a name of its own.

    indexes/<persona>/<name>/passages.sqlite   texts and full-text index (passage_store.py)
                             dense.faiss …     vectors (vectors.py)
                             manifest.json     written last: what it was made of and by, sizes and hashes
    indexes/<persona>/CURRENT                  the name of the snapshot in use, replaced atomically
    indexes/<persona>/.building.sqlite         vectors of a build that was interrupted (build.py)

In: a folder and the embedder that questions will go through. Out: `Snapshot`, to search and read. A reader
that opened a snapshot keeps it while a newer one is built and put in its place, and even when its files are
deleted: Linux keeps them until the last reader has closed them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from personae.corpus import CHUNKER_VERSION, Passage
from personae.errors import CorpusError
from personae.files import sha256_of
from serving.retrieval.embedder import TextEmbedder
from serving.retrieval.passage_store import PASSAGES, PassageStore
from serving.retrieval.vectors import VECTOR_FILES, VectorIndexInfo, Vectors

MANIFEST = "manifest.json"
CURRENT = "CURRENT"
FORMAT = 2
"""Goes up whenever the files of a snapshot, or the tokens of its full-text index, change their form."""
HASHED_AT_OPENING_BYTES = 256 << 20


class IndexSettings(BaseModel):
    """What decides how a text is indexed. Snapshots with other settings can't share vectors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    embedder: str
    embedder_weights_sha256: str
    pooling: str
    query_prefix: str
    passage_prefix: str
    max_tokens: int
    chunker_version: int
    language: str

    @classmethod
    def now(cls, embedder: TextEmbedder, language: str) -> IndexSettings:
        return cls(
            embedder=embedder.id,
            embedder_weights_sha256=embedder.weights_sha256,
            pooling=embedder.pooling,
            query_prefix=embedder.query_prefix,
            passage_prefix=embedder.passage_prefix,
            max_tokens=embedder.max_tokens,
            chunker_version=CHUNKER_VERSION,
            language=language,
        )

    def same_questions(self, embedder: TextEmbedder) -> bool:
        """Whether questions through this embedder can be compared with the vectors of the index."""
        return (
            self.embedder_weights_sha256,
            self.pooling,
            self.query_prefix,
            self.passage_prefix,
        ) == (
            embedder.weights_sha256,
            embedder.pooling,
            embedder.query_prefix,
            embedder.passage_prefix,
        )


class FileRecord(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    bytes: int
    sha256: str


class IndexManifest(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int
    persona: str
    settings: IndexSettings
    corpus_sha256: str
    documents: int
    passages: int
    sentences: int
    dimensions: int
    vectors: VectorIndexInfo
    files: dict[str, FileRecord]
    created_at: str


class Snapshot:
    """An open snapshot. May be searched from several threads at once; `close` when none does."""

    def __init__(self, manifest: IndexManifest, store: PassageStore, vectors: Vectors) -> None:
        self.manifest = manifest
        self._store = store
        self._vectors = vectors
        self.nearest = vectors.nearest
        self.match = store.match
        self.document_frequency = store.document_frequency
        self.rows_between = store.rows_between

    def __len__(self) -> int:
        return self.manifest.passages

    def close(self) -> None:
        self._store.close()

    def passages(self, rows: Sequence[int]) -> list[Passage]:
        """In the order asked."""
        return self._store.passages_of(rows)

    def passage_named(self, name: str) -> Passage | None:
        """The passage that is still called so."""
        return self._store.passage_named(name)

    def passage_vectors(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """(n, dim) float32, L2-normalised, exact."""
        return self._vectors.passage_vectors(np.asarray(rows, dtype=np.int64))

    def sentence_vectors(self, rows: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of every sentence of these passages: (m, dim) float32, L2-normalised, and (m,) int64, the
        place in `rows` of its passage."""
        return self._vectors.sentence_vectors(np.asarray(rows, dtype=np.int64))


def current_snapshot(indexes: Path, persona: str) -> Path | None:
    """Folder of the snapshot in use; None when the persona was never indexed."""
    try:
        name = (indexes / persona / CURRENT).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    return indexes / persona / name


def read_index_manifest(folder: Path) -> IndexManifest:
    """Raises CorpusError when it is missing, unreadable or of another version of personae."""
    try:
        data = (folder / MANIFEST).read_bytes()
        read = json.loads(data)
        if not isinstance(read, dict):
            raise ValueError("not an object")
        if read.get("format", 1) != FORMAT and "persona" in read:
            raise CorpusError(
                f"The index in {folder} was made by another version of personae. {again(folder)}"
            )
        return IndexManifest.model_validate_json(data)
    except (FileNotFoundError, NotADirectoryError) as err:
        raise CorpusError(f"There is no complete index in {folder}. {again(folder)}") from err
    except (ValidationError, ValueError) as err:
        raise CorpusError(f"{folder / MANIFEST} can't be read. {again(folder)}") from err


def snapshot_folders(indexes: Path, persona: str) -> list[Path]:
    """Folders of the kept snapshots, complete or damaged, oldest first (names begin with the time)."""
    home = indexes / persona
    if not home.is_dir():
        return []
    return sorted(p for p in home.iterdir() if p.is_dir() and not p.name.startswith("."))


def is_current(
    indexes: Path,
    persona: str,
    *,
    corpus_sha256: str,
    embedder: TextEmbedder,
    language: str = "en",
) -> bool:
    """Whether the snapshot in use was made of this corpus, by this embedder and chunker.

    One that was rolled back from a snapshot that is all that counts too: somebody wanted it.
    """
    folder = current_snapshot(indexes, persona)
    if folder is None:
        return False
    wanted = IndexSettings.now(embedder, language)
    try:
        if not read_index_manifest(folder).settings.same_questions(embedder):
            return False
    except CorpusError:
        return False
    for kept in snapshot_folders(indexes, persona):
        if kept.name < folder.name:
            continue
        try:
            manifest = read_index_manifest(kept)
        except CorpusError:
            continue
        if manifest.corpus_sha256 == corpus_sha256 and manifest.settings == wanted:
            return True
    return False


def open_snapshot(folder: Path, embedder: TextEmbedder) -> Snapshot:
    """Open and check a snapshot.

    Sizes of all files are compared, and the hashes of those up to 256 MB; reading gigabytes at every
    start would take minutes. `verify_snapshot` (`personae index show --verify`) reads everything.

    Raises:
        CorpusError: files are missing or damaged, or another embedder made it; says what to run.
    """
    manifest = read_index_manifest(folder)
    made_by = manifest.settings
    if not made_by.same_questions(embedder):
        how = " with other settings" if made_by.embedder == embedder.id else ""
        raise CorpusError(
            f"{folder} was made with the embedder {made_by.embedder}, and this server runs "
            f"{embedder.id}{how}. {again(folder)}"
        )
    _check_files(folder, manifest, hashed_up_to=HASHED_AT_OPENING_BYTES)
    return _opened(folder, manifest)


def verify_snapshot(folder: Path) -> IndexManifest:
    """Read every byte of a snapshot.

    Raises:
        CorpusError: something is missing or damaged; says what to run.
    """
    manifest = read_index_manifest(folder)
    _check_files(folder, manifest, hashed_up_to=None)
    snapshot = _opened(folder, manifest)
    try:
        snapshot._store.check()
    except CorpusError as err:
        raise CorpusError(f"The index in {folder}: {err} {again(folder)}") from err
    finally:
        snapshot.close()
    return manifest


def file_records(folder: Path) -> dict[str, FileRecord]:
    """Sizes and hashes of a snapshot's files, for its manifest."""
    return {
        name: FileRecord(bytes=(folder / name).stat().st_size, sha256=sha256_of(folder / name))
        for name in (PASSAGES, *VECTOR_FILES)
    }


def again(folder: Path) -> str:
    return f"Build it again with `personae index build {folder.parent.name}`."


def _check_files(folder: Path, manifest: IndexManifest, *, hashed_up_to: int | None) -> None:
    missing: Iterable[str] = {PASSAGES, *VECTOR_FILES} - set(manifest.files)
    for name in missing:
        raise CorpusError(f"{folder / MANIFEST} does not name {name}. {again(folder)}")
    for name, record in manifest.files.items():
        path = folder / name
        sound = path.is_file() and path.stat().st_size == record.bytes
        if sound and (hashed_up_to is None or record.bytes <= hashed_up_to):
            sound = sha256_of(path) == record.sha256
        if not sound:
            raise CorpusError(f"{path} is missing or damaged. {again(folder)}")


def _opened(folder: Path, manifest: IndexManifest) -> Snapshot:
    try:
        vectors = Vectors(folder, manifest.vectors)
        store = PassageStore(folder / PASSAGES)
    except CorpusError as err:
        raise CorpusError(f"The index in {folder} is damaged: {err} {again(folder)}") from err
    said = (manifest.documents, manifest.passages, manifest.sentences, manifest.dimensions)
    held = (store.documents, store.passages, vectors.sentences, vectors.dimensions)
    if said != held or len(vectors) != store.passages:
        store.close()
        raise CorpusError(
            f"The index in {folder} holds other numbers than it says. {again(folder)}"
        )
    return Snapshot(manifest, store, vectors)
