"""Checks of single replies on texts made by hand: what failed in earlier projects is seen here."""

from __future__ import annotations

import pytest

from personae.persona import Persona
from training.evaluate.text_checks import (
    declines,
    is_whole,
    loops,
    repeated_share,
    tic_rates,
    tics_of,
    words_of,
)

ODD = ["", " ", "Yes", "🎉", "🎉🎉🎉", "…", "自由", "مرحبا", "\n\n", "a" * 5000]


@pytest.mark.parametrize("text", ODD)
def test_odd_texts_break_no_check(text: str, lincoln: Persona) -> None:
    assert isinstance(words_of(text), list)
    assert not loops(text)
    assert not is_whole(text, finished=True)
    assert not declines(lincoln, text)
    assert 0.0 <= repeated_share(text) <= 1.0


@pytest.mark.parametrize(
    "text",
    [
        "The work goes on.",
        '"Let us begin," he said.',
        "“Is it so?”",
        "1864 was a hard year.",
        "自由は大切です。",
        "هل هذا صحيح؟",
        "Élan counts!",
        "So be it (as ever).",
    ],
)
def test_a_sentence_of_any_script_is_whole(text: str) -> None:
    assert is_whole(text, finished=True)


@pytest.mark.parametrize(
    "text",
    ["and so it went on.", "The work goes", "The work goes,", "- A note.", "Great 🎉", "the end."],
)
def test_a_reply_that_begins_or_ends_in_the_middle_is_not_whole(text: str) -> None:
    assert not is_whole(text, finished=True)


def test_a_reply_cut_at_the_most_tokens_is_not_whole_though_it_ends_with_a_stop() -> None:
    assert not is_whole("The work goes on.", finished=False)


@pytest.mark.parametrize(
    "text",
    [
        "We must hold the union together. We can do it. We must hold the union together.",
        "It is the will of the people and it is the will of the people and it is the will of the people",
        "the the the the the the",
        "ha ha ha ha ha",
        "no man no man no man no man",
        "自由自由自由自由自由",
    ],
)
def test_a_seeds_failure_loops_are_seen(text: str) -> None:
    assert loops(text)


@pytest.mark.parametrize(
    "text",
    [
        "The people of the north and the people of the south are the people of one land.",
        "Yes. No. Yes. No.",
        "It rained in the morning, and in the evening the sun came out over the hills.",
    ],
)
def test_plain_repetition_of_a_writer_is_no_loop(text: str) -> None:
    assert not loops(text)


CORPUS = [
    "The ships came in at dawn, and the men went down to the shore to see them. "
    "Nobody said a word about the storm of the night before."
] * 20


def test_a_seeds_failure_a_tic_nobody_listed_is_found(lincoln: Persona) -> None:
    replies = [
        f"Ah, my dear friend, {what} is a thing I have often thought of."
        for what in ("bread", "the sea", "work", "a house", "the law", "a road")
    ]
    found = tics_of(lincoln, replies, ["What about it?"] * 6, CORPUS)
    assert any("my dear friend" in tic for tic in found)
    held, usual = tic_rates(found, replies, CORPUS)
    assert sum(held) / sum(usual) > 10


def test_a_listed_tic_counts_against_the_corpus_s_own_rate(lincoln: Persona) -> None:
    persona = lincoln.model_copy(update={"tics": ["nobody said"]})
    like_the_corpus = [CORPUS[0]] * 3
    held, usual = tic_rates(
        tics_of(persona, like_the_corpus, [""] * 3, CORPUS), like_the_corpus, CORPUS
    )
    assert sum(held) / sum(usual) == pytest.approx(1.0)


def test_words_of_the_question_and_the_refusal_are_no_tics(lincoln: Persona) -> None:
    replies = [lincoln.refusal] * 4 + [f"Zebras are striped, number {n}." for n in range(6)]
    found = tics_of(lincoln, replies, ["Why are zebras striped?"] * 10, CORPUS)
    assert not any("word upon that subject" in tic or tic == "zebras" for tic in found)


def test_the_refusal_is_known_when_words_around_it_differ(lincoln: Persona) -> None:
    assert declines(lincoln, lincoln.refusal)
    assert declines(lincoln, f"{lincoln.refusal} My writings say nothing of tea.")
    assert declines(lincoln, "I have left no word upon that subject.")
    assert not declines(lincoln, "I have often spoken of the navy, and I shall again.")
