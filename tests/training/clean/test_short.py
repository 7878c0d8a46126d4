"""Too few words to learn from: headings do not count, and scripts without blanks are measured fairly."""

from __future__ import annotations

from training.clean.short import too_short


def test_fewer_words_than_the_bound_are_too_short():
    assert too_short("Three words here", min_words=4) == "3 words, fewer than 4"
    assert too_short("Three words here", min_words=3) == ""


def test_headings_do_not_make_a_text_longer():
    assert too_short("# A very long heading\n\nTwo words", min_words=3).startswith("2 words")


def test_text_without_blanks_is_measured_by_its_characters():
    assert too_short("茶は熱いうちに飲むものだと祖母は言った" * 20, min_words=40) == ""
    assert too_short("お茶", min_words=40).startswith("1 word,")
