"""Make an author's passage plain: the input side of rewrite samples, without any model.

In: a passage in the author's voice. Out: what somebody else might have typed to say the same: study notes, a
school essay, or the exercise of somebody who learns English. What is learned is the way back, so a source has
to differ from its target: a source that keeps its words teaches to copy. Names and numbers stay. The
same text always gives the same result.

    plain_english    short sentences in everyday words, clauses turned round
    study_notes      bullets without small words
    learner_english  simple words, few articles, simple tenses
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Protocol

from personae.corpus import sentences
from training.samples.plain_words import PLAIN_WORDS
from training.samples.thesaurus import NO_OTHER_WORDS, Thesaurus

_PLAIN_PHRASES = [
    (re.compile(rf"\b{phrase}\b", re.IGNORECASE), plain)
    for phrase, plain in (
        (r"in order to", "to"),
        (r"a great deal of", "a lot of"),
        (r"a (?:great|large|vast) number of", "lots of"),
        (r"(?:in|with) (?:regard|respect|relation|reference) to", "about"),
        (r"by means of", "with"),
        (r"in case of", "if there is"),
        (r"in spite of", "despite"),
        (r"so far as", "as far as"),
        (r"as well as", "and"),
        (r"ought to", "should"),
        (r"can ?not", "can't"),
        (r"(?:shall|will) not", "won't"),
        (r"(do|does|did|is|are|was|were|has|have|had|should|would|could) not", r"\1n't"),
        (r"(it|that|there|he|she|what) is", r"\1's"),
        (r"I am", "I'm"),
    )
]
_CONNECTIVES = re.compile(
    r"^(?:and|but|for|yet|so|or|then|indeed|moreover|furthermore|nevertheless|therefore|"
    r"accordingly|however|hence|thus|again|finally|of course|in fact|on the other hand|"
    r"at the same time|in addition|as a matter of fact)\b,?\s+",
    re.IGNORECASE,
)
# "only", "early", "family" and their like end in -ly and are no adverbs of manner.
_ADVERB = re.compile(
    r"\b(?!(?:only|early|daily|family|supply|reply|apply|July|Italy|rely|ally|holy|assembly|monopoly|"
    r"yearly|monthly|likely|friendly|orderly|costly|multiply|comply|imply|fly|ugly|anomaly)\b)"
    r"[a-z]{3,}ly\b,?\s?"
)
# A new short sentence may begin after these; a comma alone is too often inside a list.
_CLAUSE = re.compile(
    r"\s*(?:;|:|--|—)\s+"
    r"|,\s+(?=(?:and|but|for|while|yet|so|nor)\s+(?:\w+\s+){0,3}?"
    r"(?:is|are|was|were|has|have|had|will|would|shall|should|can|could|may|might|must|do|does)\b)"
)
_TURNABLE = re.compile(
    r"^(if|when|while|as|although|though|since|because|after|before|until|unless|where|in|on|at|by|for|"
    r"from|under|with|during|upon|of)\b(.{8,120}?),\s+(.{12,})$",
    re.IGNORECASE,
)
"""An opening clause or phrase, a comma, and the rest: said the other way round it means the same."""

_SMALL_WORDS = re.compile(
    r"\b(?:the|a|an|is|are|was|were|be|been|being|am|has|have|had|having|that|which|who|whom|whose|very|so|"
    r"such|it|its|it's|there|there's|this|these|those|of course|do|does|did|to|of|for|by|as|at|in|on|"
    r"with|from|into|upon|our|their|his|her|my|your|we|they|he|she|you|will|would|shall|should|can|could|may|might|must|"
    r"also|both|either|any|some|all|each|than|then|them|us|him|if|or)\b[ ]*",
    re.IGNORECASE,
)
_ASIDE = re.compile(
    r",\s+(?:as|which|who|whom|if|though|although|however|perhaps|it|in|at|by|on|under|with|and|or|whether|so|"
    r"to|for|from|when|where|while|even|not|without|being|having|of)\b[^,;:.?!]{3,90},\s+"
)
_PAIRED = re.compile(r"\b([a-z]{4,}) and ([a-z]{4,})\b")
_ADJECTIVE = re.compile(
    r"\b(?!various|previous|several|able)[a-z]{3,}(?:ous|ful|able|ible|ive|less|ical|iest)\s+(?=[a-z]{3,})"
)
_LAST_PART = re.compile(r"^(.{50,}),(\s[^,]{8,120})$")
_NAMED = re.compile(r"[A-Z0-9]")
"""A name or a number: what holds one stays."""
_ARTICLE = re.compile(r"\b(?:the|an?)\s+(?=[a-z])")
_PERFECT = re.compile(r"\b(?:has|have|had)\s+(?:been\s+)?(?=[a-z]+(?:ed|en|t|d)\b)")
_RELATIVE = re.compile(r"\b(?:(?:of|to|in|by|for|with|from)\s+)?(?:which|whom)\b")


def plain_english(text: str, words: Thesaurus = NO_OTHER_WORDS) -> str:
    """A school essay: one thought a sentence, no connectives, no adverbs of manner, everyday words."""
    chance = _chance("essay", text)
    plain = []
    for clause in _clauses(text):
        simple = words.reworded(_simple(_pruned(clause, chance)), chance, share=0.7)
        plain.append(_sentence(_turned(simple) if chance.random() < 0.7 else simple))
    return " ".join(sentence for sentence in plain if sentence)


def study_notes(text: str, words: Thesaurus = NO_OTHER_WORDS) -> str:
    """Bulleted notes: what is left of the clauses without small words and end marks."""
    chance = _chance("notes", text)
    notes = []
    for clause in _clauses(text):
        short = _SMALL_WORDS.sub(
            "", words.reworded(_simple(_pruned(clause, chance)), chance, share=0.5)
        )
        short = re.sub(r"\s+([,.;:!?])", r"\1", " ".join(short.split())).strip(" .,;:!?-")
        if short:
            notes.append(f"- {_small_first(short)}")
    return "\n".join(notes)


def learner_english(text: str, words: Thesaurus = NO_OTHER_WORDS) -> str:
    """An exercise in English: simple words and tenses, most articles forgotten."""
    chance = _chance("learner", text)
    plain = []
    for clause in _clauses(text):
        simple = words.reworded(_simple(_pruned(clause, chance)), chance, share=0.8)
        simple = _RELATIVE.sub("that", _PERFECT.sub("", simple))
        simple = _ARTICLE.sub(lambda found: found.group() if chance.random() < 0.3 else "", simple)
        plain.append(_sentence(_turned(simple) if chance.random() < 0.5 else simple))
    return " ".join(sentence for sentence in plain if sentence)


class Degrader(Protocol):
    __name__: str

    def __call__(self, text: str, words: Thesaurus = NO_OTHER_WORDS) -> str: ...


DEGRADERS: tuple[Degrader, ...] = (plain_english, study_notes, learner_english)


def _chance(degrader: str, text: str) -> random.Random:
    return random.Random(f"{degrader} {text}")  # noqa: S311 - wording, no secret


def _pruned(clause: str, chance: random.Random) -> str:
    """Without some of what adorns: asides, one of a pair of words, adjectives, an afterthought."""
    if chance.random() < 0.8:
        clause = _ASIDE.sub(
            lambda aside: aside.group() if _NAMED.search(aside.group()) else " ", clause
        )
    clause = _PAIRED.sub(
        lambda pair: pair.group(chance.choice((1, 2))) if chance.random() < 0.6 else pair.group(),
        clause,
    )
    clause = _ADJECTIVE.sub(lambda found: "" if chance.random() < 0.6 else found.group(), clause)
    last = _LAST_PART.match(clause)
    if last and not _NAMED.search(last.group(2)) and chance.random() < 0.4:
        return last.group(1)
    return clause


def _turned(clause: str) -> str:
    """ "When it rains, we stay." → "we stay when it rains." """
    found = _TURNABLE.match(clause.strip())
    if found is None:
        return clause
    opener, rest, main = found.groups()
    return f"{main.rstrip(' .;,')} {opener.lower()}{rest}"


def _small_first(text: str) -> str:
    """The first letter small, unless the word is a name, "I" or all capitals as far as can be seen."""
    first = text.split()[0]
    if first == "I" or first[:2].isupper() or first[:1].isdigit():
        return text
    return f"{text[0].lower()}{text[1:]}"


def _clauses(text: str) -> Sequence[str]:
    """Stretches that can stand alone; one under four words stays with the one before it."""
    found: list[str] = []
    for sentence in sentences(text):
        fresh = True
        for clause in _CLAUSE.split(sentence):
            clause = clause.strip(" ,")
            if not clause:
                continue
            if not fresh and clause.count(" ") < 3:
                found[-1] = f"{found[-1].rstrip('.')}, {clause}"
            else:
                found.append(clause)
            fresh = False
    return found


def _simple(clause: str) -> str:
    clause = _CONNECTIVES.sub("", clause.strip())
    clause = _ADVERB.sub("", clause)
    for phrase, plain in _PLAIN_PHRASES:
        clause = phrase.sub(plain, clause)
    words = [_plain_word(word) for word in clause.split()]
    return " ".join(word for word in words if word)


def _plain_word(word: str) -> str:
    match = re.fullmatch(r"([\"'“(]*)([A-Za-z]+)([^A-Za-z]*)", word)
    if match is None:
        return word
    before, core, after = match.groups()
    plain = PLAIN_WORDS.get(core.lower())
    if plain is None:
        return word
    if plain and core[0].isupper():
        plain = plain[0].upper() + plain[1:]
    return f"{before}{plain}{after}"


def _sentence(text: str) -> str:
    text = text.strip(" ,;:-")
    if not text:
        return ""
    end = "" if text[-1] in ".!?\"'”)" else "."
    return f"{text[0].upper()}{text[1:]}{end}"
