"""Whether the passages of a prompt say what an answer says, as far as words tell.

In: an answer and its passages. Out: yes or no for each sentence. A sentence is supported where one passage
holds most of its content words, the long ones counting more, and all its numbers. Serving asks more of a
citation (`serving.support`: names, negations, quotations); this measure compares versions of a voice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from personae.corpus import sentences
from personae.prompt import PromptPassage
from training.evaluate.text_checks import words_of

SUPPORTED_SHARE = 0.6
_FEWEST_CONTENT_WORDS = 3
_STEM_LETTERS = 6
_LONGEST_WEIGHT = 12
_LITTLE_WORDS = """
about after again also although among because been before being between both cannot could does down during
each even ever every from have having here however into itself like made make many might more most much must
never only other ought over said same shall should some such than that their them then there these they this
those though through under until upon very well were what when where which while will with within without
would your ours mine
"""
_LITTLE = frozenset(_LITTLE_WORDS.split())


def supported(sentence: str, passages: Sequence[PromptPassage]) -> bool | None:
    """None where the sentence says too little to be found anywhere."""
    weights = _weights(sentence)
    numbers = set(re.findall(r"\d+", sentence))
    if len(weights) < _FEWEST_CONTENT_WORDS and not numbers:
        return None
    for passage in passages:
        text = f"{passage.title} {passage.date} {passage.text}"
        if not numbers <= set(re.findall(r"\d+", text)):
            continue
        held = _weights(text)
        found = sum(weight for stem, weight in weights.items() if stem in held)
        if found >= SUPPORTED_SHARE * sum(weights.values()):
            return True
    return False


def is_grounded(answer: str, passages: Sequence[PromptPassage]) -> bool:
    """Every sentence that says something is supported, and one does."""
    found = [supported(sentence, passages) for sentence in sentences(answer)]
    return any(found) and not any(one is False for one in found)


def _weights(text: str) -> dict[str, float]:
    """{beginning of each content word: how much it counts}."""
    return {
        word[:_STEM_LETTERS]: float(min(len(word), _LONGEST_WEIGHT))
        for word in words_of(text)
        if (len(word) > 3 or not word.isascii()) and word not in _LITTLE and not word.isdigit()
    }
