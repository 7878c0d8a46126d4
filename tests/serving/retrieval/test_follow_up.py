"""What a question is searched with, in a conversation."""

from __future__ import annotations

import pytest

from personae.prompt import Message
from serving.retrieval.follow_up import standalone

SLAVERY = "What did you say about slavery in 1861?"


def said(*turns: str) -> list[Message]:
    """Turns of a conversation, the person's first."""
    return [
        {"role": "assistant" if number % 2 else "user", "content": text}
        for number, text in enumerate(turns)
    ]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("and in 1862?", "What did you say about slavery in ? and in 1862?"),
        ("Why?", f"{SLAVERY} Why?"),
        ("What about the Union?", f"{SLAVERY} What about the Union?"),
        ("Was it expensive?", f"{SLAVERY} Was it expensive?"),
        ("tell me more", f"{SLAVERY} tell me more"),
    ],
)
def test_a_question_that_leans_on_the_one_before_is_put_behind_it(question, expected):
    assert standalone(question, said(SLAVERY, "It must end.")) == expected


@pytest.mark.parametrize(
    "question",
    [
        "How many ships has the navy of the United States?",
        "And what should Congress do about the Pacific railroad and its bonds?",
        "How do they build railroads across the western territories?",
        "Thanks!",
        "Hello",
        "",
    ],
)
def test_a_question_that_stands_for_itself_is_left_alone(question):
    """A new subject must not be mixed with the old one."""
    assert standalone(question, said(SLAVERY, "It must end.")) == question


def test_without_history_nothing_changes():
    assert standalone("and in 1862?", []) == "and in 1862?"


def test_a_chain_of_follow_ups_goes_back_to_what_started_it():
    turns = said(SLAVERY, "It must end.", "and in 1862?", "It was ended there.")
    assert (
        standalone("and in 1863?", turns)
        == "What did you say about slavery in ? and in ? and in 1863?"
    )


def test_names_of_the_answer_come_along_where_the_question_points_at_them():
    turns = said("Who commands the army?", "I gave it to General Grant. He is able.")
    assert standalone("What did he win?", turns) == (
        "Who commands the army? What did he win? General Grant"
    )


def test_a_long_conversation_costs_no_more_than_a_short_one():
    turns = said(*["Why?", "So."] * 500)
    assert standalone("Why?", turns).count("Why?") <= 6
