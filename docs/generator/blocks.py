"""Marked stretches of a Markdown page, and what belongs between the marks.

<!-- begin: routes (python -m docs.generator) -->
…
<!-- end: routes -->
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_BLOCK = re.compile(
    r"<!-- begin: (?P<name>[\w-]+) \(python -m docs\.generator\) -->\n"
    r"(?P<body>.*?)"
    r"<!-- end: (?P=name) -->",
    flags=re.DOTALL,
)


def filled(page: str, blocks: Mapping[str, str]) -> str:
    """The page with every block as it should be.

    Raises:
        ValueError: the page lacks a block, or has one that nobody writes.
    """
    marked = [found["name"] for found in _BLOCK.finditer(page)]
    if sorted(marked) != sorted(blocks):
        raise ValueError(f"the page marks {sorted(marked)}, and there are {sorted(blocks)}")

    def replaced(found: re.Match[str]) -> str:
        name = found["name"]
        return (
            f"<!-- begin: {name} (python -m docs.generator) -->\n\n"
            f"{blocks[name].strip()}\n\n<!-- end: {name} -->"
        )

    return _BLOCK.sub(replaced, page)


def cell(text: str) -> str:
    """Text for one cell of a table: one line, no bar that would end the cell.

    >>> cell("a | b\\n c")
    'a \\\\| b c'
    """
    return " ".join(text.split()).replace("|", "\\|")
