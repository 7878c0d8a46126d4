"""Text of any length → Discord messages of at most 2000 characters. Pure: strings in, strings out.

A page ends at a paragraph, else a line, a sentence, a word, and only then anywhere. No link is cut
(unless it alone is longer than a page), and a code block that goes on over a page's end is closed
there and opened again, with its language, on the next page:

    ["Here it is:\n```python\nx = 1\n```", "```python\ny = 2\n```\nThat is all."]

The beginning of a growing text is always cut in the same places, so that pages already shown stay
as they are while the last one grows.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

PAGE_CHARACTERS = 2000
"""Counted here in UTF-16 code units, as Discord's own client counts: never more than the API's count."""

URL_PATTERN = r"https?://(?:[^\s<>()]|\([^\s<>()]*\))+"
LINK_PATTERN = rf"\[[^\[\]\n]*\]\(<?{URL_PATTERN}>?\)|<{URL_PATTERN}>|{URL_PATTERN}"

_LINK = re.compile(LINK_PATTERN)
_FENCE = re.compile(r"`{3,}")
_LANGUAGE = re.compile(r"[A-Za-z0-9_+\-.#]{1,20}(?=\n)")
_CLOSING = "\n```"

# Places to end a page, best first. Each matches the empty string where the page would end.
_PARAGRAPH = re.compile(r"(?=\n[ \t]*\n)")
_LINE = re.compile(r"(?=\n)")
_SENTENCE = re.compile(r"(?<=[.!?…])(?=\s)|(?<=[.!?…][\"'”’)\]])(?=\s)")
_WORD = re.compile(r"(?=\s)")

_JOINERS = {"\u200d", "\ufe0e", "\ufe0f"}


def pages(text: str, *, limit: int = PAGE_CHARACTERS) -> list[str]:
    """The messages that show `text`; none for a text of nothing but white space."""
    rest = text.strip()
    shown: list[str] = []
    opener = ""
    while rest:
        page, rest, opener = _first_page(opener, rest, limit)
        shown.append(page)
    return shown


def closed(text: str) -> str:
    """`text` with its last code block closed, so that what follows is not code."""
    return text + _CLOSING if _open_fence(text) else text


def _first_page(opener: str, rest: str, limit: int) -> tuple[str, str, str]:
    """(page, what is left, the opener of the code block the page ended in, or "")."""
    if len(opener) + len(rest) <= limit:  # else it can't fit, and need not be looked through
        whole = closed(opener + rest)
        if _units(whole) <= limit:
            return whole, "", ""
    in_code = bool(opener) or "```" in rest[:limit]
    room = limit - len(opener) - (len(_CLOSING) if in_code else 0)
    end = _end_of_page(rest, _fitting(rest, room))
    page = opener + rest[:end]
    fence = _open_fence(page)
    if fence is not None and fence.start() > 0 and not _code_after(page, fence):
        # The page would end in an empty block: let the block begin on the next page.
        before = page[: fence.start()]
        if before.strip():
            page, end, fence = before, fence.start() - len(opener), None
    left = rest[end:]
    if fence is None:
        return page.rstrip(), left.lstrip(), ""
    left = left.removeprefix("\n")
    if closing := _FENCE.match(left.lstrip("\n")):
        # The block ends just here; the page's own closing fence is that end.
        return page.rstrip("\n") + _CLOSING, left.lstrip("\n")[closing.end() :].lstrip(), ""
    return page.rstrip("\n") + _CLOSING, left, _opener_of(page, fence)


def _end_of_page(rest: str, most: int) -> int:
    """Where the page ends, in 1..most."""
    links = [(link.start(), link.end()) for link in _LINK.finditer(rest, 0, 2 * most)]
    fences = [(run.start(), run.end()) for run in _FENCE.finditer(rest, 0, most + 3)]
    whole = [span for span in links + fences if span[1] - span[0] <= most]

    def cuts_something(place: int) -> bool:
        return any(start < place < end for start, end in whole)

    for boundary, least in ((_PARAGRAPH, most // 2), (_LINE, most // 2), (_SENTENCE, most // 2)):
        if places := [p for p in _places(boundary, rest, most, least) if not cuts_something(p)]:
            return places[-1]
    if places := [p for p in _places(_WORD, rest, most, 1) if not cuts_something(p)]:
        return places[-1]
    for start, end in whole:
        if 0 < start < most < end:
            return start
    return _between_graphemes(rest, most)


def _places(boundary: re.Pattern[str], rest: str, most: int, least: int) -> Iterator[int]:
    for match in boundary.finditer(rest, 0, most + 2):
        if max(1, least) <= match.end() <= most:
            yield match.end()


def _between_graphemes(rest: str, most: int) -> int:
    """`most`, or a little less where it would part a letter from its accent or an emoji's pieces."""
    for place in range(most, max(1, most - 16), -1):
        following = rest[place : place + 1]
        if following in _JOINERS or rest[place - 1] == "\u200d":
            continue
        if following and unicodedata.combining(following):
            continue
        return place
    return most


def _open_fence(text: str) -> re.Match[str] | None:
    """The fence of a code block that `text` begins and does not end."""
    opened: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        opened = fence if opened is None else None
    return opened


def _opener_of(page: str, fence: re.Match[str]) -> str:
    language = _LANGUAGE.match(page, fence.end())
    return f"```{language.group() if language else ''}\n"


def _code_after(page: str, fence: re.Match[str]) -> bool:
    language = _LANGUAGE.match(page + "\n", fence.end())
    return bool(page[language.end() if language else fence.end() :].strip())


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _fitting(text: str, units: int) -> int:
    """How many characters of `text` take at most `units` UTF-16 code units."""
    count = min(len(text), units)
    while (over := _units(text[:count]) - units) > 0:
        count -= (over + 1) // 2
    return count
