"""What a question means in a conversation: "and in 1862?" is searched with what was asked before.

In: a question and the turns before it. Out: a text to search with. No model is asked: this stands before
every answer's first word. A question that stands for itself is left alone, so that a new subject is not
mixed with the old one; an elliptic one is put behind the last question that stood for itself, with years it
replaces taken out. Names of the last answer come along where the question points at them ("why did he do
that?").
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from personae.prompt import Message
from serving.retrieval.words import asks_something, content_words, tokens

_TURNS = 4
_OPENERS = re.compile(
    r"^(?:and|but|or|so|then|also|what about|how about|what else|why not|why so|which one|who else|really|"
    r"tell me more|go on|more|for example|such as|in what way|like what|how so|why|how come)\b",
    re.IGNORECASE,
)
_POINTERS = """
he she it its they them their theirs his him her hers this that these those there then one ones former latter
same
"""
_POINTING = frozenset(_POINTERS.split())
_YEAR = re.compile(r"\b(?:1[5-9]|20)\d\d(?:s|'s|’s)?\b")
_NAME = re.compile(r"(?<![.!?]\s)(?<!^)\b[A-Z][\w’'-]+(?:\s+[A-Z][\w’'-]+)*")
_FEW = 3
_MOST_NAMES = 4


def standalone(question: str, history: Sequence[Message], language: str = "en") -> str:
    """The question as it can be searched for.

    Args:
        history: earlier turns, oldest first.
    """
    asked = [turn["content"] for turn in history if turn["role"] == "user"][-_TURNS:]
    if not asked or not _leans(question, language):
        return question
    before = standalone(asked[-1], _before_last_question(history), language)
    if _YEAR.search(question):
        before = " ".join(_YEAR.sub(" ", before).split())
    return " ".join([before, question, *_names_pointed_at(question, history)])


def _leans(question: str, language: str) -> bool:
    """Whether it says too little alone."""
    words = tokens(question)
    content = content_words(words, language)
    if not words or len(content) > _FEW or (content and not asks_something(content)):
        return False
    if _OPENERS.match(question.strip()) or any(word in _POINTING for word in words):
        return True
    return len(content) < 2 and len(words) <= _FEW


def _before_last_question(history: Sequence[Message]) -> Sequence[Message]:
    last = max(number for number, turn in enumerate(history) if turn["role"] == "user")
    return history[:last][-2 * _TURNS :]


def _names_pointed_at(question: str, history: Sequence[Message]) -> list[str]:
    if not any(word in _POINTING for word in tokens(question)):
        return []
    answers = [turn["content"] for turn in history if turn["role"] == "assistant"]
    if not answers:
        return []
    return list(dict.fromkeys(_NAME.findall(answers[-1])))[:_MOST_NAMES]
