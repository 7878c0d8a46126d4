"""Vectors of a snapshot: a FAISS index to find candidates, and exact vectors to score them by.

    dense.faiss             row i is passage i; inner product of L2-normalised vectors, so the cosine
    passages.f16.npy        (n_passages, dim) float16
    sentences.i8.npy        (n_sentences, dim) int8, each scaled to ±127 by its largest number
    sentence_starts.npy     (n_passages + 1,) int64; sentences of passage i are starts[i] … starts[i + 1] - 1

All four are mapped into memory: several gateways on one machine share the pages, and opening costs nothing.

Which FAISS index, by number of passages (times are of 384 numbers, exact scoring included, one thread):

    flat    up to 50,000    compares with every passage: exact, nothing to tune; 3 ms for 50,000
    hnsw    up to 250,000   a graph of neighbours, 8 bits a number; 1.2 ms for 250,000, built in minutes up
                            to here, and 1.5 times the bytes of ivf
    ivf     above           cells around ≈ 4·√n centres, 8 bits a number; a search looks into some of them:
                            2 to 4 ms for a million, built in a fraction of the time of a graph

For hnsw and ivf the breadth of a search (`efSearch`, `nprobe`) is measured at the build: the smallest that
finds 95 % of the true ten nearest of points between sampled passages. They give four times the candidates
asked for, which are scored again exactly. A search runs on one thread; the other core is the engine's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import faiss
import numpy as np
from pydantic import BaseModel, ConfigDict

from personae.errors import CorpusError

DENSE = "dense.faiss"
PASSAGE_VECTORS = "passages.f16.npy"
SENTENCE_VECTORS = "sentences.i8.npy"
SENTENCE_STARTS = "sentence_starts.npy"
VECTOR_FILES = (DENSE, PASSAGE_VECTORS, SENTENCE_VECTORS, SENTENCE_STARTS)

FLAT_UP_TO = 50_000
HNSW_UP_TO = 250_000
_OVERSAMPLED = 4
_SCORED_WITHOUT_INDEX = 50_000
"""So many allowed rows are scored all, without FAISS: quicker than a search with a filter, and exact."""
_MOST_WIDENED = 16

Kind = Literal["flat", "hnsw", "ivf"]


class VectorIndexInfo(BaseModel):
    """What `dense.faiss` is.

    Attributes:
        cells: of ivf; 0 else.
        breadth: efSearch of hnsw, nprobe of ivf; 0 for flat.
        recall: share of the true ten nearest found at that breadth, measured at the build.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    cells: int = 0
    breadth: int = 0
    recall: float = 1.0

    def explained(self, passages: int) -> str:
        if self.kind == "flat":
            return f"flat: exact, quick enough for {passages:,} passages"
        measured = f"{self.recall:.1%} of the ten nearest found when built"
        if self.kind == "hnsw":
            return f"hnsw: a graph, for {passages:,} passages; efSearch {self.breadth}, {measured}"
        return (
            f"ivf: {self.cells:,} cells, for {passages:,} passages; "
            f"looks into {self.breadth} of them, {measured}"
        )


def kind_for(passages: int, *, flat_up_to: int = FLAT_UP_TO, hnsw_up_to: int = HNSW_UP_TO) -> Kind:
    if passages <= flat_up_to:
        return "flat"
    return "hnsw" if passages <= hnsw_up_to else "ivf"


def quantized(vectors: np.ndarray) -> np.ndarray:
    """(n, dim) float32 → int8, each row scaled by its largest number."""
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    return np.rint(vectors * (127.0 / np.maximum(largest, 1e-12))).astype(np.int8)


def normalised(vectors: np.ndarray) -> np.ndarray:
    """(n, dim) of any number type → float32, L2-normalised."""
    floats = vectors.astype(np.float32)
    floats /= np.maximum(np.linalg.norm(floats, axis=1, keepdims=True), 1e-12)
    return floats


class Vectors:
    """The open vector files of a snapshot; may be searched from several threads.

    Raises:
        CorpusError: a file is missing, damaged or of another size than the others.
    """

    def __init__(self, folder: Path, info: VectorIndexInfo) -> None:
        self._info = info
        # An ivf read this way keeps its cells on disk; the other kinds need the other flag for it.
        flag = faiss.IO_FLAG_MMAP if info.kind == "ivf" else faiss.IO_FLAG_MMAP_IFC
        try:
            self._index = faiss.read_index(str(folder / DENSE), flag)
            self._passages = np.load(folder / PASSAGE_VECTORS, mmap_mode="r")
            self._sentences = np.load(folder / SENTENCE_VECTORS, mmap_mode="r")
            self._starts = np.load(folder / SENTENCE_STARTS, mmap_mode="r")
        except (RuntimeError, OSError, ValueError, EOFError) as err:
            raise CorpusError(f"The vectors can't be read ({err}).") from err
        n = len(self._passages)
        fits = (
            self._passages.ndim == 2
            and self._sentences.ndim == 2
            and self._index.ntotal == n
            and self._index.d == self._passages.shape[1] == self._sentences.shape[1]
            and self._starts.shape == (n + 1,)
            and int(self._starts[-1]) == len(self._sentences)
        )
        if not fits:
            raise CorpusError("The vector files do not belong together.")

    def __len__(self) -> int:
        return len(self._passages)

    @property
    def dimensions(self) -> int:
        return int(self._passages.shape[1])

    @property
    def sentences(self) -> int:
        return len(self._sentences)

    def nearest(
        self, query: np.ndarray, limit: int, *, among: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows (k,) int64 and exact cosines (k,) float32, best first, k ≤ limit.

        Args:
            query: (dim,) float32, L2-normalised.
            among: sorted rows that may be found; None means all.
        """
        limit = min(limit, len(self) if among is None else len(among))
        if limit <= 0:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        if among is not None and len(among) <= _SCORED_WITHOUT_INDEX:
            rows = np.asarray(among, dtype=np.int64)
        else:
            rows = self._candidates(query, limit, among)
        cosines = self.passage_vectors(rows) @ query
        best = np.argsort(-cosines, kind="stable")[:limit]
        return rows[best], cosines[best]

    def passage_vectors(self, rows: np.ndarray) -> np.ndarray:
        """(n, dim) float32, L2-normalised."""
        return normalised(self._passages[np.asarray(rows, dtype=np.int64)])

    def sentence_vectors(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(m, dim) float32, L2-normalised, and (m,) int64: the place in `rows` each belongs to."""
        places, owners = self._sentences_of(rows)
        return normalised(self._sentences[places]), owners

    def raw(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As they lie in the files: (n, dim) float16, (m, dim) int8, and the owners of the latter."""
        places, owners = self._sentences_of(rows)
        return self._passages[rows], self._sentences[places], owners

    def _sentences_of(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = np.asarray(rows, dtype=np.int64)
        starts = np.asarray(self._starts[rows])
        counts = np.asarray(self._starts[rows + 1]) - starts
        owners = np.repeat(np.arange(len(rows), dtype=np.int64), counts)
        within = np.arange(int(counts.sum()), dtype=np.int64) - np.repeat(
            np.cumsum(counts) - counts, counts
        )
        return np.repeat(starts, counts) + within, owners

    def _candidates(self, query: np.ndarray, limit: int, among: np.ndarray | None) -> np.ndarray:
        """At least `limit` rows, unless a graph with a filter holds fewer on its ways."""
        selector, breadth = None, self._info.breadth
        if among is not None:
            allowed = np.zeros(len(self), dtype=bool)
            allowed[among] = True
            # FAISS keeps a pointer to the bits, so they stay alive until the end.
            bits = np.packbits(allowed, bitorder="little")
            selector = faiss.IDSelectorBitmap(len(self), faiss.swig_ptr(bits))
            breadth *= min(_MOST_WIDENED, -(-len(self) // len(among)))
        faiss.omp_set_num_threads(1)  # for this thread alone; it costs nothing to say it again
        wanted = limit if self._info.kind == "flat" else min(limit * _OVERSAMPLED, len(self))
        while True:
            if self._info.kind == "flat":
                settings = faiss.SearchParameters(sel=selector)
            elif self._info.kind == "hnsw":
                settings = faiss.SearchParametersHNSW(sel=selector, efSearch=max(breadth, wanted))
            else:
                breadth = min(breadth, self._info.cells)
                settings = faiss.SearchParametersIVF(sel=selector, nprobe=breadth)
            _similarities, rows = self._index.search(
                np.ascontiguousarray(query[None], dtype=np.float32), wanted, params=settings
            )
            found: np.ndarray = rows[0][rows[0] >= 0]
            # The nearest cells may hold too few rows that are allowed.
            if self._info.kind != "ivf" or len(found) >= limit or breadth == self._info.cells:
                return found
            breadth *= 4
