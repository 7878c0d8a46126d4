"""Whether held-out text is in what is learned: sequences of twelve words, compared.

In: texts. Out: which documents leak, and how much. What held-out and training documents share (a formula, a
refrain) is no leak: the author repeats himself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from personae.corpus import Document

WORDS = 12
_WORD = re.compile(r"\w+")


class HeldOutText:
    """What stands in held-out documents and in no training document."""

    def __init__(self, training: Sequence[Document], held_out: Sequence[Document]) -> None:
        self._owner: dict[int, str] = {}
        for document in held_out:
            self._owner.update(dict.fromkeys(_sequences(document.text), document.id))
        for document in training:
            for sequence in _sequences(document.text):
                self._owner.pop(sequence, None)

    def documents_in(self, text: str) -> set[str]:
        """Ids of the held-out documents of which a text holds twelve words in a row."""
        return {self._owner[sequence] for sequence in _sequences(text) if sequence in self._owner}


def leaks(
    samples: Iterable[str], training: Sequence[Document], held_out: Sequence[Document]
) -> Counter[str]:
    """Id of a held-out document → how many samples hold twelve words of it in a row."""
    known = HeldOutText(training, held_out)
    found: Counter[str] = Counter()
    for text in samples:
        found.update(known.documents_in(text))
    return found


def _sequences(text: str) -> Iterator[int]:
    words = [word.lower() for word in _WORD.findall(text)]
    for start in range(len(words) - WORDS + 1):
        yield hash(tuple(words[start : start + WORDS]))
