"""Other words for the same: what makes the source of a rewrite differ from its target, for any author.

In: the words of a corpus, common words of today, and an embedder. Out: for a word, a common one that lies
near it. Nothing is asked of a network, and nothing is exact: "permitted" becomes "allowed", "shores"
becomes "coast". Opposites lie near each other too; those that can be told by form or are well known are
left out.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Embed = Callable[[Sequence[str]], Any]
"""Texts → (texts, dimensions) float32, L2-normalised."""

NEAR = 0.64
"""Least cosine. Below it, MiniLM gives words of the same field that mean something else."""
MIN_COMMON = 6
"""A common word stands at least so often in the texts of today."""
_ENDINGS = ("ing", "ed", "ly", "ss", "s", "tion", "ment", "ness")
_NEGATIVE = ("un", "in", "im", "ir", "il", "dis", "non", "mis")
_OPPOSITES = """
/ high/low higher/lower good/bad better/worse easy/difficult easy/hard simple/difficult
more/less most/least rich/poor strong/weak old/new old/young long/short large/small great/small
big/small right/wrong true/false war/peace north/south east/west northern/southern
eastern/western buy/sell bought/sold imports/exports import/export increase/decrease
increased/decreased increase/reduce win/lose won/lost friend/enemy friends/enemies
allowed/prohibited permitted/prohibited allowed/forbidden free/paid began/ended begin/end
start/end started/ended first/last early/late before/after above/below over/under up/down
many/few always/never husband/wife father/mother son/daughter brother/sister men/women
man/woman boys/girls boy/girl day/night summer/winter open/closed full/empty gain/loss
profit/loss deficit/surplus majority/minority public/private male/female love/hate life/death
live/die lived/died birth/death success/failure accept/reject accepted/rejected approve/veto
debt/credit creditor/debtor lend/borrow north/west south/west north/east south/east army/navy
land/sea black/white left/right union/confederate democrats/republicans democrat/republican
ally/enemy attack/defend offense/defense inside/outside anything/nothing everything/nothing
easier/harder successor/predecessor soldier/civilian safety/danger ours/theirs neither/both
once/twice sooner/later
"""
_WORD = re.compile(r"(?<![\w'’-])[a-z]{4,}(?![\w'’-])")
_TOO_COMMON = 250
"""So many of the commonest words of today are grammar, or mean whatever stands beside them."""


class Thesaurus:
    """Other words, by word; an empty one changes nothing."""

    def __init__(self, others: Mapping[str, Sequence[str]]) -> None:
        self.others = {word: list(found) for word, found in others.items() if found}

    def reworded(self, text: str, chance: random.Random, *, share: float) -> str:
        """The text with about `share` of the words that have another one exchanged; names stay."""
        if not self.others:
            return text

        def other(found: re.Match[str]) -> str:
            choices = self.others.get(found.group())
            if not choices or chance.random() >= share:
                return found.group()
            return choices[0] if chance.random() < 0.7 else chance.choice(choices)

        return _WORD.sub(other, text)


NO_OTHER_WORDS = Thesaurus({})


def build_thesaurus(texts: Iterable[str], today: Iterable[str], embed: Embed) -> Thesaurus:
    """Other words for the words of `texts`, out of those common in the texts of `today`.

    Args:
        texts: an author's documents, in English.
        today: prose of the present; its common words are what people would type.
    """
    import snowballstemmer

    counts = Counter(word for text in today for word in _WORD.findall(text))
    grammar = {word for word, _count in counts.most_common(_TOO_COMMON)}
    wanted = sorted({word for text in texts for word in _WORD.findall(text)} - grammar)
    common = sorted(word for word, count in counts.items() if count >= MIN_COMMON)
    if not wanted or not common:
        return NO_OTHER_WORDS
    stem = snowballstemmer.stemmer("english").stemWord
    stems = {word: stem(word) for word in {*wanted, *common}}
    likeness = embed(wanted) @ embed(common).T  # (wanted, common)
    others: dict[str, list[str]] = {}
    for row, word in enumerate(wanted):
        near = (-likeness[row]).argsort(kind="stable")[:12]
        others[word] = [
            common[place]
            for place in near
            if likeness[row, place] >= NEAR
            and stems[common[place]] != stems[word]
            and _may_stand_for(word, common[place])
        ][:3]
    return Thesaurus(others)


def _may_stand_for(word: str, other: str) -> bool:
    """Of the same ending, no relative of the same root and no known opposite."""
    if _ending(word) != _ending(other):
        return False
    if {f"{word}/{other}", f"{other}/{word}"} & set(_OPPOSITES.split()):
        return False
    shorter, longer = sorted((word, other), key=len)
    if longer.startswith(shorter[:5]) or longer.endswith(shorter):
        return False  # "higher" for "high"; "unaware" for "aware"
    negative = [name.startswith(_NEGATIVE) for name in (word, other)]
    return negative[0] == negative[1]


def _ending(word: str) -> str:
    return next((ending for ending in _ENDINGS if word.endswith(ending)), "")
