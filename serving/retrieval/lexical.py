"""Which passages share the question's words: FTS5's BM25 over words, stems and pairs of neighbours.

In: a question. Out: rows with scores, larger is better. Words and their stems are counted both: stems find
"governed" for "government", whole words tell "general" from "generally". A pair ("state university") counts
`PAIR_WEIGHT` times what FTS5 gives it; it raised recall@1 by three points (docs/benchmarks.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from serving.retrieval.snapshot import Snapshot
from serving.retrieval.words import stems, tokens

PAIR_WEIGHT = 0.3
MATCHES = 1000
"""So many of the best matches keep their score; the others count as having the least of them."""
POSTINGS = 10_000
"""FTS5 scores every passage that holds one of the words, a microsecond or more each. Words beyond so many
passages in all, the most frequent first, are left out: with a million passages "government" would cost more
than all the rest of a search, and tells little."""
PAIR_POSTINGS = 40_000
"""A pair is looked for by walking the passages of its more frequent word; beyond so many it is left out."""
_MOST_WORDS = 64


def lexical_scores(
    snapshot: Snapshot, question: str, language: str, *, among: np.ndarray | None = None
) -> dict[int, float]:
    """Scores of the passages that share words with a question, at most `MATCHES` of each kind.

    Args:
        among: sorted rows that may be found; None means all.
    """
    words = tokens(question)[:_MOST_WORDS]
    if not words:
        return {}
    roots = stems(words, language)
    in_words = snapshot.document_frequency(list(dict.fromkeys(words)), "words")
    in_stems = snapshot.document_frequency(list(dict.fromkeys(roots)), "stems")
    scores: dict[int, float] = {}
    alone = _either(_quoted(_within_budget(in_words)), _quoted(_within_budget(in_stems)))
    if alone:
        scores = dict(snapshot.match(alone, MATCHES, among=among))
    pairs = _either(_pairs(words, in_words), _pairs(roots, in_stems))
    if pairs:
        for row, score in snapshot.match(pairs, MATCHES, among=among):
            scores[row] = scores.get(row, 0.0) + PAIR_WEIGHT * score
    return scores


def _within_budget(frequencies: Mapping[str, int]) -> list[str]:
    """The rarest words, as long as they stand in few enough passages together; always two."""
    known = sorted((number, word) for word, number in frequencies.items() if number)
    kept: list[str] = []
    spent = 0
    for number, word in known:
        if len(kept) >= 2 and spent + number > POSTINGS:
            break
        kept.append(word)
        spent += number
    return kept


def _quoted(words: Sequence[str]) -> list[str]:
    return [f'"{word}"' for word in words]


def _pairs(words: Sequence[str], frequencies: Mapping[str, int]) -> list[str]:
    """Neighbours that both stand in some passage, and neither in too many."""
    usable = {word for word, number in frequencies.items() if 0 < number <= PAIR_POSTINGS}
    both = [
        f'"{first} {second}"'
        for first, second in pairwise(words)
        if first in usable and second in usable
    ]
    return list(dict.fromkeys(both))


def _either(words: Sequence[str], roots: Sequence[str]) -> str:
    """An FTS5 query for any of these; tokens hold letters and digits only, so nothing needs escaping."""
    parts = []
    if words:
        parts.append(f"{{words}} : ({' OR '.join(words)})")
    if roots:
        parts.append(f"{{stems}} : ({' OR '.join(roots)})")
    return " OR ".join(parts)
