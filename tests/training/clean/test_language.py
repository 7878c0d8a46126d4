"""Texts in another language go, foreign paragraphs in a text as well; short ones are never judged."""

from __future__ import annotations

import pytest

from tests.training.clean.texts import PLAIN
from training.clean.language import Languages

GERMAN = (
    "Der Fluss war seit Juni niedrig, und die Jungen, die von der Mauer der Mühle sprangen, kamen mit "
    "Schlamm an den Knien wieder herauf. Die alte Marta nannte es eine Strafe, und ich lachte "
    "darüber, weil ich das neue Pumpwerk gesehen hatte, das Tag und Nacht Wasser zog."
)


@pytest.fixture(scope="module")
def english() -> Languages:
    return Languages("en-GB")


def test_a_text_in_another_language_goes_as_a_whole(english):
    judged = english.judged(f"# Wasser\n\n{GERMAN}\n\nEine Zeile.")
    assert (judged.text, judged.other) == ("", "de")


def test_a_long_foreign_paragraph_goes_and_the_rest_stays(english):
    judged = english.judged(f"{PLAIN[0]}\n\n{GERMAN}\n\nGuten Morgen, sagte sie.\n\n{PLAIN[1]}")
    assert judged.text == f"{PLAIN[0]}\n\nGuten Morgen, sagte sie.\n\n{PLAIN[1]}"
    assert [one.why for one in judged.taken] == ["a paragraph in another language (de)"]


def test_one_paragraph_of_the_author_keeps_a_mostly_foreign_text_from_going(english):
    judged = english.judged(f"{GERMAN}\n\n{GERMAN}\n\n{GERMAN}\n\n{PLAIN[2]}")
    assert (judged.text, judged.other) == (PLAIN[2], "")


def test_short_texts_and_the_right_language_are_left(english):
    for text in ("Guten Morgen, liebe Leute!", "Bonjour à tous.", *PLAIN):
        assert english.judged(text).text == text
    assert Languages("de").judged(GERMAN).text == GERMAN


def test_a_language_that_cannot_be_told_is_known_as_such(english):
    assert english.known and not Languages("tlh").known
