"""Every link between guides leads somewhere, and every page of the manual can be reached."""

from __future__ import annotations

import re

import pytest

from tests.conftest import REPOSITORY
from tests.docs.guides import GUIDES, anchors, links, name

DOCS = REPOSITORY / "docs"


@pytest.mark.parametrize("guide", GUIDES, ids=name)
def test_links_lead_to_files_and_headings_that_exist(guide):
    for path, anchor in links(guide):
        if re.match(r"[a-z]+:", path):
            continue
        target = guide.parent / path if path else guide
        assert target.exists(), f"{name(guide)}: {path}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target.resolve()), f"{name(guide)}: {path}#{anchor}"


def test_every_page_is_reached_from_the_index():
    seen, waiting = set(), [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        waiting += [
            (page.parent / path).resolve() for path, _ in links(page) if path and ":" not in path
        ]
    linked = {(DOCS / path).resolve() for path, _ in links(DOCS / "index.md") if path}
    pages = set(DOCS.glob("*.md")) - {DOCS / "index.md"}
    assert pages
    assert pages <= seen
    assert pages <= linked, "the index names every page itself"


def test_every_picture_is_shown_somewhere():
    shown = {
        (guide.parent / path).resolve() for guide in GUIDES for path, _ in links(guide) if path
    }
    pictures = {path for path in DOCS.rglob("*") if path.suffix in (".png", ".svg", ".jpg")}
    assert pictures <= shown
