"""Words and stems as the lexical search counts them."""

from __future__ import annotations

import pytest

from serving.retrieval.words import content_words, stems, tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What’s the “duty”—café naïve?", ["whats", "the", "duty", "cafe", "naive"]),
        ("don't U.S. 1862 👍", ["dont", "u", "s", "1862"]),
        ("snake_case, state-of-the-art", ["snake", "case", "state", "of", "the", "art"]),
        ("東京へ行く", ["東京", "京へ", "へ行", "行く"]),
        ("שלום עולם", ["שלום", "עולם"]),
        ("\x00 \u200b", []),
    ],
)
def test_tokens_are_lower_case_words_without_marks(text, expected):
    assert tokens(text) == expected


def test_fts5_leaves_them_as_they_are():
    import sqlite3

    words = tokens("What’s Ünïcode? 東京へ行く naïve ﬁne Straße ΣΊΣΥΦΟΣ İstanbul")
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE f USING fts5(t, tokenize='unicode61')")
    database.execute("INSERT INTO f VALUES (?)", (" ".join(words),))
    database.execute("CREATE VIRTUAL TABLE v USING fts5vocab(f, instance)")
    found = [row[0] for row in database.execute("SELECT term FROM v ORDER BY offset")]
    assert found == words


def test_stems_know_languages_and_leave_unknown_ones_alone():
    assert stems(["governments", "governed"], "en") == ["govern", "govern"]
    assert stems(["Häuser".lower()], "de-AT") == ["haus"]
    assert stems(["governments"], "tlh") == ["governments"]


def test_content_words_are_what_a_question_is_about():
    assert content_words(tokens("How do I find a cofounder?"), "en") == ["find", "cofounder"]
    assert content_words(tokens("Who are you, and why?"), "en") == []
