"""Quotations: word for word, the nearest stretch of each passage, numbered as its source."""

from __future__ import annotations

from personae.prompt import PromptPassage
from serving.retrieval.quoting import quoted


def passage(text: str) -> PromptPassage:
    return PromptPassage(title="T", date="1862", text=text)


def test_the_stretch_nearest_to_the_question_is_quoted():
    around = "Snow fell early on the roads of the county that year. " * 10
    long = f"{around}The Union must be kept. Its laws are for all. {around}"
    text, _ = quoted("What of the Union and its laws?", [passage(long)])
    assert "The Union must be kept. Its laws are for all." in text
    assert len(text.split()) <= 96 and text.endswith("” [1]")


def test_other_passages_are_quoted_where_there_is_room():
    text, count = quoted("What of the Union?", [passage("The Union."), passage("Labor first.")])
    assert (text, count) == ("“The Union.” [1]\n\n“Labor first.” [2]", 2)
    full = passage("The Union must be kept whole by all of us who live in it. " * 7)
    assert quoted("What of the Union?", [full, passage("Labor first.")])[1] == 1


def test_a_sentence_longer_than_a_quotation_may_be_is_cut_with_a_mark():
    text, _ = quoted("Why?", [passage("word " * 300)])
    assert text.endswith("word …” [1]") and len(text.split()) < 100


def test_three_passages_are_enough():
    text, count = quoted("Why?", [passage(f"Number {number}.") for number in range(5)])
    assert count == 3 and "Number 3" not in text


def test_quotation_marks_inside_do_not_end_the_quotation():
    text, _ = quoted("Why?", [passage("He said “no” to it.")])
    assert text == "“He said ‘no’ to it.” [1]"


def test_nothing_found_is_nothing_quoted():
    assert quoted("Why?", []) == ("", 0)
