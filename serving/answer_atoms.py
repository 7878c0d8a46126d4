"""An answer cut into the things that matter for its sources, while it is still being written.

In: pieces of text, cut anywhere. Out: atoms, the same ones however the text was cut.

    WORD    "Labor"   "anew."   "`x = 1`"   "[see"
    SPACE   " "   "\\n\\n"            a long one may come in parts
    MARKER  "[1]"   "[1, 3]"   "[2-4]"; with `link` set where it was the label of a link, "[1](…"
    QUOTE   "“We must think anew.”"
    FENCE   "```"; between two of them CODE comes, in parts
    CUT     nothing: a quotation opened that never closes, and lost its mark

An atom comes as soon as nothing that may follow can change it: a word with the first character behind it, a
quotation with its closing mark. Bounds keep that near: `LONGEST_WORD` and `LONGEST_QUOTE` characters.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST_WORD = 400
LONGEST_QUOTE = 800
_LONGEST_CODE = 200
_LONGEST_MARKER = 32
_MOST_NUMBERS = 20

_UNSEEN = "\u200b-\u200d\u2060\ufeff"
_MARKER = re.compile(rf"\[\^?([\s\d{_UNSEEN}]*\d(?:[\s\d,;–—{_UNSEEN}-]*[\s\d{_UNSEEN}])?)\]")
_MARKER_BEGINNING = re.compile(rf"\[\^?[\s\d,;–—{_UNSEEN}-]*$")
_NUMBERS = re.compile(r"(\d+)(?:\s*[–—-]\s*(\d+))?")
_YEAR = re.compile(r"\[\d{4,}\]")
_HIDDEN = re.compile(f"[{_UNSEEN}]")
_SPACES = re.compile(r"\s+")
_WORD = re.compile(r"[^\s\[`“”«»„\"。！？]+")
_CODE = re.compile(r"(`{1,2})(?!`)[^`\n]+\1(?!`)")
_STOPS = "。！？"
_CLOSERS = {"“": "”", "«": "»", "„": "“”", '"': '"'}
_ENDS = {mark: re.compile(rf"[{marks}]|\n[ \t]*\n") for mark, marks in _CLOSERS.items()}
_OPENS_AFTER = " \t\n([{—–-/*_>"


class Kind(enum.Enum):
    WORD = enum.auto()
    SPACE = enum.auto()
    MARKER = enum.auto()
    QUOTE = enum.auto()
    FENCE = enum.auto()
    CODE = enum.auto()
    CUT = enum.auto()


@dataclass(frozen=True)
class Atom:
    kind: Kind
    text: str
    numbers: tuple[int, ...] = ()
    link: bool = False


class Atoms:
    """The atoms of one answer: `feed` pieces, then `feed("", last=True)`."""

    def __init__(self) -> None:
        self._text = ""
        self._at = 0
        self._last = False
        self._before = " "
        self._in_code = False
        self._owed = ""
        """Closing marks of a quotation whose opening mark was taken away: the next of them goes too."""

    def feed(self, piece: str, *, last: bool = False) -> Iterator[Atom]:
        """The atoms that are complete now."""
        self._text = self._text[self._at :] + piece
        self._at = 0
        self._last = last
        while self._at < len(self._text):
            start = self._at
            atom = self._code() if self._in_code else self._next()
            if atom is None and self._at == start:
                return
            if self._at > start:
                self._before = self._text[self._at - 1]
            if atom is not None:
                yield atom

    def _take(self, kind: Kind, length: int) -> Atom:
        text = self._text[self._at : self._at + length]
        self._at += length
        return Atom(kind, text)

    def _left(self, length: int) -> bool:
        """Whether so many characters stand here, or no more will come."""
        return self._last or len(self._text) - self._at >= length

    def _next(self) -> Atom | None:
        mark = self._text[self._at]
        spaces = _SPACES.match(self._text, self._at)
        if spaces:
            return self._take(Kind.SPACE, len(spaces.group()))
        if mark == "`":
            return self._backtick()
        if mark == "[":
            return self._bracket()
        if mark in _CLOSERS:
            if not self._left(2):
                return None
            after = self._text[self._at + 1 : self._at + 2]
            if after and not after.isspace() and (mark != '"' or self._before in _OPENS_AFTER):
                return self._quote(mark)
        if mark in self._owed:
            self._owed = ""
            self._at += 1
            return None
        return self._word()

    def _word(self) -> Atom | None:
        """Up to the next space or mark; what stands here was found to be no more than a character."""
        text, end = self._text, self._at
        while True:
            if text[end] in _STOPS:
                while end < len(text) and text[end] in _STOPS:
                    end += 1
                break
            end += 1
            rest = _WORD.match(text, end)
            end = rest.end() if rest else end
            if end >= len(text) or end - self._at >= LONGEST_WORD:
                break
            if text[end] in _STOPS:
                continue
            if text[end] == "[" and text[end - 1] in "=/?&#" and "://" in text[self._at : end]:
                continue
            if text[end] in "”»" and text[end] not in self._owed:
                continue
            if text[end] == '"' and text[end - 1] not in _OPENS_AFTER and '"' not in self._owed:
                continue  # behind a word it closes something, or means inches
            break
        if end - self._at >= LONGEST_WORD:
            return self._take(Kind.WORD, LONGEST_WORD)
        if end >= len(text) and not self._last:
            return None
        return self._take(Kind.WORD, end - self._at)

    def _backtick(self) -> Atom | None:
        if not self._left(3):
            return None
        if self._text.startswith("```", self._at):
            self._in_code = True
            return self._take(Kind.FENCE, 3)
        code = _CODE.match(self._text, self._at, self._at + _LONGEST_CODE)
        # One character more has to be seen: a third backtick would make another thing of it.
        if code and self._left(len(code.group()) + 1):
            return self._take(Kind.WORD, len(code.group()))
        line = self._text[self._at : self._at + _LONGEST_CODE]
        if "\n" in line or self._left(_LONGEST_CODE):
            return self._word()
        return None

    def _code(self) -> Atom | None:
        end = self._text.find("```", self._at)
        if end == self._at:
            self._in_code = False
            return self._take(Kind.FENCE, 3)
        if end < 0:
            end = len(self._text) if self._last else max(self._at, len(self._text) - 2)
        return self._take(Kind.CODE, end - self._at) if end > self._at else None

    def _bracket(self) -> Atom | None:
        text = self._text
        marker = _MARKER.match(text, self._at, self._at + _LONGEST_MARKER)
        if marker and not _YEAR.fullmatch(marker.group()):
            if not self._left(len(marker.group()) + 1):
                return None
            link = text.startswith("(", marker.end())
            atom = self._take(Kind.MARKER, len(marker.group()))
            return Atom(Kind.MARKER, atom.text, _numbers(marker.group(1)), link)
        beginning = _MARKER_BEGINNING.match(text, self._at)
        if beginning and not self._left(_LONGEST_MARKER):
            return None
        return self._word()

    def _quote(self, mark: str) -> Atom | None:
        text, limit = self._text, self._at + LONGEST_QUOTE
        for end in _ENDS[mark].finditer(text, self._at + 1, limit):
            if end.group().startswith("\n"):
                return self._cut(mark)
            if mark == '"' and text[end.start() - 1].isspace():
                continue
            return self._take(Kind.QUOTE, end.end() - self._at)
        return self._cut(mark) if self._left(LONGEST_QUOTE) else None

    def _cut(self, mark: str) -> Atom:
        self._at += 1
        self._owed = _CLOSERS[mark]
        return Atom(Kind.CUT, "")


def without_markers(text: str) -> tuple[str, list[Atom]]:
    """A quotation's text without the markers inside it, and those markers."""
    found = [
        Atom(Kind.MARKER, marker.group(), _numbers(marker.group(1)))
        for marker in _MARKER.finditer(text)
        if not _YEAR.fullmatch(marker.group())
    ]
    if not found:
        return text, []
    for marker in found:
        place = text.find(marker.text)
        text = text[:place].rstrip() + text[place + len(marker.text) :]
    return text, found


def _numbers(inside: str) -> tuple[int, ...]:
    """The numbers of a marker; "2-4" means three."""
    numbers: list[int] = []
    for first, last in _NUMBERS.findall(_HIDDEN.sub("", inside)):
        end = int(last) if last else int(first)
        numbers += range(int(first), min(end, int(first) + _MOST_NUMBERS) + 1)
    return tuple(dict.fromkeys(numbers))[:_MOST_NUMBERS]
