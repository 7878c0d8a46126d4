"""The difference of a rewrite: by words, safe as Markdown, code untouched, bounded."""

from __future__ import annotations

import re

import pytest

from bot.core.difference import difference


@pytest.mark.parametrize(
    ("old", "new", "marked"),
    [
        ("We should try.", "We must strive.", "We ~~should try.~~ **must strive.**"),
        ("We should try.", "We should try.", ""),
        ("a b c", "a b c d", "a b c **d**"),
        ("a b c d", "a c d", "a ~~b~~ c d"),
        ("", "new words", "**new words**"),
        ("one\n\ntwo", "one\n\nthree", "one\n\n~~two~~ **three**"),
        ("one two", "one\n\ntwo", "one\n\ntwo"),
        ("plain", "2 * 3 * 4 ~~x~~", "~~plain~~ **2 \\* 3 \\* 4 \\~\\~x\\~\\~**"),
        ("see `a b` now", "see `c d` now", "see `c d` now"),
        ("[x](http://a)", "[y](http://b)", "[y](http://b)"),
    ],
)
def test_what_changed_is_marked(old: str, new: str, marked: str) -> None:
    assert difference(old, new) == marked


def test_fences_stay_whole_and_unmarked() -> None:
    old = "Run this:\n\n```py\nx = 1  # old\n```\n\nand stop."
    new = "Run that:\n\n```py\nx = 2  # **new**\n```\n\nand halt."
    marked = difference(old, new)
    assert "```py\nx = 2  # **new**\n```" in marked and "x = 1" not in marked
    assert "~~this:~~ **that:**" in marked and "~~stop.~~ **halt.**" in marked


def test_marks_never_span_a_line_and_the_new_text_is_all_there() -> None:
    old = "First line here.\nSecond line there.\n\nThird paragraph of it."
    new = "First row here.\n\nAnother second row.\nThird passage of it\nand more."
    marked = difference(old, new)
    for line in marked.splitlines():
        assert line.count("**") % 2 == 0 and line.count("~~") % 2 == 0, line
    left = re.sub(r"~~.*?~~ ?", "", marked).replace("**", "")
    assert left.split() == new.split()


def test_an_unclosed_fence_swallows_nothing() -> None:
    assert difference("a ```code b", "a ```code c") == "a ```code c"


def test_too_long_texts_have_no_difference() -> None:
    assert difference("word " * 4_000, "other " * 4_000) == ""
