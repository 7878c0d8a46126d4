"""Rule `lists`: texts that are mostly lists, tables, links or numbers: an index page, a price list.

In: text. Out: the reason to drop the whole of it, or "". A list whose items are sentences is prose.
"""

from __future__ import annotations

import re

from training.clean.blocks import count_words, is_heading

_ITEM = re.compile(r"\s*(?:[-*+•]|\d{1,9}[.)])[ \t]+")
_LINK = re.compile(r"https?://\S+|www\.\S+")
_NUMBER = re.compile(r"[(\[]?[-+$€£]?\d[\d.,:/%–-]*[)\]]?")
_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’»)\]]*\s*$")
_SHARE = 0.6
_LEAST_LINES = 4
_WORDS_OF_A_SENTENCE = 6


def list_like(text: str) -> str:
    """Why the text is no prose: "mostly a table"; "" if it is."""
    kinds = dict.fromkeys(("list items", "table rows", "links", "numbers"), 0)
    words = lines = 0
    for line in text.splitlines():
        if not line.strip() or is_heading(line):
            continue
        size = count_words(line)
        words += size
        if kind := _kind(line, size):
            kinds[kind] += size
            lines += 1
    # One line of links, or a tweet that is a list of three names, is no list-like text.
    if lines < _LEAST_LINES or sum(kinds.values()) < _SHARE * words:
        return ""
    return f"mostly {max(kinds, key=lambda kind: kinds[kind])}"


def _kind(line: str, words: int) -> str:
    if line.count("|") >= 2 or line.count("\t") >= 2:
        return "table rows"
    links = len(_LINK.findall(line))
    bare = _ITEM.sub("", line)
    if links and (count_words(bare) <= 8 * links):
        return "links"
    tokens = bare.split()
    if tokens and sum(_NUMBER.fullmatch(token) is not None for token in tokens) >= len(tokens) / 2:
        return "numbers"
    sentence = _SENTENCE_END.search(bare) is not None and words > _WORDS_OF_A_SENTENCE
    return "list items" if _ITEM.match(line) and not sentence else ""
