"""The copy index says what a search through every pair of places says."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from training.evaluate.copying import NOTHING, CopyIndex
from training.evaluate.text_checks import words_of

words = st.lists(st.sampled_from(["a", "b", "c", "de"]), max_size=25)


def _longest_by_force(words: list[str], texts: list[list[str]]) -> int:
    return max(
        (
            size
            for text in texts
            for one in range(len(words))
            for two in range(len(text))
            for size in range(1, min(len(words) - one, len(text) - two) + 1)
            if words[one : one + size] == text[two : two + size]
        ),
        default=0,
    )


@given(words, st.lists(words, min_size=1, max_size=3), st.integers(1, 4))
def test_it_finds_what_brute_force_finds(
    said: list[str], texts: list[list[str]], gram: int
) -> None:
    index = CopyIndex(
        [(str(number), " ".join(text)) for number, text in enumerate(texts)], gram_words=gram
    )
    longest = _longest_by_force(said, texts)
    found = index.longest(" ".join(said))
    assert found.words == (longest if longest >= gram else 0)
    if found.words:
        held = " ".join(texts[int(found.where)])
        assert f" {found.text} " in f" {held} " and f" {found.text} " in f" {' '.join(said)} "
        assert len(found.text.split()) == found.words
    held_grams = [
        text[place : place + gram] for text in texts for place in range(len(text) - gram + 1)
    ]
    grams = [said[place : place + gram] for place in range(len(said) - gram + 1)]
    assert index.shared_grams(" ".join(said)) == (
        sum(one in held_grams for one in grams),
        len(grams),
    )


SOURCE = (
    "The mill by the river had stood empty for so many years that even the children of the village no longer "
    "dared each other to go in after dark."
)


def test_a_seeds_failure_copied_training_text_is_measured_in_words() -> None:
    index = CopyIndex([("mill", SOURCE), ("sea", "The sea was calm.")])
    reply = "Well: the MILL by the river had stood empty, for so many years that even the children cried."
    found = index.longest(reply)
    assert (found.words, found.where) == (16, "mill")
    shared, every = index.shared_grams(reply)
    assert (shared, every) == (9, len(words_of(reply)) - 7)


def test_no_stretch_runs_over_the_border_of_two_texts() -> None:
    index = CopyIndex([("1", "one two three four"), ("2", "five six seven eight nine")])
    assert index.longest("one two three four five six seven eight nine") == NOTHING


def test_empty_and_short_texts_copy_nothing() -> None:
    index = CopyIndex([("1", SOURCE), ("2", "")])
    for text in ("", "the mill", "🎉", "自由"):
        assert index.longest(text) == NOTHING
    assert CopyIndex([]).longest(SOURCE) == NOTHING
