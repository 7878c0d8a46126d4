"""ROUGE-1, -2 and -L F1 of a text against a reference, as the Python package `rouge` counts them.

That one works on lower-case words between blanks, each different n-gram once. The published figures of
`personal_qa` seem to be made with it: its 300 answers score .333/.148/.309 here, .336/.150/.312 there.
Source: C.-Y. Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004.
"""

from __future__ import annotations

from collections.abc import Sequence

KINDS = ("rouge-1", "rouge-2", "rouge-l")


def rouge(text: str, reference: str) -> dict[str, float]:
    """F1 of each kind, in [0, 1]."""
    said, wanted = _words(text), _words(reference)
    scores = {}
    for n in (1, 2):
        mine, theirs = _grams(said, n), _grams(wanted, n)
        scores[f"rouge-{n}"] = _f1(len(mine & theirs), len(mine), len(theirs))
    common = _longest_common(said, wanted)
    scores["rouge-l"] = _f1(common, len(set(said)), len(set(wanted)))
    return scores


def _words(text: str) -> list[str]:
    return text.lower().split()


def _grams(words: Sequence[str], n: int) -> set[tuple[str, ...]]:
    return {tuple(words[start : start + n]) for start in range(len(words) - n + 1)}


def _f1(common: int, said: int, wanted: int) -> float:
    if not common:
        return 0.0
    precision, recall = min(1.0, common / said), min(1.0, common / wanted)
    return 2 * precision * recall / (precision + recall)


def _longest_common(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(second) + 1)
    for word in first:
        diagonal = 0
        for place, other in enumerate(second, start=1):
            diagonal, row[place] = (
                row[place],
                diagonal + 1 if word == other else max(row[place], row[place - 1]),
            )
    return row[-1]
