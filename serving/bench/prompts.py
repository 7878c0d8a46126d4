"""What the benches ask: questions people might ask, and prompts of a chosen length.

A long prompt is a shuffle of everyday words. All shuffles have the same number of tokens, and no two
share a beginning, so the engine's prefix cache can't help one side of a comparison.
"""

from __future__ import annotations

import random

_TEXT = """\
the people of a great nation must find their own way and work for the common good of all who live
in it now or will come after them because no law can make men free if they do not want to be free
and no power on earth should take from them what they have made with their own hands in long years
of peace and war when each state and every town had to choose"""
_WORDS = _TEXT.split()

_SUBJECTS = (
    "the duty of the government to those who labor",
    "the price of keeping a promise",
    "what young people owe to the old",
    "how a nation should treat its neighbours",
    "the use of great wealth",
    "the care of forests and rivers",
    "the worth of a good school",
    "when it is right to go to war",
    "what makes a law just",
    "the honest conduct of business",
    "the place of courage in public life",
    "how to mend a quarrel between friends",
    "the railroads and the farmers",
    "what the army is for",
    "the dangers of idle talk",
    "the blessings of a bad harvest",
)

_FORMS = (
    "What do you think about {}? Speak at length.",
    "Explain to me, in many words, {}.",
    "Tell the Congress about {}, and leave nothing out.",
    "Write a long letter about {}.",
)

QUESTIONS = tuple(form.format(subject) for form in _FORMS for subject in _SUBJECTS)
"""64 questions that invite long answers."""


def shuffled_words(count: int, seed: int) -> str:
    """`count` everyday words in an order of their own."""
    words = [_WORDS[number % len(_WORDS)] for number in range(count)]
    random.Random(seed).shuffle(words)  # noqa: S311 (an order, not a secret)
    return " ".join(words)
