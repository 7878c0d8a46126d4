"""What the generator writes is what stands in the pages, and its reading of models is right."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from docs.generator.__main__ import pages
from docs.generator.blocks import filled
from docs.generator.objects import field_notes, reachable, section


def test_generated_pages_are_fresh():
    """If not: run `python -m docs.generator`."""
    for path, text in pages().items():
        assert path.read_text(encoding="utf-8") == text, (
            f"{path.name}: run python -m docs.generator"
        )


class _Part(BaseModel):
    """A part."""

    text: str
    """What it says; None never."""


class _Order(BaseModel):
    """An order."""

    model_config = ConfigDict(extra="forbid")

    parts: list[_Part] = Field([], max_length=3)
    kind: Literal["a", "b"]
    """Which | one."""
    heat: float | None = Field(None, ge=0, le=2)


def test_a_model_becomes_a_table_with_limits_defaults_and_notes():
    assert reachable([_Order]) == [_Order, _Part]
    rows = section(_Order).splitlines()
    assert rows[:3] == ["### _Order", "", "An order."]
    assert "| `parts` | list of [`_Part`](#_part), at most 3 | `[]` |  |" in rows
    assert '| `kind` | `"a"`, `"b"` | required | Which \\| one. |' in rows
    assert "| `heat` | number (0 to 2) or null | `null` |  |" in rows
    assert field_notes(_Part) == {"text": "What it says; None never."}
    assert "| `text` | text |  | What it says; null never. |" in section(_Part)


def test_a_page_whose_marks_are_not_those_of_the_generator_is_refused():
    page = "a\n<!-- begin: one (python -m docs.generator) -->\nold\n<!-- end: one -->\nb\n"
    assert "\nnew\n" in filled(page, {"one": "new"})
    assert filled(filled(page, {"one": "new"}), {"one": "new"}) == filled(page, {"one": "new"})
    with pytest.raises(ValueError, match="two"):
        filled(page, {"one": "new", "two": "x"})
    with pytest.raises(ValueError, match="one"):
        filled(page, {})
