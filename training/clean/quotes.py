"""Rule `quotes`: what others wrote, set apart as a block (`> …`).

In: text. Out: text without such blocks and without the line that names whose they are ("— Emerson"). A
quotation within a sentence stays: it is part of what the author says.
"""

from __future__ import annotations

import re

from training.clean.blocks import Taken, blocks_of, joined

_QUOTED = re.compile(r" {0,3}>")
_ITEM = re.compile(r"\s*(?:[-*+•]|\d{1,9}[.)])[ \t]+\S")
_FROM = re.compile(r"(?:[—–―]|--)\s?\S.*")
_MOST_WORDS_OF_A_NAME = 12


def without_quotes(text: str) -> tuple[str, list[Taken]]:
    """The text without block quotes, and what went."""
    taken: list[Taken] = []
    kept: list[str] = []
    after_quote = False
    for block in blocks_of(text):
        own, quoted = _apart(block)
        if quoted:
            taken.append(Taken("\n".join(quoted), "a quotation set apart"))
        elif after_quote and _names_a_source(block):
            taken.append(Taken(block, "whose the quotation is"))
            own = []
        if own:
            kept.append("\n".join(own))
        # Several quoted paragraphs may stand above one name.
        after_quote = bool(quoted) and not own
    return (joined(kept), taken) if taken else (text, [])


def _apart(block: str) -> tuple[list[str], list[str]]:
    """A block's own lines and its quoted ones. As in Markdown, a quote goes on to the end of its block
    though only its first line may be marked."""
    own: list[str] = []
    quoted: list[str] = []
    quoting = False
    for line in block.splitlines():
        if _QUOTED.match(line):
            quoting = True
        elif _ITEM.match(line):
            quoting = False
        (quoted if quoting else own).append(line)
    return own, quoted


def _names_a_source(block: str) -> bool:
    return (
        _FROM.fullmatch(block.strip()) is not None and len(block.split()) <= _MOST_WORDS_OF_A_NAME
    )
