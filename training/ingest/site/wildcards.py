"""Patterns in which `*` stands for any characters, as in robots.txt and in a source's include and exclude.

In: a pattern and a text. Out: whether it matches. Runs in linear time whatever the pattern: those of a
robots.txt are a stranger's, and a regular expression made of them could run for hours.
"""

from __future__ import annotations


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text fits.

    >>> matches("https://x.org/*.html", "https://x.org/tea.html")
    True
    """
    first, *others = pattern.split("*")
    if not others:
        return pattern == text
    if not text.startswith(first):
        return False
    place = len(first)
    *middle, last = others
    for part in middle:
        found = text.find(part, place)
        if found < 0:
            return False
        place = found + len(part)
    return len(text) - place >= len(last) and text.endswith(last)
