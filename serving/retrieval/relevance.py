"""How likely it is that the writing covers a question at all, in [0, 1].

In: the best passages of a search. Out: a probability by logistic regression over two things: how near the
best passage is in meaning, and which share of the question's content words (rare ones weigh more) stands in
it. Fitted to questions whose answer is known to be there or not, of a blog and of two presidents
(docs/decisions.md), among them half of `serving/bench/outside_questions.txt`; docs/benchmarks.md has the
figures of the other half. The cosines are MiniLM's: for another embedder measure with `personae index eval
--outside`, and set the persona's `[retrieval] floor` by it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from serving.retrieval.snapshot import Snapshot
from serving.retrieval.words import asks_something, content_words, stems, tokens

MEANING_WEIGHT = 18.0
COVERAGE_WEIGHT = 4.2
CONSTANT = -8.8
FLOOR = 0.35
"""Below it a persona says that it has not written about this."""
_PASSAGES = 5


@dataclass(frozen=True)
class Evidence:
    """Of the best passage for a question.

    Attributes:
        meaning: mean of its cosine and its nearest sentence's.
        coverage: share of the question's content words in it, in [0, 1].
        asks_something: whether the question has content words at all; "Who are you?" has none.
    """

    meaning: float = 0.0
    coverage: float = 0.0
    asks_something: bool = True

    @property
    def relevance(self) -> float:
        logit = MEANING_WEIGHT * self.meaning + COVERAGE_WEIGHT * self.coverage + CONSTANT
        return 1.0 / (1.0 + math.exp(-logit))

    def covers(self, floor: float = FLOOR) -> bool:
        """Whether to answer from the writing. Small talk is not for the writing to cover."""
        return not self.asks_something or self.relevance >= floor


def evidence_of(
    snapshot: Snapshot,
    question: str,
    language: str,
    rows: np.ndarray,
    whole: np.ndarray,
    nearest_sentence: np.ndarray,
) -> Evidence:
    """The strongest evidence among the first of these passages.

    Args:
        rows, whole, nearest_sentence: (n,) candidates, best first, with their cosines.
    """
    content = content_words(tokens(question), language)
    asked = list(dict.fromkeys(stems(content, language)))
    something = asks_something(content)
    if not len(rows) or not asked:
        return Evidence(asks_something=something)
    frequencies = snapshot.document_frequency(asked, "stems")
    weight = {
        stem: math.log(1 + (len(snapshot) + 0.5) / (frequencies.get(stem, 0) + 0.5))
        for stem in asked
    }
    best = Evidence(asks_something=something)
    passages = snapshot.passages([int(row) for row in rows[:_PASSAGES]])
    for passage, whole_cosine, sentence_cosine in zip(
        passages, whole[:_PASSAGES], nearest_sentence[:_PASSAGES], strict=True
    ):
        text = f"{passage.title} {passage.section} {passage.date} {passage.text}"
        held = set(stems(tokens(text), language))
        covered = sum(weight[stem] for stem in asked if stem in held) / sum(weight.values())
        meaning = (float(whole_cosine) + float(sentence_cosine)) / 2
        found = Evidence(meaning, covered, something)
        if found.relevance > best.relevance:
            best = found
    return best
