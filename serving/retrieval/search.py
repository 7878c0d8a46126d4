"""The order of passages for a question, from two ways of looking: words shared, and meaning near.

    question ─┬─ words  → FTS5 (lexical.py) ────────┐
              └─ vector → FAISS ─ 100 nearest ──────┴→ pool → both scores of each → fused → spread

In the pool every passage gets both scores: BM25, and the mean of two cosines, of the whole passage and of its
nearest sentence. Each counts as a share of the pool's best, and they are added half and half.
That beats either part at every cut-off; adding reciprocal ranks does not (docs/benchmarks.md). How good the
best one is in itself, which a rank can't tell, goes to `relevance`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from personae.corpus import Passage, sentences
from serving.retrieval.lexical import lexical_scores
from serving.retrieval.relevance import Evidence, evidence_of
from serving.retrieval.snapshot import Snapshot

POOL = 100
"""Candidates taken from each way of looking."""
LEXICAL_WEIGHT = 0.5
RERANKED = 20
"""More pairs than that through a cross-encoder take longer than people wait, on two cores."""
_PER_DOCUMENT = 2

Reranker = Callable[[str, Sequence[str]], np.ndarray]
"""(question, texts) → scores (n_texts,), larger is better."""


@dataclass(frozen=True)
class Filters:
    """What may be found.

    Attributes:
        since, until: ISO dates or beginnings of one ("1862"), both inclusive.
        source: part of a document's id or link.
    """

    since: str | None = None
    until: str | None = None
    source: str | None = None

    def __bool__(self) -> bool:
        return any((self.since, self.until, self.source))


@dataclass(frozen=True)
class Ranked:
    """All candidates, best first."""

    rows: np.ndarray
    scores: np.ndarray
    evidence: Evidence


def rank(
    snapshot: Snapshot,
    question: str,
    vector: np.ndarray,
    language: str,
    *,
    filters: Filters | None = None,
    reranker: Reranker | None = None,
    lexical_weight: float = LEXICAL_WEIGHT,
    by_sentence: bool = True,
) -> Ranked:
    """Order the passages that may answer a question.

    Args:
        vector: (dim,) float32, L2-normalised.
        lexical_weight: 1 is BM25 alone, 0 is meaning alone (for measuring).
        by_sentence: whether the nearest sentence counts beside the whole passage.
    """
    among = None
    if filters:
        among = snapshot.rows_between(filters.since, filters.until, filters.source)
        if not len(among):
            return _nothing()
    shared = lexical_scores(snapshot, question, language, among=among)
    near, _cosines = snapshot.nearest(vector, POOL, among=among)
    best_shared = sorted(shared, key=shared.__getitem__, reverse=True)[:POOL]
    if lexical_weight == 1.0:
        near = near[:0]
    elif lexical_weight == 0.0:
        best_shared = []
    pool = np.union1d(near, np.asarray(best_shared, dtype=np.int64)).astype(np.int64)
    if not len(pool):
        return _nothing()
    lexical = _scores_in(pool, shared)
    whole = snapshot.passage_vectors(pool) @ vector
    nearest_sentence = _nearest_sentence(snapshot, pool, vector)
    meaning = (whole + nearest_sentence) / 2 if by_sentence else whole
    fused = lexical_weight * _share_of_best(lexical)
    fused += (1 - lexical_weight) * _share_of_best(meaning)
    order = np.argsort(-fused, kind="stable")
    if reranker is not None:
        order = _reranked(snapshot, question, pool, order, reranker)
    top = order[:POOL]
    evidence = evidence_of(
        snapshot, question, language, pool[top], whole[top], nearest_sentence[top]
    )
    return Ranked(pool[order], fused[order], evidence)


def spread(snapshot: Snapshot, ranked: Ranked, limit: int) -> list[tuple[int, Passage]]:
    """The best passages without direct neighbours of one page, which mostly repeat each other, and at most
    two of a document while others are left."""
    chosen: list[tuple[int, Passage]] = []
    later: list[tuple[int, Passage]] = []
    rows = [int(row) for row in ranked.rows[: 8 * limit]]
    for row, passage in zip(rows, snapshot.passages(rows), strict=True):
        same = [other for _, other in chosen if other.document_id == passage.document_id]
        if any(abs(other.number - passage.number) <= 1 for other in same):
            continue
        (chosen if len(same) < _PER_DOCUMENT else later).append((row, passage))
        if len(chosen) == limit:
            break
    for row, passage in later:
        if len(chosen) == limit:
            break
        same = [other for _, other in chosen if other.document_id == passage.document_id]
        if all(abs(other.number - passage.number) > 1 for other in same):
            chosen.append((row, passage))
    return chosen


def nearest_sentences(
    snapshot: Snapshot, chosen: Sequence[tuple[int, Passage]], vector: np.ndarray
) -> list[str]:
    """Of each passage the sentence nearest to the question, word for word."""
    if not chosen:
        return []
    vectors, owners = snapshot.sentence_vectors(np.array([row for row, _ in chosen]))
    cosines = vectors @ vector
    nearest = []
    for place, (_row, passage) in enumerate(chosen):
        own = cosines[owners == place]
        parts = sentences(passage.text)
        nearest.append(parts[int(own.argmax())] if len(own) == len(parts) > 0 else "")
    return nearest


def _nothing() -> Ranked:
    return Ranked(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32), Evidence())


def _scores_in(pool: np.ndarray, scores: Mapping[int, float]) -> np.ndarray:
    """A passage beyond the best matches counts as the least of them; without any match, as 0."""
    least = min(scores.values()) if len(scores) >= len(pool) else 0.0
    return np.array([scores.get(int(row), least) for row in pool], dtype=np.float64)


def _share_of_best(scores: np.ndarray) -> np.ndarray:
    """In [0, 1]: the best has 1. (Bringing them to mean 0 and deviation 1 finds as much in a large pool, and
    makes a tie of every two passages in a small one.)"""
    best = scores.max()
    if best <= 0:
        return np.zeros(len(scores))
    share: np.ndarray = np.maximum(scores, 0.0) / best
    return share


def _nearest_sentence(snapshot: Snapshot, pool: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """(n,) the largest cosine of a sentence of each passage."""
    vectors, owners = snapshot.sentence_vectors(pool)
    nearest = np.full(len(pool), -1.0, dtype=np.float32)
    np.maximum.at(nearest, owners, vectors @ vector)
    return nearest


def _reranked(
    snapshot: Snapshot, question: str, pool: np.ndarray, order: np.ndarray, reranker: Reranker
) -> np.ndarray:
    best = order[:RERANKED]
    passages = snapshot.passages([int(row) for row in pool[best]])
    scores = reranker(question, [f"{passage.title}\n{passage.text}" for passage in passages])
    return np.concatenate([best[np.argsort(-scores, kind="stable")], order[RERANKED:]])
