"""How much of a reply stands word for word in what was trained on, or in the passages shown beside it.

In: texts to index. Out: the longest stretch of words a text shares with them, and the share of its 8-word
sequences that they hold. Case, punctuation and line ends do not count. Time and memory grow with the length
of the texts; a corpus of a million words takes about 100 MB.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from training.evaluate.text_checks import words_of

GRAM_WORDS = 8
"""Shorter stretches are idiom, not memory."""


_UNKNOWN, _BORDER = -1, -2


@dataclass(frozen=True)
class Copied:
    words: int
    """0 where nothing as long as a gram is shared."""
    where: str
    """Id of the text that holds it."""
    text: str
    """The shared words, in lower case."""


NOTHING = Copied(0, "", "")


class CopyIndex:
    """An index of every sequence of `gram_words` words of some texts."""

    def __init__(self, texts: Sequence[tuple[str, str]], *, gram_words: int = GRAM_WORDS) -> None:
        """Args:
        texts: (id, text) of each.
        """
        self._gram = gram_words
        self._ids: list[str] = []
        self._numbers: dict[str, int] = {}
        self._words = array("l")
        self._text_at = array("l")
        self._places: dict[int, array[int]] = {}
        for name, text in texts:
            self._ids.append(name)
            self._add([self._numbers.setdefault(w, len(self._numbers)) for w in words_of(text)])

    def _add(self, numbers: list[int]) -> None:
        start = len(self._words)
        self._words.extend(numbers)
        self._text_at.extend([len(self._ids) - 1] * len(numbers))
        for place in range(len(numbers) - self._gram + 1):
            key = hash(tuple(numbers[place : place + self._gram]))
            self._places.setdefault(key, array("l")).append(start + place)
        # No stretch runs on into the next text.
        self._words.append(_BORDER)
        self._text_at.append(len(self._ids) - 1)

    def longest(self, text: str) -> Copied:
        """The longest stretch of words of `text` that stands in one of the texts."""
        words = words_of(text)
        numbers = [self._numbers.get(word, _UNKNOWN) for word in words]
        best, best_end, best_place = 0, 0, 0
        runs: dict[int, int] = {}
        for start in range(len(numbers) - self._gram + 1):
            found: dict[int, int] = {}
            for place in self._at(numbers, start):
                found[place] = runs.get(place - 1, self._gram - 1) + 1
                if found[place] > best:
                    best, best_end, best_place = found[place], start + self._gram, place
            runs = found
        if not best:
            return NOTHING
        where = self._ids[self._text_at[best_place]]
        return Copied(best, where, " ".join(words[best_end - best : best_end]))

    def shared_grams(self, text: str) -> tuple[int, int]:
        """(sequences of `text` that stand in the texts, all its sequences)."""
        numbers = [self._numbers.get(word, _UNKNOWN) for word in words_of(text)]
        starts = range(len(numbers) - self._gram + 1)
        return sum(bool(self._at(numbers, start)) for start in starts), len(starts)

    def _at(self, numbers: Sequence[int], start: int) -> list[int]:
        """Places where the sequence that begins at `start` stands, within one text."""
        gram = numbers[start : start + self._gram]
        if _UNKNOWN in gram:
            return []
        wanted = array("l", gram)
        return [
            place
            for place in self._places.get(hash(tuple(gram)), ())
            if self._words[place : place + self._gram] == wanted
        ]
