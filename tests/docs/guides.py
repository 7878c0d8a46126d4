"""The Markdown of this repository, and what can be asked of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.conftest import REPOSITORY

_NOT_OURS = {".venv", ".venv-ray", "var", "build", "node_modules", ".pytest_cache"}
GUIDES = sorted(
    path
    for path in REPOSITORY.rglob("*.md")
    if not _NOT_OURS & set(path.relative_to(REPOSITORY).parts)
)
HISTORY = {REPOSITORY / "CHANGELOG.md", REPOSITORY / "docs" / "decisions.md"}
"""Tell what was: names in them may be gone."""
LIVING = [path for path in GUIDES if path not in HISTORY]

_FENCE = re.compile(r"^( *)(```|~~~)[^\n]*\n(.*?)^\1\2 *$", flags=re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


def name(guide: Path) -> str:
    return str(guide.relative_to(REPOSITORY))


@cache
def text_of(guide: Path) -> str:
    return guide.read_text(encoding="utf-8")


def blocks(guide: Path) -> list[str]:
    """What stands in fences."""
    return [found[3] for found in _FENCE.finditer(text_of(guide))]


def prose(guide: Path) -> str:
    """What stands outside of them."""
    return _FENCE.sub("", text_of(guide))


def inline_code(guide: Path) -> list[str]:
    return [found[1].replace("\\|", "|") for found in _INLINE.finditer(prose(guide))]


@cache
def anchors(guide: Path) -> frozenset[str]:
    """The anchors that forges make of headings: small letters, no punctuation, hyphens for spaces."""
    seen: dict[str, int] = {}
    made = set(re.findall(r'<a (?:id|name)="([^"]+)"', prose(guide)))
    for heading in re.findall(r"^#{1,6} +(.*?) *#*$", prose(guide), flags=re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        times = seen.get(slug, 0)
        seen[slug] = times + 1
        made.add(f"{slug}-{times}" if times else slug)
    return frozenset(made)


def links(guide: Path) -> Iterator[tuple[str, str]]:
    """(target, anchor) of every link and picture; of code nothing."""
    plain = _INLINE.sub("code", prose(guide))
    for target in re.findall(r"\]\(<?([^)\s>]*)>?(?: \"[^\"]*\")?\)", plain):
        path, _, anchor = target.partition("#")
        yield path, anchor
