"""Any text becomes messages that Discord takes, with nothing lost and nothing cut that matters."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.on_discord.pages import PAGE_CHARACTERS, closed, pages

PIECES = [
    *("word ", "A sentence ends. ", "\n", "\n\n", "  ", "```", "```py\n", "`code`", "````", "- "),
    *("https://example.org/abc?d=e ", "[title](<https://example.org/x>) ", "(https://a.org/b_(c))"),
    *("\U0001f600", "e\u0301", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\ud800", "x" * 70),
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=80).map("".join)


def units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def letters(text: str) -> str:
    """What must survive: everything but white space and the fences that pages may add."""
    # A page may close a block by itself, and what stood behind the text's own fence is a word then.
    return re.sub(r"`{3,}|\s", "", text).replace("py", "")


@given(TEXTS, st.integers(min_value=60, max_value=200))
def test_pages_fit_and_lose_nothing(text: str, limit: int) -> None:
    shown = pages(text, limit=limit)
    assert all(0 < units(page) <= limit for page in shown)
    assert all(page.strip() for page in shown)
    assert letters("\n".join(shown)) == letters(text)


@given(TEXTS, st.integers(min_value=60, max_value=200))
def test_every_page_closes_its_code(text: str, limit: int) -> None:
    for page in pages(text, limit=limit):
        assert len(re.findall(r"`{3,}", page)) % 2 == 0


@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
def test_links_stay_whole(text: str) -> None:
    links = re.findall(r"\[title\]\(<https://example.org/x>\)|https://example.org/abc\?d=e", text)
    together = "\n".join(pages(text, limit=120))
    assert [together.count(link) for link in set(links)] == [
        text.count(link) for link in set(links)
    ]


@given(st.lists(st.sampled_from(["word ", "A sentence ends. ", "\n\n", "\n"]), max_size=200))
def test_pages_shown_stay_while_the_text_grows(words: list[str]) -> None:
    before = pages("".join(words[: len(words) // 2]), limit=100)
    after = pages("".join(words), limit=100)
    assert after[: len(before) - 1] == before[:-1]


def test_a_page_ends_where_a_reader_would_pause() -> None:
    paragraph = "One. " * 12
    assert pages(f"{paragraph}\n\n{paragraph}", limit=100) == [paragraph.strip()] * 2
    assert pages("First line is here\nsecond line", limit=20) == [
        "First line is here",
        "second line",
    ]
    assert pages("It ends here. And goes on", limit=20) == ["It ends here.", "And goes on"]
    assert pages("no end in sight", limit=10) == ["no end in", "sight"]
    assert pages("x" * 25, limit=10) == ["x" * 10, "x" * 10, "x" * 5]


def test_a_code_block_goes_on_with_its_language() -> None:
    text = "Here it is:\n```python\nx = 1\ny = 2\n```\nThat is all."
    assert pages(text, limit=36) == [
        "Here it is:\n```python\nx = 1\n```",
        "```python\ny = 2\n```\nThat is all.",
    ]


def test_no_page_ends_in_an_empty_code_block() -> None:
    text = "Some words before it.\n```python\nlong_line_of_code = 1\n```"
    assert pages(text, limit=45) == [
        "Some words before it.",
        "```python\nlong_line_of_code = 1\n```",
    ]


def test_an_emoji_is_not_cut() -> None:
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    assert pages("x" * 58 + family, limit=60) == ["x" * 58, family]


@pytest.mark.parametrize("text", ["", " \n\t "])
def test_nothing_is_no_message(text: str) -> None:
    assert pages(text) == []


def test_discords_own_limit_is_the_default() -> None:
    assert [len(page) for page in pages("x" * 4001)] == [PAGE_CHARACTERS, PAGE_CHARACTERS, 1]


def test_an_open_code_block_is_closed_and_a_closed_one_left() -> None:
    assert closed("```py\nx") == "```py\nx\n```"
    assert closed("```py\nx\n```") == "```py\nx\n```"
