"""A site's furniture goes from all its pages; an author's formula stays on all of them, and is reported."""

from __future__ import annotations

import pytest

from tests.training.clean.texts import PLAIN, essay
from training.clean.boilerplate import Boilerplate


def cleaned(texts: list[str]) -> tuple[list[str], Boilerplate]:
    rule = Boilerplate()
    for text in texts:
        rule.count(text)
    return [rule.without(text)[0] for text in texts], rule


def around(top: str, foot: str) -> list[str]:
    """Six texts with the same top and foot."""
    return [
        f"{top}\n\n{text}\n\n{foot}".format(number=number).strip()
        for number, text in enumerate(PLAIN)
    ]


@pytest.mark.parametrize(
    ("top", "foot"),
    [
        ("Home\n\nAbout\n\nArchive\n\nTea", ""),
        ("Home\nAbout\nArchive", ""),
        ("Home | About | Archive", "© 20{number} Jane Doe"),
        ("The Tea Journal", "Jane Doe"),
        ("", "## Share this\n\n- Facebook\n- Mastodon\n- Print"),
        ("", "Thanks for reading! If you liked it, subscribe to my letter."),
        ("", "Enter your address to follow\nthe newsletter; it comes on Sundays."),
        ("Posted on {number} May 2019", "← Previous post\n\nNext post →"),
        ("Welcome back to the Tea Letter, where I write about leaves.", "Leave a comment"),
        ("", "More at https://tea.example/about whenever you like."),
    ],
)
def test_furniture_goes_from_every_page(top, foot):
    assert cleaned(around(top, foot))[0] == PLAIN


@pytest.mark.parametrize(
    ("top", "foot"),
    [
        ("Fellow-Citizens of the Senate and House of Representatives:", ""),
        ("To the Senate and House of Representatives", ""),
        ("Dear friends of the river", "Yours until the next flood,"),
        ("", "And that, as old Marta says, is that."),
        ("## What I saw", "## What I made of it\n\nLittle, and I am glad."),
    ],
)
def test_a_formula_of_the_authors_stays_on_every_page(top, foot):
    texts = around(top, foot)
    assert cleaned(texts)[0] == texts


def test_what_stands_everywhere_and_stays_is_reported():
    _, rule = cleaned(around("Fellow-Citizens of the Senate:", "Share this"))
    assert rule.notes() == [
        "stands in 6 of 6 documents and was left as the author's own: Fellow-Citizens of the Senate:"
    ]


def test_the_same_line_amid_the_text_is_no_furniture():
    texts = [f"{essay(n)}\n\n{essay(n + 6)}" for n in range(12)]
    texts = [
        f"{text}\n\nWe waited\n\n{essay(n + 20)}\n\n{essay(n + 40)}" for n, text in enumerate(texts)
    ]
    assert cleaned(texts)[0] == texts


def test_three_documents_are_too_few_to_tell():
    texts = around("The Tea Journal", "Share this")[:3]
    left, rule = cleaned(texts)
    assert left == texts
    assert rule.notes() == ["not applied: it takes 4 documents to tell furniture from text"]


def test_a_word_of_the_web_in_one_document_is_text():
    texts = [*PLAIN, "I never subscribe to a newsletter.\n\nShare this with nobody."]
    assert cleaned(texts)[0] == texts


def test_a_page_of_many_needs_only_a_twentieth_with_the_same_sign_off():
    texts = [essay(n) for n in range(60)]
    signed = [f"{text}\n\nFollow me on Mastodon" if n < 3 else text for n, text in enumerate(texts)]
    assert cleaned(signed)[0] == texts
    assert cleaned(signed[1:])[0] == signed[1:]


def test_what_went_is_told_with_its_reason():
    texts = around("Home\n\nAbout\n\nArchive", "Share this")
    _, rule = cleaned(texts)
    assert [(one.text, one.why.split()[1]) for one in rule.without(texts[0])[1]] == [
        ("Home", "menu"),
        ("About", "menu"),
        ("Archive", "menu"),
        ("Share this", "of"),
    ]
