"""docs/faq.md has a section for every error code, and for nothing else."""

from __future__ import annotations

import re

from docs.generator.error_codes import meanings
from personae import errors
from tests.conftest import REPOSITORY


def test_every_code_has_its_section():
    text = (REPOSITORY / "docs" / "faq.md").read_text(encoding="utf-8")
    sections = re.findall(r"^### `(\w+)`$", text, flags=re.MULTILINE)
    assert len(sections) == len(set(sections))
    assert set(sections) == {kind.code for kind in errors.all_errors()}
    for code in sections:
        body = text.split(f"### `{code}`\n")[1].split("\n##")[0]
        assert "**Do:**" in body or code == "adapter_rejected", code


def test_the_tree_of_errors_names_every_code():
    """The drawing at the top of `personae.errors` is what the table is made from."""
    assert set(meanings()) == {kind.code for kind in errors.all_errors()}
