"""Tables and fences are whole: what a forge shows is what was written."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.docs.guides import GUIDES, name, prose, text_of

_BAR = re.compile(r"(?<!\\)\|")


def _tables(text: str) -> Iterator[list[str]]:
    table: list[str] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            table.append(line.rstrip())
        elif table:
            yield table
            table = []


def _cells(row: str) -> int:
    return len(_BAR.findall(row)) - 1


@pytest.mark.parametrize("guide", GUIDES, ids=name)
def test_every_row_of_a_table_has_the_cells_of_its_head(guide):
    for head, rule, *rows in _tables(prose(guide)):
        assert re.fullmatch(r"[|:\- ]+", rule), f"{name(guide)}: no table: {head}"
        for row in (head, rule, *rows):
            assert row.endswith("|"), f"{name(guide)}: no end: {row}"
            assert _cells(row) == _cells(head), f"{name(guide)}: {row}"


@pytest.mark.parametrize("guide", GUIDES, ids=name)
def test_every_fence_is_closed(guide):
    fences = re.findall(r"^ *(?:```|~~~)", text_of(guide), flags=re.MULTILINE)
    assert len(fences) % 2 == 0
    assert "```" not in prose(guide)


@pytest.mark.parametrize("guide", GUIDES, ids=name)
def test_a_guide_has_one_title_and_it_comes_first(guide):
    titles = re.findall(r"^# .+$", prose(guide), flags=re.MULTILINE)
    assert len(titles) == 1
    assert text_of(guide).lstrip().startswith("# ")


@pytest.mark.parametrize("guide", GUIDES, ids=name)
def test_nothing_is_left_to_be_filled_in(guide):
    """Words alone on a line in capitals stand where figures are to come; so do the usual marks."""
    assert re.findall(r"^[A-Z]{4,}$", prose(guide), flags=re.MULTILINE) == []
    assert re.findall(r"\b(?:TODO|FIXME|TBD|XXX)\b", text_of(guide)) == []
