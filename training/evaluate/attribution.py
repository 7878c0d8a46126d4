"""How much a text sounds like the author rather than like others: char n-grams and logistic regression.

In: the author's training documents and those of at least five others. Out: `Attribution`, which scores
texts with P(author), and the held-out stretches to compare with. The last document of each other author (a
tenth of the words at least) is never trained on: its stretches are the negatives of every AUC.

Tried on held-out messages of Lincoln, T. Roosevelt and Wilson (AUC of the author's own text; of the same
text made plain by rules, which keeps the topics and loses the voice):

    char, text as it is       .83 .94 .91   .78 .92 .92
    char_wb, text as it is    .82 .94 .91   .76 .92 .93
    char, masked              .81 .90 .90   .75 .88 .92
    char_wb, masked           .79 .90 .91   .72 .89 .93

Masked is less topic-bound: names and numbers give an author away without any voice. Among the masked, char
tells more texts rightly. C = 10 is .01–.04 above C = 1.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from personae.corpus import Document, sentences
from training.evaluate.bounds import mean_figure
from training.evaluate.evaluation import Figure
from training.samples.dataset import split_documents

CHUNK_WORDS = 90
REPLY_WORDS = 75
"""Held-out stretches are about as long as replies are: a longer text is easier to tell."""
MOST_CHUNKS_PER_OTHER = 120
HELD_OUT_PER_OTHER = 20
HELD_OUT_OF_AUTHOR = 60
_FEATURES = 40_000
_C = 10.0

_NUMBER = re.compile(r"\d[\d,.]*\d|\d")
# A capital in the middle of a sentence: a name, an office, a month. "I" is a word of its own.
_NAME = re.compile(
    r"(?<=[a-z,;:] )(?!I\b)[A-Z][\w'’.-]*(?: (?:(?:of|the|and) ){0,2}(?!I\b)[A-Z][\w'’-]*)*"
)


def masked(text: str) -> str:
    """Names as Xx and numbers as 0: what is told from is how it is said.

    >>> masked("We paid 2,500 dollars to John Smith in May.")
    'We paid 0 dollars to Xx in Xx.'
    """
    return _NAME.sub("Xx", _NUMBER.sub("0", text))


def chunks(text: str, words: int) -> list[str]:
    """Whole neighbouring sentences, at least `words` together; a shorter rest is left out.

    Headings and list marks are no sentences of the author's.
    """
    found: list[str] = []
    current: list[str] = []
    size = 0
    for block in text.split("\n\n"):
        if block.lstrip().startswith("#"):
            continue
        for sentence in sentences(block):
            current.append(sentence)
            size += sentence.count(" ") + 1
            if size >= words:
                found.append(" ".join(current))
                current, size = [], 0
    return found


@dataclass(frozen=True)
class Attribution:
    """A classifier that knows one author, and held-out stretches of him and of the others."""

    others: list[str]
    author_held_out: list[str]
    others_held_out: list[str]
    accuracy: Figure
    """Held-out stretches told rightly at P = .5, author and others counting alike."""
    _vectorizer: Any
    _classifier: Any

    def scores(self, texts: Sequence[str]) -> list[float]:
        """P(author) of each; 0 of a text without a letter, which is nobody's voice."""
        return _scores(self._vectorizer, self._classifier, texts)


def train_attribution(
    training: Sequence[Document],
    held_out: Sequence[Document],
    others: Mapping[str, Sequence[Document]],
    *,
    seed: int = 17,
) -> Attribution:
    """Learn to tell the author from the others; a few seconds.

    Each other gives the same number of stretches where they have them; author and others weigh the same.

    Raises:
        CorpusError: another author has a single document that can't be split.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    draw = random.Random(f"attribution {seed}")  # noqa: S311 - a sample, no secret
    splits = {name: _split(documents) for name, documents in others.items()}
    own = _chunks_of(training, CHUNK_WORDS)
    theirs = {name: _chunks_of(split[0], CHUNK_WORDS) for name, split in splits.items()}
    share = min(MOST_CHUNKS_PER_OTHER, *(len(found) for found in theirs.values()))
    texts = _some(own, share * len(theirs), draw)
    labels = [1] * len(texts)
    for found in theirs.values():
        texts += _some(found, share, draw)
    labels += [0] * (len(texts) - len(labels))
    vectorizer = TfidfVectorizer(
        preprocessor=masked,
        analyzer="char",
        ngram_range=(2, 5),
        sublinear_tf=True,
        min_df=3,
        max_features=_FEATURES,
    )
    classifier = LogisticRegression(
        C=_C, class_weight="balanced", solver="liblinear", max_iter=300, random_state=seed
    )
    classifier.fit(vectorizer.fit_transform(texts), labels)
    author_held_out = _some(_chunks_of(held_out, REPLY_WORDS), HELD_OUT_OF_AUTHOR, draw)
    others_held_out = [
        chunk
        for split in splits.values()
        for chunk in _some(_chunks_of(split[1], REPLY_WORDS), HELD_OUT_PER_OTHER, draw)
    ]
    right = [score > 0.5 for score in _scores(vectorizer, classifier, author_held_out)]
    wrong = [score > 0.5 for score in _scores(vectorizer, classifier, others_held_out)]
    return Attribution(
        others=list(others),
        author_held_out=author_held_out,
        others_held_out=others_held_out,
        accuracy=_balanced(right, [not called for called in wrong]),
        _vectorizer=vectorizer,
        _classifier=classifier,
    )


def _scores(vectorizer: Any, classifier: Any, texts: Sequence[str]) -> list[float]:
    if not texts:
        return []
    found = classifier.predict_proba(vectorizer.transform(texts))[:, 1]
    return [
        float(score) if any(letter.isalpha() for letter in text) else 0.0
        for score, text in zip(found, texts, strict=True)
    ]


def _balanced(own: Sequence[bool], theirs: Sequence[bool]) -> Figure:
    """Mean of both sides' shares; bounds from both sides' own."""
    one, two = mean_figure([float(x) for x in own]), mean_figure([float(x) for x in theirs])
    return Figure(
        value=round((one.value + two.value) / 2, 4),
        low=round((one.low + two.low) / 2, 4),
        high=round((one.high + two.high) / 2, 4),
        n=one.n + two.n,
    )


def _split(documents: Sequence[Document]) -> tuple[Sequence[Document], Sequence[Document]]:
    """Newest held out, as of the author; a single document is cut at a fifth before its end."""
    if len(documents) != 1:
        return split_documents(documents)
    (only,) = documents
    blocks = only.text.split("\n\n")
    if len(blocks) < 5:
        blocks = sentences(only.text)
    cut = max(1, len(blocks) * 4 // 5)
    first = only.model_copy(update={"text": "\n\n".join(blocks[:cut])})
    rest = only.model_copy(update={"id": f"{only.id}#end", "text": "\n\n".join(blocks[cut:])})
    return [first], [rest]


def _chunks_of(documents: Sequence[Document], words: int) -> list[str]:
    return [chunk for document in documents for chunk in chunks(document.text, words)]


def _some(found: Sequence[str], most: int, draw: random.Random) -> list[str]:
    return draw.sample(found, min(most, len(found)))
