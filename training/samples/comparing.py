"""How two texts compare: words in common, names and numbers, language.

In: plain texts. Out: shares, sets, yes or no. What is too much or too little is decided in
`training.samples.filters`.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from personae.corpus import sentences

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_VALUES = {word: value for value, word in enumerate(_SMALL.split())} | {
    word: 10 * value for value, word in enumerate(_TENS.split(), 2)
}
SCALE = re.compile(r"\b(?:dozen|score|hundred|thousand|[mb]illion)s?\b", re.IGNORECASE)
WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_STOP_WORDS = (
    "about above after again against all also and any are because been before being below between both but "
    "can could did does doing down during each every few for from further had has have having how into its "
    "just like made make many more most much must nor not now off once only other our ours out over own same "
    "say shall should some such than that the their them then there these they this those through too under "
    "until very was way were what when where which while who whom why will with would you your yourself "
    "think feel believe tell view opinion regard opinions thoughts"
)
_STOP = frozenset(_STOP_WORDS.split())


def other_language(text: str, language: str, sure: float = 0.6) -> bool:
    """Whether it is surely not in `language`; short texts get the benefit of the doubt."""
    if len(text) < 20:
        return False
    found, probability = _identifier().classify(text)
    return found != language.split("-")[0] and probability >= sure


@functools.cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@functools.cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"])


def rouge_l(source: str, made: str) -> float:
    """ROUGE-L F1 (Lin 2004): 1 for the same words in the same order."""
    return float(_scorer().score(source, made)["rougeL"].fmeasure)


def longest_run(made: str, source: str) -> int:
    """Most words in a row of `made` that stand so in `source`."""
    words = WORD.findall(made.lower())
    within = f" {' '.join(WORD.findall(source.lower()))} "
    best = 0
    for start in range(len(words)):
        while (
            start + best < len(words) and f" {' '.join(words[start : start + best + 1])} " in within
        ):
            best += 1
    return best


def names_in(text: str) -> set[str]:
    """Capitalised words inside sentences, in lower case: people, places, months. ("I" is none.)"""
    found: set[str] = set()
    for sentence in sentences(text):
        for word in WORD.findall(sentence)[1:]:
            if word[0].isupper() and len(word) > 1 and not word.startswith(("I'", "I’")):
                found.add(word.lower().removesuffix("'s").removesuffix("’s"))
    return found


def numbers_in(text: str) -> set[str]:
    """Numbers in digits, years and days among them, without the commas of thousands."""
    return {number.replace(",", "") for number in _NUMBER.findall(text)}


def spelled_numbers(text: str) -> set[str]:
    """Numbers in words, up to ninety-nine, as digits."""
    found: set[int] = set()
    before = 0
    for word in re.findall(r"[a-z]+", text.lower()):
        value = _VALUES.get(word, 0)
        found.add(value + (before if before >= 20 and value < 10 else 0))
        found.add(value)
        before = value
    return {str(value) for value in found}


def subject_words(text: str) -> set[str]:
    """Words that carry the subject, cut to five letters so that "bank" meets "banking" half-way."""
    return {word[:5] for word in WORD.findall(text.lower()) if len(word) > 2 and word not in _STOP}
