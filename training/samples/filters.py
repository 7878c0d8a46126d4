"""What keeps bad pairs out of the training data, whoever made them: a model, or rules.

In: the author's own stretch, the text made from it, and how near their meanings are (the caller embeds,
with `cosines`). Out: a `Reason` to leave the pair out, or None. Pure: the same texts give the same
verdict. It knows no model, no API and no files. Rules on words ("I", "the author") are for English; for
other languages only those that hold everywhere are used.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from training.samples.comparing import (
    SCALE,
    WORD,
    longest_run,
    names_in,
    numbers_in,
    other_language,
    rouge_l,
    spelled_numbers,
    subject_words,
)

Embed = Callable[[Sequence[str]], np.ndarray]
"""texts → (n_texts, dim) float32, L2-normalised."""

Reason = Literal[
    "empty", "cut off", "speaks as a machine", "other language", "meaning lost", "copied", "too short",
    "too long", "a name is missing", "a number is missing", "a number was made up", "perspective changed",
    "not a question", "speaks of the passage", "speaks of the author as of another", "does not answer",
    "opening overused", "said before", "refused by the API", "longer than the base model reads",
    "passages that answer it", "off its topic",
]  # fmt: skip


@dataclass(frozen=True)
class Bounds:
    meaning: float = 0.60
    """Least cosine between a stretch and its retelling."""
    answer_meaning: float = 0.25
    """Least cosine between a question (or title) and the stretch that answers it."""
    copy: float = 0.60
    """Most ROUGE-L (F1) between a stretch and its retelling."""
    copied_run: int = 8
    """Most words in a row that a question may take from its answer."""
    shortest: float = 0.30
    """Least words of a retelling over the stretch's."""
    longest: float = 1.50
    names: float = 0.75
    """Least share of the stretch's names that are kept."""
    numbers: float = 1.0
    """Least share of the numbers: what the retelling lost, the model would learn to invent."""
    opening_share: float = 0.20
    """Most texts that may begin with the same words."""
    opening_words: int = 3
    language_sure: float = 0.60
    """How sure the detector must be that it is another language; it is weak on short texts."""


BOUNDS = Bounds()

_MACHINE = re.compile(
    r"^(?:sure|certainly|of course|absolutely|okay|ok|got it|here(?:'s| is| are)|below (?:is|are))\b"
    r"[^.\n]{0,60}[:!]|^(?:certainly|sure|absolutely)[!,.]"
    r"|\bas an? (?:AI|artificial intelligence|(?:large )?language model)\b"
    r"|\bI(?:'m| am) (?:sorry, but|just an? AI|an? (?:AI|language model))"
    r"|\bI (?:can(?:no|')t|am unable to) (?:help|assist|fulfil|comply|rewrite)\b"
    r"|\blet me know if\b|\bI hope this helps\b"
    r"|\bhere(?:'s| is) (?:the|a|your) (?:rewritten|rewrite|question)"
    r"|^(?:note|question|title|rewritten text|essay|notes|study notes|answer)s?\s*:",
    re.IGNORECASE | re.MULTILINE,
)
_LABEL = re.compile(
    r"^(?:#{1,6}\s*)?\**(?:question|title|essay|notes|study notes|rewritten text|text)\**\s*:\**\s*",
    re.IGNORECASE,
)
_FENCE = re.compile(r"^```\w*\n(.*?)\n?```$", re.DOTALL)
_TAG = re.compile(r"^<(\w+)>(.*)</\1>$", re.DOTALL)
_BOLD = re.compile(r"^(\*{1,3})([^*]+)\1$")
_QUOTES = {'"': '"', "“": "”", "'": "'", "‘": "’", "«": "»"}
_OF_PASSAGE = re.compile(
    r"\b(?:the|this|that|above|given|provided) (?:passage|text|excerpt|paragraph|quotation|extract|author|"
    r"writer|speaker|narrator)s?\b|\baccording to (?:the|this|him|her|them)\b",
    re.IGNORECASE,
)
_RETOLD = re.compile(
    r"\b(?:the (?:author|writer|speaker|narrator)|my (?:dad|daddy|father|mom|mum|mother|teacher|grandpa)|"
    r"this (?:text|passage|author))\b",
    re.IGNORECASE,
)
_HE_SAYS = re.compile(
    r"\b(?:he|she) (?:says|said|writes|wrote|argues|thinks|believes)\b", re.IGNORECASE
)
_HE = re.compile(r"\b(?:he|she)\b", re.IGNORECASE)
_SINGULAR = re.compile(r"\b(?:I|me|my|mine|myself|I'm|I've|I'd|I'll)\b")
_SINGULAR_ANY_CASE = re.compile(r"\b(?:i|me|my|mine|myself)\b", re.IGNORECASE)


def cleaned(text: str) -> str:
    """A model's text without what it wraps its texts in: a fence, a tag, a label, quotes.

    >>> cleaned('"What do you grow?"')
    'What do you grow?'
    """
    text = text.strip()
    for wrapping in (_FENCE, _TAG, _BOLD):
        if found := wrapping.match(text):
            text = found.groups()[-1].strip()
    text = _LABEL.sub("", text, count=1)
    while len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
        inner = text[1:-1]
        if text[0] in inner or text[-1] in inner.replace("'s", "").replace("n't", ""):
            break  # "One." and "two.": quotes of its own, not a wrapping
        text = inner.strip()
    return text


def cosines(embed: Embed, left: Sequence[str], right: Sequence[str]) -> list[float]:
    """Of each text with the one at the same place; empty for no texts."""
    if not left:
        return []
    both = embed([*left, *right])
    near = (both[: len(left)] * both[len(left) :]).sum(axis=1)
    return [float(value) for value in near]


def text_problem(made: str, *, language: str, bounds: Bounds = BOUNDS) -> Reason | None:
    """What no text of any kind may have."""
    if not made.strip():
        return "empty"
    if _MACHINE.search(made):
        return "speaks as a machine"
    if other_language(made, language, bounds.language_sure):
        return "other language"
    return None


def rewrite_problem(
    source: str,
    made: str,
    cosine: float,
    *,
    language: str = "en",
    names: Sequence[str] = (),
    notes: bool = False,
    bounds: Bounds = BOUNDS,
) -> Reason | None:
    """Whether `made` tells the same as `source`, in other words and by the same person.

    Args:
        names: what the author is called; a retelling that names him is told by another.
        notes: bullets may leave the "I" out.
    """
    if problem := text_problem(made, language=language, bounds=bounds):
        return problem
    ratio = len(made.split()) / max(1, len(source.split()))
    if ratio < bounds.shortest:
        return "too short"
    if ratio > bounds.longest:
        return "too long"
    if problem := _facts_problem(source, made, bounds):
        return problem
    if language == "en" and (problem := _perspective_problem(source, made, names, notes)):
        return problem
    if cosine < bounds.meaning:
        return "meaning lost"
    return "copied" if rouge_l(source, made) > bounds.copy else None


def question_problem(
    question: str,
    answer: str,
    cosine: float,
    *,
    language: str = "en",
    names: Sequence[str] = (),
    bounds: Bounds = BOUNDS,
) -> Reason | None:
    """Whether a person could ask this without having read `answer`, and `answer` answers it."""
    if problem := asked_problem(question, language=language, names=names, bounds=bounds):
        return problem
    if longest_run(question, answer) > bounds.copied_run:
        return "copied"
    shared = subject_words(question) & subject_words(answer)
    if cosine < bounds.answer_meaning or (not shared and cosine < 2 * bounds.answer_meaning):
        return "does not answer"
    return None


def asked_problem(
    question: str, *, language: str = "en", names: Sequence[str] = (), bounds: Bounds = BOUNDS
) -> Reason | None:
    """What is wrong with a question put to the author, whatever the answer is."""
    if problem := text_problem(question, language=language, bounds=bounds):
        return problem
    question = question.replace("？", "?")
    if question.count("?") != 1 or not question.rstrip("\"'”’").endswith("?") or "\n" in question:
        return "not a question"
    if len(question.split()) > 30:
        return "too long"
    if len(question.split()) < 3:
        return "too short"
    if language == "en" and _OF_PASSAGE.search(question):
        return "speaks of the passage"
    if any(re.search(rf"\b{re.escape(name)}\b", question) for name in names):
        return "speaks of the author as of another"
    return None


def title_problem(
    title: str, stretch: str, cosine: float, *, language: str = "en", bounds: Bounds = BOUNDS
) -> Reason | None:
    if problem := text_problem(title, language=language, bounds=bounds):
        return problem
    words = len(title.split())
    if not 1 < words <= 12 or "\n" in title:
        return "too short" if words < 2 else "too long"
    if language == "en" and _OF_PASSAGE.search(title):
        return "speaks of the passage"
    if longest_run(title, stretch) > bounds.copied_run:
        return "copied"
    near = cosine >= bounds.answer_meaning or len(subject_words(title) & subject_words(stretch)) > 1
    return None if near else "does not answer"


def overused_openings(texts: Sequence[str], bounds: Bounds = BOUNDS) -> list[Reason | None]:
    """The first so many with one opening stay; in a handful of texts nothing is a habit yet."""
    most = max(4, int(bounds.opening_share * len(texts)))
    seen: Counter[str] = Counter()
    verdicts: list[Reason | None] = []
    for text in texts:
        opening = " ".join(WORD.findall(text.lower())[: bounds.opening_words])
        seen[opening] += 1
        verdicts.append("opening overused" if seen[opening] > most else None)
    return verdicts


def _facts_problem(source: str, made: str, bounds: Bounds) -> Reason | None:
    said = {word.lower().removesuffix("'s").removesuffix("’s") for word in WORD.findall(made)}
    names, numbers, there = names_in(source), numbers_in(source), numbers_in(made)
    if names and len(names & said) / len(names) < bounds.names:
        return "a name is missing"
    if numbers and len(numbers & there) / len(numbers) < bounds.numbers:
        return "a number is missing"
    # "one" may become 1, and a list may be numbered; a larger number must come from somewhere.
    invented = {
        number
        for number in there - numbers - spelled_numbers(source)
        if int(number.split(".")[0]) > 12
    }
    return "a number was made up" if invented and not SCALE.search(source) else None


def _perspective_problem(
    source: str, made: str, names: Sequence[str], notes: bool
) -> Reason | None:
    """First person stays first person, and nobody else begins to tell."""
    retold = any(found.group().lower() not in source.lower() for found in _RETOLD.finditer(made))
    retold |= _HE_SAYS.search(made) is not None and _HE.search(source) is None
    retold |= any(name in made and name not in source for name in names)
    mine, still_mine = _SINGULAR.search(source), _SINGULAR_ANY_CASE.search(made)
    lost = mine and not still_mine and not notes
    return "perspective changed" if retold or lost or (still_mine and not mine) else None


@dataclass
class FilterReport:
    """How many went and why, with a few of them to look at."""

    kept: Counter[str] = field(default_factory=Counter)
    """By kind."""
    rejected: dict[str, Counter[str]] = field(default_factory=dict)
    """kind → reason → how many."""
    samples: dict[str, list[str]] = field(default_factory=dict)
    """reason → at most three of the texts."""

    def note(self, kind: str, text: str, reason: Reason | None) -> bool:
        """Count one; True if it stays."""
        if reason is None:
            self.kept[kind] += 1
            return True
        self.rejected.setdefault(kind, Counter())[reason] += 1
        shown = self.samples.setdefault(reason, [])
        if len(shown) < 3:
            shown.append(text if len(text) <= 300 else text[:300] + "…")
        return False
