"""Building `dense.faiss` over vectors that lie in a file, and measuring how broad a search must be.

In: (n, dim) float16 or float32, mapped from disk. Out: the written index and what it is. At no time are all
vectors in memory as float32, but for a flat index, which is kept for small ones.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import faiss
import numpy as np

from personae.files import require_free_bytes
from personae.progress import Progress, silent
from serving.retrieval.vectors import (
    FLAT_UP_TO,
    HNSW_UP_TO,
    Kind,
    VectorIndexInfo,
    kind_for,
    normalised,
)

_BLOCK = 16_384
_NEIGHBOURS = 24
_CONSTRUCTION = 80
_TRAINED_PER_CELL = 40
_TRAINING_ROUNDS = 8
_SAMPLES = 128
_NEAREST = 10
_OTHER_SHARE = 0.7
_WANTED_RECALL = 0.95
_CANDIDATES = 400
_SEED = 20


def write_vector_index(
    path: Path,
    vectors: np.ndarray,
    *,
    flat_up_to: int = FLAT_UP_TO,
    hnsw_up_to: int = HNSW_UP_TO,
    progress: Progress = silent,
) -> VectorIndexInfo:
    """Build the index that fits the number of vectors, on all cores.

    Raises:
        DiskFull: there is no room for it.
    """
    n, dimensions = vectors.shape
    kind = kind_for(n, flat_up_to=flat_up_to, hnsw_up_to=hnsw_up_to)
    cells = max(1, min(round(4 * math.sqrt(n)), n // 2)) if kind == "ivf" else 0
    faiss.omp_set_num_threads(os.cpu_count() or 1)
    index = _empty(kind, dimensions, cells)
    chance = np.random.default_rng(_SEED)
    if not index.is_trained:
        most = max(_BLOCK, cells * _TRAINED_PER_CELL)
        chosen = np.sort(chance.choice(n, size=min(n, most), replace=False))
        index.train(vectors[chosen].astype(np.float32))
    for start in range(0, n, _BLOCK):
        index.add(vectors[start : start + _BLOCK].astype(np.float32))
        progress("indexing vectors", min(start + _BLOCK, n), n)
    info = VectorIndexInfo(kind=kind, cells=cells)
    require_free_bytes(path, n * dimensions * (4 if kind == "flat" else 2), "writing the index")
    if kind != "flat":
        info = _measured(index, info, vectors, chance)
    faiss.write_index(index, str(path))
    return info


def new_vector_file(path: Path, kind: type, shape: tuple[int, ...]) -> np.memmap:
    """An .npy file to fill, mapped into memory, with its room on the disk taken at once: a disk that ran
    full while a mapped file is written would kill the process.

    Raises:
        OSError: the disk has no room for it.
    """
    file = np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=shape)
    with path.open("r+b") as same:
        os.posix_fallocate(same.fileno(), 0, path.stat().st_size)
    return file


def _empty(kind: Kind, dimensions: int, cells: int) -> faiss.Index:
    if kind == "flat":
        return faiss.IndexFlatIP(dimensions)
    eight_bit, product = faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    if kind == "hnsw":
        index = faiss.IndexHNSWSQ(dimensions, eight_bit, _NEIGHBOURS, product)
        index.hnsw.efConstruction = _CONSTRUCTION
        return index
    centres = faiss.IndexFlatIP(dimensions)
    index = faiss.IndexIVFScalarQuantizer(centres, dimensions, cells, eight_bit, product)
    index.cp.niter = _TRAINING_ROUNDS
    index.cp.max_points_per_centroid = _TRAINED_PER_CELL
    index.cp.min_points_per_centroid = 1
    index.cp.spherical = True
    return index


def _measured(
    index: faiss.Index, info: VectorIndexInfo, vectors: np.ndarray, chance: np.random.Generator
) -> VectorIndexInfo:
    """With the smallest breadth, doubled from a small one, that finds enough of the true nearest."""
    n = len(vectors)
    # Questions lie apart from the passages, so points between two of them are looked for: with passages
    # themselves the measure would be too kind.
    one, other = (vectors[chance.choice(n, size=_SAMPLES)].astype(np.float32) for _ in range(2))
    queries = normalised(one + _OTHER_SHARE * other)
    true = _true_nearest(queries, vectors)
    most = info.cells if info.kind == "ivf" else 4096
    breadth = 8 if info.kind == "ivf" else 64
    while True:
        breadth = min(breadth, most)
        if info.kind == "ivf":
            settings = faiss.SearchParametersIVF(nprobe=breadth)
        else:
            settings = faiss.SearchParametersHNSW(efSearch=breadth)
        # As many as a search takes as candidates, of which the exact score picks the best.
        _, found = index.search(queries, min(n, _CANDIDATES), params=settings)
        hits = sum(len(np.intersect1d(a, b)) for a, b in zip(true, found, strict=True))
        recall = hits / true.size
        if recall >= _WANTED_RECALL or breadth >= most:
            return info.model_copy(update={"breadth": breadth, "recall": round(recall, 4)})
        breadth *= 2


def _true_nearest(queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """(n_queries, ≤ 10) rows by comparing with every vector, a block at a time."""
    scores = np.empty((len(queries), 0), dtype=np.float32)
    rows = np.empty((len(queries), 0), dtype=np.int64)
    for start in range(0, len(vectors), _BLOCK):
        block = queries @ vectors[start : start + _BLOCK].astype(np.float32).T
        here = np.broadcast_to(np.arange(start, start + block.shape[1]), block.shape)
        scores, rows = np.hstack([scores, block]), np.hstack([rows, here])
        best = np.argpartition(-scores, min(_NEAREST, scores.shape[1]) - 1, axis=1)[:, :_NEAREST]
        scores = np.take_along_axis(scores, best, axis=1)
        rows = np.take_along_axis(rows, best, axis=1)
    return rows
