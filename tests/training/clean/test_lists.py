"""Texts that are mostly lists, tables, links or numbers are no prose; prose in the form of a list is."""

from __future__ import annotations

import pytest

from tests.training.clean.texts import PLAIN
from training.clean.lists import list_like


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("My teas:\n\n- Assam\n- Darjeeling\n- Ceylon\n- Green\n- White", "mostly list items"),
        ("| tea | heat |\n| --- | --- |\n| green | 70 |\n| black | 95 |", "mostly table rows"),
        ("\n".join(f"- Page {n}: https://tea.example/{n}" for n in range(6)), "mostly links"),
        ("Receipts\n\n1861 12,300 4,100\n1862 13,000 5,000\n1863 1 2\n1864 3 4", "mostly numbers"),
    ],
)
def test_an_index_page_or_a_price_list_is_told_with_its_kind(text, why):
    assert list_like(text) == why


@pytest.mark.parametrize(
    "text",
    [
        PLAIN[0],
        f"{PLAIN[1]}\n\n- Flour\n- Salt\n- Water\n- Time\n\n{PLAIN[2]}",
        "\n".join(f"- {sentence}." for sentence in PLAIN[3].split(". ")),
        "- Tea\n- Milk\n- That is all I bought",
        "See https://tea.example for more of this.",
        "",
    ],
)
def test_prose_with_a_list_in_it_and_points_that_are_sentences_are_prose(text):
    assert list_like(text) == ""
