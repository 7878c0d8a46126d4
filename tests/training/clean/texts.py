"""Writing made for the tests of cleaning: prose that no rule has a reason to touch."""

from __future__ import annotations

import random

from personae.corpus import Document
from personae.persona import Cleaning

_NOUNS = [
    "ferry", "kettle", "orchard", "train", "map", "choir", "chisel", "window", "goat", "coat", "marsh",
    "letter", "river", "baker", "roof", "clock", "frost", "ledger", "bridge", "candle", "harbour",
    "widow", "teacher", "barrel", "winter", "ladder", "market", "sailor", "garden", "quarrel",
    "lantern", "stove",
]  # fmt: skip
_VERBS = [
    "carried", "forgot", "repaired", "praised", "watched", "followed", "sold", "painted", "feared",
    "borrowed", "counted", "answered", "measured", "buried", "visited", "trusted", "blamed",
    "remembered", "outlived", "mocked", "weighed", "lifted",
]  # fmt: skip
_ADJECTIVES = [
    "stubborn", "quiet", "crooked", "honest", "salty", "narrow", "distant", "patient", "broken",
    "early", "hungry", "blunt", "golden", "tired", "foreign", "faithful", "heavy", "careless", "polite",
    "ancient",
]  # fmt: skip
_ENDS = [
    "before the rain came", "without asking anybody", "as if it were Sunday", "for no good reason",
    "until we laughed", "because nobody else would", "while I slept", "and never spoke of it", 
    "although it was late", "as one does in May",
]  # fmt: skip


def essay(number: int, sentences: int = 6) -> str:
    """Two paragraphs of about 45 words; two numbers give texts that share hardly any three words."""
    chance = random.Random(number)

    def sentence() -> str:
        one, other, third = chance.sample(_NOUNS, 3)
        first, second = chance.sample(_ADJECTIVES, 2)
        verb, again = chance.sample(_VERBS, 2)
        return (
            f"My {first} {one} {verb} that {second} {other} and {again} every {third} "
            f"{chance.choice(_ENDS)}."
        )

    told = [sentence() for _ in range(sentences)]
    return f"{' '.join(told[: sentences // 2])}\n\n{' '.join(told[sentences // 2 :])}"


PLAIN = [
    "The river had been low since June, and the boys who dived from the mill wall came up with mud on "
    "their knees. Old Marta said it was a punishment. I said it was the new pumping station, and she "
    "laughed at me for an hour, because a machine is only the way a punishment arrives nowadays.",
    "Learning to bake bread late in life is a lesson in not being clever. The dough does not care "
    "what you read last winter. It wants warm hands, a steady table and somebody who will wait until "
    "it is ready, and most days I have only the table to offer.",
    "People ask why I keep bees on the roof of an office. The answer is that the lift stops at the "
    "ninth floor and the last stairs are too steep for anybody who wants something from me. Up there "
    "I answer only to the weather, which has never once asked for a report.",
    "A clock that runs four minutes fast is the most honest thing in our kitchen. Everyone knows its "
    "fault and allows for it. I wish the same could be said of the newspaper, or of my brother, whose "
    "errors change their size from week to week and cannot be corrected in advance.",
    "The first frost came on a Tuesday and took the dahlias before anyone had thought to cut them. We "
    "stood at the fence and named the colours from memory. By Friday we disagreed about every one of "
    "them, and were happier than when we had owned the flowers.",
    "My grandmother kept a ledger of favours. It had two columns, like any other, and in forty years "
    "she never struck a balance. When I asked what the total was she said that only a bank needs a "
    "total, and that she would rather be owed a little by everybody.",
]
"""Six short essays on six subjects."""

ALL_RULES = [name for name, field in Cleaning.model_fields.items() if field.annotation is bool]


def only(*rules: str, min_words: int = 40) -> Cleaning:
    """A [cleaning] with these rules on and no other."""
    return Cleaning(**{rule: rule in rules for rule in ALL_RULES}, min_words=min_words)


def document(number: int, text: str, *, date: str = "", title: str = "") -> Document:
    return Document(id=f"d{number}", title=title or f"Text {number}", date=date, url="", text=text)
