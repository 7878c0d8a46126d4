"""Answers, sources and lists read well on Discord, whatever they hold."""

from __future__ import annotations

import pytest

from bot.core.surface import View
from bot.on_discord import markdown
from personae.wire import Citation
from tests.fakes.discord_rules import previews


def citation(**changed: object) -> Citation:
    plain: dict[str, object] = {
        "number": 1,
        "title": "Second Annual Message",
        "date": "1862-12-01",
        "url": "https://example.org/2",
        "excerpt": "The dogmas of the quiet past",
    }
    return Citation.model_validate(plain | changed)


def view(text: str, **changed: object) -> View:
    plain: dict[str, object] = {"answer_id": "a1", "phase": "finished", "text": text}
    return View(**(plain | changed))  # type: ignore[arg-type]


def test_a_finished_answer_carries_sources_notice_and_disclosure() -> None:
    whole = view(
        "A house divided.",
        heading="Alice asked Abraham Lincoln: Why?",
        sources=[citation()],
        footnotes=["By prompt only.", "— An imitation of Abraham Lincoln, not the person"],
    )
    assert markdown.whole(whole) == (
        "-# Alice asked Abraham Lincoln: Why?\n\n"
        "A house divided.\n\n"
        "-# Sources\n"
        "-# 1. [Second Annual Message](<https://example.org/2>), 1862-12-01\n"
        "-# By prompt only.\n"
        "-# — An imitation of Abraham Lincoln, not the person"
    )


def test_the_heading_is_one_quiet_short_line() -> None:
    line = markdown.heading(view("", heading="A_l: Is\n@everyone ```py\n" + "really " * 100))
    assert line.startswith("-# A\\_l: Is @\u200beveryone '''py really")
    assert line.endswith("…") and len(line) < 400


def test_what_stands_below_an_open_code_block_is_not_code() -> None:
    text = markdown.whole(view("```py\nx = 1", sources=[citation()]))
    assert text.startswith("```py\nx = 1\n```\n\n-# Sources")


def test_a_draft_shows_what_changed_in_the_readers_language() -> None:
    text = markdown.whole(view("Four score", difference="~~87~~ **Four score**", locale="de"))
    assert text == "Four score\n\n-# Was sich geändert hat\n~~87~~ **Four score**"


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"date": ""}, "1. [Second Annual Message](<https://example.org/2>)"),
        ({"url": ""}, "1. Second Annual Message, 1862-12-01"),
        ({"url": "javascript:alert(1)"}, "1. Second Annual Message, 1862-12-01"),
        ({"url": "https://a.org/" + "x" * 600}, "1. Second Annual Message, 1862-12-01"),
        (
            {"title": "On *all* [of] it\nand more", "date": ""},
            "1. [On \\*all\\* (of) it and more](<https://example.org/2>)",
        ),
        (
            {"url": "https://a.org/b_(c)", "date": "", "title": "T"},
            "1. [T](<https://a.org/b_%28c%29>)",
        ),
        ({"title": "https://evil.org", "date": ""}, "1. <https://evil.org>"),
        ({"title": " "}, "1. [Untitled](<https://example.org/2>), 1862-12-01"),
    ],
)
def test_a_citation_is_one_line_whatever_it_holds(changed: dict[str, object], line: str) -> None:
    text = markdown.whole(view("Words.", sources=[citation(**changed)]))
    assert text.splitlines()[3] == f"-# {line}"
    assert previews(text, 0) == []
