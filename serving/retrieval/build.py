"""Building an index: a corpus cut into passages, embedded, tested and put in use.

    documents.jsonl → passages.sqlite → vectors, a batch at a time, from ┬ the snapshot before
                                                                        ├ the interrupted build before
                                                                        └ the embedder
                    → dense.faiss → manifest.json → self-test → CURRENT

In: a corpus folder and an embedder. Out: a new snapshot, in use. Only texts that no earlier build embedded
with the same settings are embedded. One document is in memory at a time, and one batch of vectors, beside 20
bytes a passage; a corpus of a million passages is built in about a gigabyte.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import logging
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from personae.corpus import Passage, cut_passages, searchable_text, sentences, stream_corpus
from personae.errors import CorpusError, DiskFull
from personae.files import disk_errors, folder_written_aside, remove_leftovers, write_atomic
from personae.progress import Progress, silent
from serving.retrieval.embedder import TextEmbedder
from serving.retrieval.passage_store import (
    DIGEST_BYTES,
    PASSAGES,
    PassageStore,
    PassageWriter,
    digest_of,
)
from serving.retrieval.snapshot import (
    CURRENT,
    FORMAT,
    MANIFEST,
    IndexManifest,
    IndexSettings,
    Snapshot,
    current_snapshot,
    file_records,
    open_snapshot,
    read_index_manifest,
    snapshot_folders,
)
from serving.retrieval.vector_index import new_vector_file, write_vector_index
from serving.retrieval.vectors import (
    DENSE,
    FLAT_UP_TO,
    HNSW_UP_TO,
    PASSAGE_VECTORS,
    SENTENCE_STARTS,
    SENTENCE_VECTORS,
    Vectors,
    quantized,
)
from serving.retrieval.working_vectors import Pair, WorkingVectors

log = logging.getLogger(__name__)

KEPT_SNAPSHOTS = 3
_BATCH = 256
LOCK_FILE = ".building.lock"


def build_index(
    persona: str,
    corpus: Path,
    indexes: Path,
    embedder: TextEmbedder,
    *,
    language: str = "en",
    flat_up_to: int = FLAT_UP_TO,
    hnsw_up_to: int = HNSW_UP_TO,
    progress: Progress = silent,
) -> IndexManifest:
    """Cut a corpus into passages, embed them, write a snapshot, test it and make it current.

    Args:
        language: of the writing, for its stems.
        flat_up_to, hnsw_up_to: passages from which on another kind of vector index is built.

    Raises:
        CorpusError: the corpus is missing, damaged or empty, another build is under way, or the snapshot
            failed its own test.
        DiskFull: the index before is still there, and what was embedded is kept for the next build.
    """
    corpus_manifest, documents = stream_corpus(corpus)
    settings = IndexSettings.now(embedder, language)
    home = indexes / persona
    with _only_one(home, persona), _disk_errors(home, f"indexing {persona}"):
        remove_leftovers(home)
        now = datetime.datetime.now(datetime.UTC)
        name = f"{now:%Y%m%dT%H%M%S%f}-{corpus_manifest.documents_sha256[:8]}"
        working = WorkingVectors(home, settings)
        try:
            with folder_written_aside(home / name, f"indexing {persona}") as aside:
                rows = _RowCounts()
                with PassageWriter(aside / PASSAGES, language) as writer:
                    for number, document in enumerate(documents, start=1):
                        passages = cut_passages(
                            document,
                            max_tokens=embedder.max_tokens,
                            count_tokens=embedder.count_tokens,
                        )
                        digests = [digest_of(passage) for passage in passages]
                        writer.add(document, passages, digests)
                        rows.add(passages)
                        progress("cutting documents", number, corpus_manifest.documents)
                if not writer.passages:
                    raise CorpusError(
                        f"The documents of {persona} hold no text. Check its [[sources]]."
                    )
                with contextlib.closing(PassageStore(aside / PASSAGES)) as store:
                    sources = _Sources(_reusable(home, settings), working, embedder)
                    _write_vectors(aside, store, rows.starts(), sources, progress)
                vectors = np.load(aside / PASSAGE_VECTORS, mmap_mode="r")
                info = write_vector_index(
                    aside / DENSE,
                    vectors,
                    flat_up_to=flat_up_to,
                    hnsw_up_to=hnsw_up_to,
                    progress=progress,
                )
                manifest = IndexManifest(
                    format=FORMAT,
                    persona=persona,
                    settings=settings,
                    corpus_sha256=corpus_manifest.documents_sha256,
                    documents=writer.documents,
                    passages=writer.passages,
                    sentences=int(rows.starts()[-1]),
                    dimensions=int(vectors.shape[1]),
                    vectors=info,
                    files=file_records(aside),
                    created_at=now.isoformat(timespec="seconds"),
                )
                write_manifest(aside, manifest)
                with contextlib.closing(open_snapshot(aside, embedder)) as snapshot:
                    _self_test(snapshot)
            write_atomic(home / CURRENT, name + "\n")
            working.delete()
        finally:
            working.close()
        _delete_old(indexes, persona)
    return manifest


def roll_back(indexes: Path, persona: str) -> IndexManifest:
    """Put the newest readable snapshot before the one in use in its place.

    Raises:
        CorpusError: there is none, or another process builds one.
    """
    with _only_one(indexes / persona, persona):
        folder = current_snapshot(indexes, persona)
        if folder is None:
            raise CorpusError(
                f"{persona} has no index. Build one with `personae index build {persona}`."
            )
        for before in reversed(snapshot_folders(indexes, persona)):
            if before.name >= folder.name:
                continue
            try:
                manifest = read_index_manifest(before)
            except CorpusError as err:
                log.warning("passed over: %s", err)
                continue
            write_atomic(indexes / persona / CURRENT, before.name + "\n")
            return manifest
    raise CorpusError(
        f"{persona} has no index before {folder.name} to go back to; the last {KEPT_SNAPSHOTS} "
        "are kept. Change its sources and build another."
    )


def write_manifest(folder: Path, manifest: IndexManifest) -> None:
    write_atomic(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")


class _RowCounts:
    """How many sentences each passage has, in four bytes a passage."""

    def __init__(self) -> None:
        self._counts: list[np.ndarray] = [np.zeros(1, dtype=np.int32)]

    def add(self, passages: list[Passage]) -> None:
        counts = [len(sentences(passage.text)) for passage in passages]
        self._counts.append(np.asarray(counts, dtype=np.int32))

    def starts(self) -> np.ndarray:
        """(n_passages + 1,) int64."""
        self._counts = [np.concatenate(self._counts)]
        return np.cumsum(self._counts[0], dtype=np.int64)


@dataclass
class _Reusable:
    """Vectors of the snapshot in use, by digest: two sorted arrays instead of a dictionary."""

    digests: np.ndarray
    rows: np.ndarray
    vectors: Vectors

    def get(self, digests: list[bytes]) -> dict[bytes, Pair]:
        asked = _sortable(np.frombuffer(b"".join(digests), dtype=np.uint8))
        places = np.minimum(np.searchsorted(self.digests, asked), len(self.digests) - 1)
        there = np.flatnonzero(self.digests[places] == asked)
        passages, some, owners = self.vectors.raw(self.rows[places[there]])
        return {
            digests[place]: (passages[k], some[owners == k])
            for k, place in enumerate(there.tolist())
        }


@dataclass
class _Sources:
    """Where vectors come from, the cheapest first."""

    before: _Reusable | None
    working: WorkingVectors
    embedder: TextEmbedder

    def of(self, passages: list[Passage]) -> list[Pair]:
        """Raises DiskFull; vectors of earlier batches are kept."""
        digests = [digest_of(passage) for passage in passages]
        wanted = dict(zip(digests, passages, strict=True))
        found = {} if self.before is None else self.before.get(list(wanted))
        found |= self.working.get([digest for digest in wanted if digest not in found])
        missing = {d: passage for d, passage in wanted.items() if d not in found}
        if missing:
            fresh = self._embedded(missing)
            self.working.put(fresh)
            found |= fresh
        return [found[digest] for digest in digests]

    def _embedded(self, passages: dict[bytes, Passage]) -> dict[bytes, Pair]:
        vectors = self.embedder.embed([searchable_text(p) for p in passages.values()])
        parts = [sentences(passage.text) for passage in passages.values()]
        flat = [sentence for part in parts for sentence in part]
        sentence_vectors = quantized(self.embedder.embed(flat))
        ends = np.cumsum([len(part) for part in parts])
        return {
            digest: (vectors[k].astype(np.float16), sentence_vectors[end - len(parts[k]) : end])
            for k, (digest, end) in enumerate(zip(passages, ends.tolist(), strict=True))
        }


def _sortable(digests: np.ndarray) -> np.ndarray:
    """(n, 16) uint8 → (n,) byte strings, which NumPy can order. (It hides zeros at the end of one; as all
    are equally long, no two become equal by that.)"""
    strings: np.ndarray = np.ascontiguousarray(digests).view(f"S{DIGEST_BYTES}").ravel()
    return strings


def _reusable(home: Path, settings: IndexSettings) -> _Reusable | None:
    """The newest snapshot with the same settings; None when there is none that can be read."""
    for folder in reversed(snapshot_folders(home.parent, home.name)):
        try:
            manifest = read_index_manifest(folder)
            if manifest.settings != settings:
                continue
            vectors = Vectors(folder, manifest.vectors)
            with contextlib.closing(PassageStore(folder / PASSAGES)) as store:
                known = _sortable(store.digests())
        except CorpusError as err:
            log.warning("the vectors of %s are not used again: %s", folder.name, err)
            continue
        if len(known) != len(vectors):
            continue
        order = np.argsort(known)
        return _Reusable(known[order], order, vectors)
    return None


def _write_vectors(
    folder: Path, store: PassageStore, starts: np.ndarray, sources: _Sources, progress: Progress
) -> None:
    """Fill the vector files in order of row."""
    np.save(folder / SENTENCE_STARTS, starts)
    n = len(starts) - 1
    passages = sentence_file = None
    for first in range(0, n, _BATCH):
        last = min(first + _BATCH, n)
        pairs = sources.of(store.passages_of(range(first, last)))
        if passages is None or sentence_file is None:
            dimensions = len(pairs[0][0])
            passages = new_vector_file(folder / PASSAGE_VECTORS, np.float16, (n, dimensions))
            sentence_file = new_vector_file(
                folder / SENTENCE_VECTORS, np.int8, (int(starts[-1]), dimensions)
            )
        passages[first:last] = np.stack([vector for vector, _ in pairs])
        sentence_file[starts[first] : starts[last]] = np.concatenate([some for _, some in pairs])
        progress("embedding passages and sentences", last + int(starts[last]), n + int(starts[-1]))
    for file in (passages, sentence_file):
        if file is not None:
            file.flush()


def _self_test(snapshot: Snapshot) -> None:
    """The first, middle and last passage must be found by their own vectors and by their words."""
    for row in {0, len(snapshot) // 2, len(snapshot) - 1}:
        _rows, cosines = snapshot.nearest(snapshot.passage_vectors([row])[0], 1)
        read = snapshot.passages([row])
        if not len(cosines) or cosines[0] < 0.999 or not read[0].text:
            raise CorpusError("The index failed its own test and was not put in use.")


def _delete_old(indexes: Path, persona: str) -> None:
    """All but the newest few and the one in use. Readers that have one open keep it (Linux)."""
    in_use = current_snapshot(indexes, persona)
    for folder in snapshot_folders(indexes, persona)[:-KEPT_SNAPSHOTS]:
        if folder != in_use:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _only_one(home: Path, persona: str) -> Iterator[None]:
    """Raises CorpusError while another process builds the same index."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / LOCK_FILE).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            raise CorpusError(
                f"Another process is indexing {persona}. Wait until it is done."
            ) from err
        yield


@contextlib.contextmanager
def _disk_errors(home: Path, doing: str) -> Iterator[None]:
    """SQLite has its own way of saying that the disk is full."""
    with disk_errors(home, doing):
        try:
            yield
        except sqlite3.OperationalError as err:
            if "disk is full" not in str(err):
                raise
            raise DiskFull(
                f"The disk holding {home} is full, so {doing} stopped. The index before is in use still, "
                "and what was embedded is kept. Free some space, and run it again."
            ) from err
