"""An answer without the model: the nearest passages, word for word.

In: the passages found for a question. Out: a text of quotations with the numbers of their sources,
as `"…" [1]`. It invents nothing and speaks in nobody's voice; whoever sends it says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from personae.corpus import sentences
from personae.prompt import PromptPassage
from personae.wire import Span

_PASSAGES = 3
_SENTENCES = 2
_WORD = re.compile(r"\w{3,}")
_QUOTATION = re.compile(r"(“[^”]*”) \[(\d+)\]")


def quoted(question: str, passages: Sequence[PromptPassage]) -> tuple[str, int]:
    """Of each of the best passages the stretch nearest to the question; how many were quoted."""
    asked = set(_WORD.findall(question.lower()))
    quotations = [
        f"“{_stretch(passage.text, asked)}” [{number}]"
        for number, passage in enumerate(passages[:_PASSAGES], start=1)
    ]
    return "\n\n".join(quotations), len(quotations)


def quotation_spans(text: str) -> list[Span]:
    """The spans of what `quoted` gave."""
    return [
        Span(start=found.start(1), end=found.end(1), kind="quote", citation=int(found[2]))
        for found in _QUOTATION.finditer(text)
    ]


def _stretch(text: str, asked: set[str]) -> str:
    """The sentences in a row that share the most words with the question."""
    all_of_it = sentences(text)
    shared = [len(asked & set(_WORD.findall(sentence.lower()))) for sentence in all_of_it]
    starts = range(max(1, len(all_of_it) - _SENTENCES + 1))
    best = max(starts, key=lambda start: sum(shared[start : start + _SENTENCES]))
    # Quotation marks inside would end the quotation for the reader.
    return " ".join(all_of_it[best : best + _SENTENCES]).replace("“", "‘").replace("”", "’")
