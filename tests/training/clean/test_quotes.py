"""Blocks that quote somebody go, with the line that says whom; a quotation in a sentence stays."""

from __future__ import annotations

import pytest

from training.clean.quotes import without_quotes


def test_a_quotation_set_apart_goes_with_whose_it_is():
    text = (
        "He was right:\n\n> Do not\n> hurry.\n\n> Ever.\n\n— Old Marta, in a letter\n\nSo I wait."
    )
    left, taken = without_quotes(text)
    assert left == "He was right:\n\nSo I wait."
    assert [one.why for one in taken] == [
        "a quotation set apart",
        "a quotation set apart",
        "whose the quotation is",
    ]


def test_a_quote_right_below_a_paragraph_goes_to_the_end_of_its_block():
    left, _ = without_quotes("I read:\n> Wait for\nthe kettle.\n- And I did.\n\nIt boiled.")
    assert left == "I read:\n- And I did.\n\nIt boiled."


@pytest.mark.parametrize(
    "text",
    [
        'She said, "do not hurry," and I did not.',
        "If a > b, stop.\n\n— I paused here — and went on with a long sentence about nothing much at all.",
        "“Do not hurry,” she said.\n\n— A dash may open a line",
    ],
)
def test_the_authors_own_sentences_and_dashes_stay(text):
    assert without_quotes(text) == (text, [])
