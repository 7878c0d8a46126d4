"""An answer without the model: the nearest passages, word for word.

In: the passages found for a question. Out: a text of quotations with the numbers of their sources,
as `"…" [1]`. It invents nothing and speaks in nobody's voice; whoever sends it says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from personae.corpus import first_words, sentences
from personae.prompt import PromptPassage
from personae.wire import Span

_PASSAGES = 3
_MOST_WORDS = 95
"""Of all quotations together: what people read in a chat."""
_LATER_WORDS = 40
"""Of a passage after the best one."""
_FEWEST_WORDS = 20
"""With fewer left, another passage is not begun."""
_WORD = re.compile(r"\w{3,}")
_QUOTATION = re.compile(r"(“[^”]*”) \[(\d+)\]")


def quoted(question: str, passages: Sequence[PromptPassage]) -> tuple[str, int]:
    """Of the best passage the stretch nearest to the question, and of the next ones if there is room; how
    many were quoted."""
    asked = set(_WORD.findall(question.lower()))
    left = _MOST_WORDS
    quotations: list[str] = []
    for number, passage in enumerate(passages[:_PASSAGES], start=1):
        if quotations and left < _FEWEST_WORDS:
            break
        stretch = _stretch(passage.text, asked, min(left, _LATER_WORDS) if quotations else left)
        left -= len(stretch.split())
        quotations.append(f"“{stretch}” [{number}]")
    return "\n\n".join(quotations), len(quotations)


def quotation_spans(text: str) -> list[Span]:
    """The spans of what `quoted` gave."""
    return [
        Span(start=found.start(1), end=found.end(1), kind="quote", citation=int(found[2]))
        for found in _QUOTATION.finditer(text)
    ]


def _stretch(text: str, asked: set[str], most_words: int) -> str:
    """The sentences in a row that share the most words with the question; of equal ones the longest row."""
    all_of_it = sentences(text)
    shared = [len(asked & set(_WORD.findall(sentence.lower()))) for sentence in all_of_it]
    lengths = [len(sentence.split()) for sentence in all_of_it]
    best, most = all_of_it[:1], (-1, -1)
    for start in range(len(all_of_it)):
        end = start + 1
        while end < len(all_of_it) and sum(lengths[start : end + 1]) <= most_words:
            end += 1
        row = (sum(shared[start:end]), sum(lengths[start:end]))
        if row > most:
            best, most = all_of_it[start:end], row
    # Quotation marks inside would end the quotation for the reader.
    return first_words(" ".join(best), most_words).replace("“", "‘").replace("”", "’")
