"""Sentences that a trained voice has learned for other questions, and how it is kept from them.

Training teaches it to say who it is and to decline. A small model then says either now and then where the
writing covers the question: Lincoln in 17 of 60 answers (docs/decisions.md). The gateway knows better: what
is not covered never reaches the model, and questions of who speaks are recognised (self_questions.py). So in
all other answers the engine is told not to begin so.
"""

from __future__ import annotations

import re
from typing import Any

from personae.persona import Persona
from personae.self_introduction import EARLIER_OPENINGS, FIRST_WORD
from serving.retrieval.words import content_words, tokens

_TELLING = 3
"""Words in a row that tell a refusal from other sentences, if the last one says something. A shorter refusal
("No.") has none: its words are everybody's."""
_WORDS_OF_REFUSAL = 8


def kept_on_topic(sampling: dict[str, Any], persona: Persona) -> dict[str, Any]:
    """The parameters, with words that shall not follow each other in this answer: how what it says of itself
    begins, and how its refusal does, which is also learned in parts ("We have left no word"). vLLM's
    `bad_words` bans the last word where those before it stand."""
    return sampling | {"bad_words": [FIRST_WORD, *EARLIER_OPENINGS, *_telling_words(persona)]}


def _telling_words(persona: Persona) -> list[str]:
    words = re.findall(r"[^\s,.;:!?]+", persona.refusal)[:_WORDS_OF_REFUSAL]
    ends = [
        end
        for end in range(_TELLING, len(words) + 1)
        if end == _TELLING or content_words(tokens(words[end - 1]), persona.language)
    ]
    return [" ".join(words[end - _TELLING : end]) for end in ends]
