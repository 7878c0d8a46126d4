"""Every kind of vector index gives exact cosines of, mostly, the same rows; filters are kept to."""

from __future__ import annotations

import numpy as np
import pytest

from personae.errors import CorpusError
from serving.retrieval import vectors as vectors_module
from serving.retrieval.vector_index import write_vector_index
from serving.retrieval.vectors import (
    DENSE,
    PASSAGE_VECTORS,
    SENTENCE_STARTS,
    SENTENCE_VECTORS,
    Vectors,
    kind_for,
    normalised,
    quantized,
)

N, DIMENSIONS = 3000, 32
QUERIES = 50
KINDS = {
    "flat": {},
    "hnsw": {"flat_up_to": 0},
    "ivf": {"flat_up_to": 0, "hnsw_up_to": 0},
}


def clustered(n: int, seed: int) -> np.ndarray:
    chance = np.random.default_rng(seed)
    centres = chance.standard_normal((40, DIMENSIONS))
    around = centres[chance.integers(40, size=n)] + 0.7 * chance.standard_normal((n, DIMENSIONS))
    return normalised(around)


def queries(number: int) -> np.ndarray:
    """Of the same clusters as the passages, and none of them."""
    return clustered(N + QUERIES, 1)[N : N + number]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    exact = clustered(N + QUERIES, 1)[:N].astype(np.float16)
    sentences = clustered(2 * N, 2)
    found = {}
    for kind, settings in KINDS.items():
        folder = tmp_path_factory.mktemp(kind)
        np.save(folder / PASSAGE_VECTORS, exact)
        np.save(folder / SENTENCE_VECTORS, quantized(sentences))
        np.save(folder / SENTENCE_STARTS, np.arange(0, 2 * N + 1, 2))
        info = write_vector_index(folder / DENSE, exact, **settings)
        assert info.kind == kind
        found[kind] = (folder, info)
    return found, exact, sentences


@pytest.fixture(params=KINDS)
def opened(request, made):
    found, exact, _ = made
    return Vectors(*found[request.param]), normalised(exact)


def test_the_nearest_rows_come_with_exact_cosines_best_first(opened):
    vectors, exact = opened
    hits = 0
    for query in queries(QUERIES):
        rows, cosines = vectors.nearest(query, 10)
        assert rows.dtype == np.int64 and cosines.dtype == np.float32
        np.testing.assert_allclose(cosines, exact[rows] @ query, atol=1e-5)
        assert (np.diff(cosines) <= 0).all()
        hits += len(np.intersect1d(rows, np.argsort(-(exact @ query))[:10]))
    assert hits / 500 >= 0.95


@pytest.mark.parametrize(
    ("share", "scored_without_index"), [(0.001, 50_000), (0.5, 50_000), (0.1, 1), (0.9, 1)]
)
def test_only_allowed_rows_are_found(opened, share, scored_without_index, monkeypatch):
    """Few rows are scored without FAISS; with that turned off, its own filter has to hold."""
    monkeypatch.setattr(vectors_module, "_SCORED_WITHOUT_INDEX", scored_without_index)
    vectors, exact = opened
    chance = np.random.default_rng(4)
    among = np.sort(chance.choice(N, size=int(N * share), replace=False))
    hits = wanted = 0
    for query in queries(20):
        rows, _ = vectors.nearest(query, 10, among=among)
        true = among[np.argsort(-(exact[among] @ query))[:10]]
        assert np.isin(rows, among).all()
        hits, wanted = hits + len(np.intersect1d(rows, true)), wanted + len(true)
    assert hits / wanted >= 0.9
    assert len(vectors.nearest(query, 10, among=among[:0])[0]) == 0


def test_more_than_there_is_gives_all_there_is(opened):
    vectors, _ = opened
    rows, _ = vectors.nearest(queries(1)[0], 10 * N)
    assert len(np.unique(rows)) == len(rows) >= 0.9 * N
    assert len(vectors.nearest(queries(1)[0], 0)[0]) == 0


def test_sentences_keep_their_direction_in_eight_bits(made):
    found, _, sentences = made
    held, owners = Vectors(*found["flat"]).sentence_vectors(np.array([7, 2, 7]))
    assert owners.tolist() == [0, 0, 1, 1, 2, 2]
    expected = sentences[[14, 15, 4, 5, 14, 15]]
    assert ((held * expected).sum(axis=1) > 0.9999).all()
    nothing, owners = Vectors(*found["flat"]).sentence_vectors(np.empty(0, dtype=np.int64))
    assert nothing.shape == (0, DIMENSIONS) and not len(owners)


def test_files_of_different_sizes_are_refused(made, tmp_path):
    found, exact, _ = made
    folder, info = found["flat"]
    for name in (DENSE, PASSAGE_VECTORS, SENTENCE_VECTORS, SENTENCE_STARTS):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    np.save(tmp_path / PASSAGE_VECTORS, exact[:-1])
    with pytest.raises(CorpusError, match="do not belong together"):
        Vectors(tmp_path, info)


def test_the_kind_goes_by_the_number_of_passages():
    sizes = (1, 50_000, 50_001, 250_000, 250_001)
    assert [kind_for(size) for size in sizes] == ["flat", "flat", "hnsw", "hnsw", "ivf"]
