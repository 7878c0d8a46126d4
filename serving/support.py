"""Whether a passage says what a sentence says: the evidence under every citation.

In: the passages of a prompt, numbered from 1, and the words of an answer. Out: which passage holds a
quotation word for word, and how far a passage supports a sentence, in [0, 1]. No model is asked: it counts
content words by their stems, long words more than short ones. A number, a name, an address or a "not" that
the passage lacks makes the support nothing. A passage that speaks to the model ("ignore your
instructions") supports nothing at all, so that an answer which obeys it can't be cited.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from personae.prompt import PromptPassage, holds_special_tokens, inert
from serving.retrieval.words import content_words, stems, tokens

FEWEST_QUOTED_WORDS = 4
"""Fewer words in quotation marks are a term, not a quotation."""
FEWEST_CONTENT_WORDS = 3
"""A sentence with fewer says too little to be found anywhere."""
_FEWEST_WORDS_BETWEEN_GAPS = 2
_LONGEST_WEIGHT = 12

_ELLIPSIS = re.compile(r"\[\s*(?:…|\.\s?\.\s?\.)\s*\]|…|\.\s?\.\s?\.(?:\s?\.)?")
_ALTERED_LETTER = re.compile(r"\[(\w{1,3})\](?=\w)")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3})")
_ADDRESS = re.compile(r"(?:https?://|www\.)[^\s<>\"“”\[\])]+", re.IGNORECASE)
_ENUMERATION = re.compile(r"^\s*(?:\d{1,3}[.)]|[-*•#]+)\s+")
_AFTER_A_STOP = re.compile(r"[.!?:…]['\"”’)]*$")
_NOT = """
not no never none nothing neither nor nobody without cannot cant dont doesnt didnt isnt arent wasnt werent
wont wouldnt shouldnt couldnt havent hasnt hadnt
"""
_NEGATIONS = frozenset(_NOT.split())
_SPEAKS_TO_THE_MODEL = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\s+(?:[\w’']+\s+){0,4}(?:instructions?|prompts?|guidelines)\b"
    r"|\b(?:ignore|disregard|forget)\s+(?:everything|anything|all)\b(?:\s+\w+){0,2}\s+(?:above|before|previous)\b"
    r"|\b(?:ignore|disregard|override)\s+(?:\w+\s+){0,2}(?:previous|prior|your|above)\s+(?:\w+\s+)?rules\b"
    r"|\b(?:system|developer) (?:prompt|message)\b|\b(?:your|my) (?:new |system )?instructions (?:are|now)\b"
    r"|(?:^|[.!?>\]]\s+)(?:system|assistant|user|human|question|answer) ?:|\bnew instructions:"
    r"|\bhere are your (?:new )?instructions\b|\bas an ai language model\b"
    r"|\byou (?:are now|must now|will now) (?:act|answer|reply|respond|say|output|print|pretend)\b"
    r"|(?:^|[.!?:]\s+|\b(?:must|always|please|you should)\s+)"
    r"(?:say|reply|respond|answer|output|print|repeat)\s+"
    r"(?:only|exactly|verbatim|the following|this (?:link|answer|passage))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Claim:
    """What a sentence says, as far as words tell.

    Attributes:
        weights: stem of each content word → how much it counts.
        required: stems of numbers and names.
    """

    weights: dict[str, float]
    required: frozenset[str]
    addresses: tuple[str, ...]
    negated: bool

    @property
    def says_something(self) -> bool:
        return len(self.weights) >= FEWEST_CONTENT_WORDS


@dataclass(frozen=True)
class _Held:
    in_order: str
    """All words with blanks between and around them."""
    title: str
    stems: frozenset[str]
    text: str
    negated: bool
    speaks_to_the_model: bool


class Sources:
    """The passages of one prompt."""

    def __init__(self, passages: Sequence[PromptPassage], language: str = "en") -> None:
        self._language = language
        self._held = [_held(passage, language) for passage in passages]

    def __len__(self) -> int:
        return len(self._held)

    def claim(self, text: str) -> Claim:
        return claim_of(text, self._language)

    def holding(self, quotation: str) -> list[int]:
        """Numbers of the passages that hold a quotation word for word.

        Case, white space, punctuation and the make of quotes and dashes do not count; an ellipsis may stand
        for words left out.
        """
        pieces = [tokens(piece) for piece in _ELLIPSIS.split(_ALTERED_LETTER.sub(r"\1", quotation))]
        pieces = [piece for piece in pieces if piece]
        if len(pieces) > 1 and any(len(piece) < _FEWEST_WORDS_BETWEEN_GAPS for piece in pieces):
            return []
        wanted = [_spaced(piece) for piece in pieces]
        return [
            number
            for number, held in enumerate(self._held, start=1)
            if wanted and not held.speaks_to_the_model and _in_order(wanted, held.in_order)
        ]

    def is_title(self, quotation: str) -> bool:
        words = _spaced(tokens(quotation))
        return any(words in held.title for held in self._held)

    def support(self, number: int, claim: Claim) -> float:
        """Share of a claim's content words that a passage holds, by weight; 0 where it can't be meant."""
        if not 1 <= number <= len(self._held) or not claim.weights:
            return 0.0
        held = self._held[number - 1]
        if held.speaks_to_the_model or not claim.required <= held.stems:
            return 0.0
        if any(address not in held.text for address in claim.addresses):
            return 0.0
        if claim.negated and not held.negated:
            return 0.0
        found = sum(weight for stem, weight in claim.weights.items() if stem in held.stems)
        return found / sum(claim.weights.values())

    def best(self, claim: Claim) -> tuple[int, float]:
        """The passage that supports a claim most, the earlier at a tie; (0, 0.0) where none does."""
        if not claim.says_something:
            return 0, 0.0
        scores = [self.support(number, claim) for number in range(1, len(self._held) + 1)]
        most = max(scores, default=0.0)
        return (scores.index(most) + 1, most) if most > 0.0 else (0, 0.0)


def claim_of(text: str, language: str) -> Claim:
    """The claim of a sentence; markers are not among its words."""
    addresses = tuple(found.rstrip(".,;:!?'") for found in _ADDRESS.findall(text))
    text = _ENUMERATION.sub("", _ADDRESS.sub(" ", text))
    words = tokens(_THOUSANDS.sub("", text))
    content = content_words(words, language)
    roots = stems(content, language)
    weights = {
        root: float(min(len(word), _LONGEST_WEIGHT))
        for word, root in zip(content, roots, strict=True)
    }
    required = {root for root in roots if any(c.isdigit() for c in root)}
    if not language.lower().startswith("de"):  # German writes every noun like a name
        required |= set(stems(_names(text, language), language))
    return Claim(weights, frozenset(required), addresses, not _NEGATIONS.isdisjoint(words))


def _names(text: str, language: str) -> list[str]:
    """Content words with a capital, but those that begin a sentence."""
    names: list[str] = []
    before = "."
    for word in text.split():
        bare = word.lstrip("\"'“‘„«([*_—–-")
        if bare[:1].isupper() and not _AFTER_A_STOP.search(before) and bare == word:
            names += content_words(tokens(bare), language)
        before = word
    return names


def _held(passage: PromptPassage, language: str) -> _Held:
    text = _THOUSANDS.sub("", passage.text)
    words = tokens(text)
    all_of_it = f"{passage.title} {passage.date} {text}"
    return _Held(
        in_order=_spaced(tokens(passage.text)),
        title=_spaced(tokens(passage.title)),
        stems=frozenset(stems(tokens(all_of_it), language)),
        text=passage.text,
        negated=not _NEGATIONS.isdisjoint(words),
        speaks_to_the_model=any(
            holds_special_tokens(part) or _SPEAKS_TO_THE_MODEL.search(inert(part)) is not None
            for part in (passage.text, passage.title)
        ),
    )


def _spaced(words: Sequence[str]) -> str:
    return f" {' '.join(words)} "


def _in_order(wanted: Sequence[str], text: str) -> bool:
    place = 0
    for piece in wanted:
        found = text.find(piece, place)
        if found < 0:
            return False
        place = found + len(piece) - 1
    return True
