"""Markup and program listings go; prose that speaks of code, and poems, stay as they are."""

from __future__ import annotations

import pytest

from training.clean.code import is_code, without_code


def left(text: str) -> str:
    return without_code(text)[0]


def test_a_fenced_listing_goes_and_the_text_around_it_stays():
    text = "Before it.\n\n```python\nprint('x')\n\nprint('y')\n```\n\nAfter it."
    assert left(text) == "Before it.\n\nAfter it."
    assert left("Before it.\n\n~~~ c\nx\n~~~\n\nAfter it.") == "Before it.\n\nAfter it."


def test_lines_that_part_a_text_and_a_fence_without_an_end_take_nothing():
    for text in ("One day.\n\n~~~\n\nAnother day.\n\n~~~\n\nThe last.", "Tea.\n\n```\nis hot."):
        assert left(text) == text


@pytest.mark.parametrize(
    "listing",
    [
        "def steep(leaf):\n    water = boil()\n    return water.pour(leaf)",
        "function go() {\n  var a = 1;\n  document.title = a;\n}",
        "SELECT name FROM teas\nWHERE heat > 80;\nDELETE FROM teas;",
        "$ make install\n$ make test",
        '{"@context": "https://schema.org", "@type": "Article"}',
        "window.dataLayer = window.dataLayer || []; function gtag(){dataLayer.push(arguments);}",
        ".post { color: red; margin: 0 }",
        "if (x > 3) {\n    brew();\n} else {\n    wait();\n}",
    ],
)
def test_a_listing_without_a_fence_is_known_by_its_lines(listing):
    assert is_code(listing)
    assert left(f"Before it.\n\n{listing}\n\nAfter it.") == "Before it.\n\nAfter it."


@pytest.mark.parametrize(
    "prose",
    [
        "The sea is calm tonight;\nthe moon lies fair;\nthe cliffs stand out at last;\nand nobody is there.",
        "Return to me, said the ferryman;\nreturn, and bring the coat;\nfor if you come by winter:\nno boat.",
        "If a < b and b < c, then I call `print` and go home; so would you (or not).",
        "Let us go then.\nFor the evening is long:\nwhile it lasts, we talk.",
        "- Salt (a pinch)\n- Flour (two cups)\n- Water = life",
        "A sum, x = 3, is not a program.",
        "Import duties were raised.\nClass distinctions were not.\nReturn freight was cheap.",
    ],
)
def test_verse_lists_and_sentences_about_code_stay(prose):
    assert not is_code(prose)
    assert without_code(prose) == (prose, [])


def test_tags_go_and_what_stands_between_them_stays():
    assert left("A <b>stro</b>ng<br/>cup &amp; a saucer&nbsp;too.") == (
        "A strong\ncup & a saucer too."
    )
    assert (
        left("Tea.\n\n<script>\nalert(1)\n</script>\n\n<!-- ad -->More tea.") == "Tea.\n\nMore tea."
    )
    assert left("[caption id=3 align=left]A cup[/caption] stood.") == " A cup  stood."
    assert left("Dear {{ first_name }}, read on.") == "Dear  , read on."
    assert left("[e-mail] and [1] and AT&T & co. stay") == "[e-mail] and [1] and AT&T & co. stay"


def test_what_went_is_told_with_its_kind():
    _, taken = without_code("Tea <i>now</i>.\n\n```\nx = 1\n```")
    assert {one.why for one in taken} == {"a tag of HTML", "a program listing"}


def test_a_long_line_without_an_end_takes_no_longer_than_its_length():
    for text in ("<" * 200_000, "a(" * 100_000, "= " * 100_000, "{{" * 100_000, "[code " * 40_000):
        assert left(text).strip() == text.strip()
