"""A document's text as blocks, and back: what every rule of cleaning works on.

In: Markdown-like text (a blank line between blocks, `## Heading`, `- item`, `> quote`). Out: blocks, and
the text of those that stay. Knows no rule. A text of which nothing is taken is never put together anew, so
it stays the same byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

_APART = re.compile(r"\n[ \t]*\n\s*")
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+\S.*")
_WORD = re.compile(r"[^\W_]+")
_SHOWN_CHARACTERS = 200
_CHARACTERS_PER_WORD = 8
"""Where blanks are rare (Chinese, Japanese), so many characters count as a word."""


@dataclass(frozen=True)
class Taken:
    """A piece of text that a rule takes out, and why. `text` is what a report may show of it."""

    text: str
    why: str


def count_words(text: str) -> int:
    """Words as the corpus manifest counts them."""
    return len(text.split())


def size_in_words(text: str) -> int:
    """Words, also of a text without blanks between them; headings do not count."""
    own = "\n".join(line for line in text.splitlines() if not is_heading(line))
    return max(count_words(own), len("".join(own.split())) // _CHARACTERS_PER_WORD)


def blocks_of(text: str) -> list[str]:
    """The blocks of a text, without the blank lines around them."""
    return [block for block in _APART.split(text.strip("\n")) if block.strip()]


def joined(blocks: Collection[str]) -> str:
    return "\n\n".join(blocks)


def is_heading(line: str) -> bool:
    return _HEADING.fullmatch(line) is not None


def words_of(text: str) -> list[str]:
    """Bare words in small letters: texts that differ in case, marks or blanks have the same."""
    return _WORD.findall(text.casefold())


def has_prose(text: str) -> bool:
    """Whether anything but headings and marks is left."""
    return any(
        _WORD.search(line) is not None and not is_heading(line) for line in text.splitlines()
    )


def shortened(text: str, limit: int = _SHOWN_CHARACTERS) -> str:
    """One line of at most `limit` characters: the beginning, and the end if there is more."""
    flat = " ".join(text.split())
    if len(flat) <= limit:
        return flat
    half = (limit - 3) // 2
    return f"{flat[:half].rstrip()} … {flat[-half:].lstrip()}"
