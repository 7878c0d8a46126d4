"""Quotations: word for word, the nearest stretch of each passage, numbered as its source."""

from __future__ import annotations

from personae.prompt import PromptPassage
from serving.retrieval.quoting import quoted


def passage(text: str) -> PromptPassage:
    return PromptPassage(title="T", date="1862", text=text)


def test_of_each_passage_the_sentences_nearest_to_the_question_are_quoted():
    long = "Snow fell early. Roads were bad. The Union must be kept. Its laws are for all. He left."
    text, count = quoted(
        "What of the Union and its laws?", [passage(long), passage("Labor first.")]
    )
    assert text == "“The Union must be kept. Its laws are for all.” [1]\n\n“Labor first.” [2]"
    assert count == 2


def test_three_passages_are_enough():
    text, count = quoted("Why?", [passage(f"Number {number}.") for number in range(5)])
    assert count == 3 and "Number 3" not in text


def test_quotation_marks_inside_do_not_end_the_quotation():
    text, _ = quoted("Why?", [passage("He said “no” to it.")])
    assert text == "“He said ‘no’ to it.” [1]"


def test_nothing_found_is_nothing_quoted():
    assert quoted("Why?", []) == ("", 0)
