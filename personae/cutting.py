"""Text into sentences and stretches of whole sentences: what `personae.corpus` makes passages of.

In: the text of a document, plain or with Markdown headings, lists and quotes. Out: stretches, each under
the headings it stands under. Knows nothing of documents, models or disks. All of it takes time in
proportion to the length of the text, however badly the text is formed: one paragraph of ten megabytes,
a "word" without an end, no full stop anywhere.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# A sentence ends at . ! or ? (with a closing quote or bracket) and a blank, unless a small letter goes
# on; scripts that put no blank there have full stops of their own. Abbreviations that are followed by
# names would end sentences too early.
_SENTENCE_END = re.compile(
    r"(?<=[.!?؟۔।])[\"'”’»)\]]*\s+(?=[\"'“‘«(\[]?([^\W_]))|(?<=[。！？])[”’」』）]*(?=[^”’」』）])"
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Hon|Gen|Col|Capt|Gov|Sen|St|Jr|Sr|No|Nos|vs|etc|Messrs|Rev|Maj|Lieut)"
    r"|\b[A-Z]|\b(?:e\.g|i\.e|U\.S))\.[\"'”’)\]]*$"
)
_LONGEST_ABBREVIATION = 24
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(\S.*)")
_UNDERLINE = re.compile(r" {0,3}(=+|-{3,})[ \t]*")
_LONGEST_HEADING = 200
_ITEM = re.compile(r"\s*(?:[-*+•]|\d{1,9}[.)])[ \t]+\S")
_QUOTE = re.compile(r" {0,3}>[ \t]?")
_CHARACTERS_PER_WORD = 8
"""Where blanks are rare (Chinese, a long link), so many characters count as a word."""
_UNSPACED_ENDS = tuple("。！？」』）")
_JOINED = "\u200d"


@dataclass(frozen=True)
class Stretch:
    """Neighbouring sentences under the same headings.

    Attributes:
        section: the headings, outermost first, joined by " › ".
        pieces: sentences, or parts of one that is longer than a passage may be.
    """

    section: str
    pieces: tuple[str, ...]

    @property
    def text(self) -> str:
        parts = [piece if piece.endswith(_UNSPACED_ENDS) else f"{piece} " for piece in self.pieces]
        return "".join(parts).rstrip()

    def halves(self) -> list[Stretch]:
        """Cut in the middle: between pieces, else at a blank, else at a character; itself if one
        character is left."""
        if len(self.pieces) > 1:
            middle = len(self.pieces) // 2
            parts: list[tuple[str, ...]] = [self.pieces[:middle], self.pieces[middle:]]
        else:
            (piece,) = self.pieces
            if len(piece) < 2:
                return [self]
            cut = piece.find(" ", len(piece) // 2, 3 * len(piece) // 4)
            if cut < 1:
                cut = _cut_near(piece, len(piece) // 2)
            parts = [(piece[:cut].strip(),), (piece[cut:].strip(),)]
        return [Stretch(self.section, part) for part in parts if any(part)]


@dataclass(frozen=True)
class _Block:
    """A paragraph, a quote, or a list with its items apart."""

    section: str
    items: tuple[str, ...]


def sentences(text: str) -> list[str]:
    """The sentences of one paragraph, whitespace flattened."""
    flat = " ".join(text.split())
    found: list[str] = []
    start = 0
    for end in _SENTENCE_END.finditer(flat):
        following = end.group(1)
        if following is not None:
            if following.islower():
                continue
            stop = end.end() - 1  # one blank: the text is flattened
            if _ABBREVIATION.search(flat, max(start, stop - _LONGEST_ABBREVIATION), stop):
                continue
        candidate = flat[start : end.end()].strip()
        if candidate:
            found.append(candidate)
        start = end.end()
    if flat[start:].strip():
        found.append(flat[start:].strip())
    return found


def stretches(text: str, *, title: str, target_words: int) -> list[Stretch]:
    """Cut a text into stretches of about `target_words`.

    None crosses a heading, and none goes from one paragraph into the next unless the paragraph is short.
    A sentence longer than twice the target is cut at words.

    Args:
        title: a heading that only repeats it is left out of the sections.
    """
    found: list[Stretch] = []
    section = ""
    current: list[str] = []
    size = 0

    def close(*, at_end: bool = False) -> None:
        nonlocal size
        if not current:
            return
        # A short tail reads better with its neighbour than alone.
        if at_end and found and found[-1].section == section and size < target_words * 0.25:
            found[-1] = Stretch(section, (*found[-1].pieces, *current))
        else:
            found.append(Stretch(section, tuple(current)))
        current.clear()
        size = 0

    for block in _blocks(text.replace("\x00", ""), title):
        if block.section != section:
            close(at_end=True)
            section = block.section
        for item in block.items:
            for sentence in sentences(item):
                for piece in _pieces(sentence, 2 * target_words):
                    words = _size(piece)
                    if current and size + words > target_words * 1.25:
                        close()
                    current.append(piece)
                    size += words
        if size >= target_words * 0.6:
            close()
    close(at_end=True)
    return found


def _size(piece: str) -> int:
    return max(piece.count(" ") + 1, len(piece) // _CHARACTERS_PER_WORD)


def _pieces(sentence: str, max_words: int) -> Iterator[str]:
    """A sentence, or parts of it that are no longer than a passage may be."""
    if _size(sentence) <= max_words:
        yield sentence
        return
    current: list[str] = []
    size = 0
    for word in sentence.split(" "):
        for part in _parts(word, max_words * _CHARACTERS_PER_WORD):
            length = _size(part)
            if current and size + length > max_words:
                yield " ".join(current)
                current, size = [], 0
            current.append(part)
            size += length
    if current:
        yield " ".join(current)


def _parts(word: str, max_characters: int) -> Iterator[str]:
    start = 0
    while len(word) - start > max_characters:
        end = _cut_near(word, start + max_characters)
        yield word[start:end]
        start = end
    yield word[start:]


def _cut_near(text: str, place: int) -> int:
    """A place to cut that leaves accents with their letters and joined emoji together, if one is near."""
    for cut in range(place, min(place + 16, len(text))):
        mark = unicodedata.category(text[cut]) in ("Mn", "Me", "Mc", "Cf", "Sk")
        if not mark and text[cut - 1] != _JOINED:
            return cut
    return place


def _blocks(text: str, title: str) -> Iterator[_Block]:
    """Paragraphs, quotes and lists, each under the headings before it."""
    headings: list[tuple[int, str]] = []
    section = ""
    lines: list[str] = []

    def taken() -> Iterable[_Block]:
        block = _block(section, lines)
        lines.clear()
        return [block] if block is not None else []

    for line in text.splitlines():
        heading = _HEADING.fullmatch(line)
        underline = _UNDERLINE.fullmatch(line) if len(lines) == 1 else None
        if heading is not None:
            level, words = len(heading.group(1)), _without_closing_marks(heading.group(2))
        elif underline is not None and _may_be_heading(lines[0]):
            level, words = (1 if "=" in line else 2), lines.pop()
        elif not line.strip():
            yield from taken()
            continue
        else:
            # A quote or a list may begin right under a paragraph.
            if lines and _kind(line) not in ("", _kind(lines[0])):
                yield from taken()
            lines.append(line)
            continue
        yield from taken()
        words = " ".join(words.split())[:_LONGEST_HEADING]
        headings = [(above, name) for above, name in headings if above < level]
        if words:
            headings.append((level, words))
        shown = [name for _, name in headings]
        if shown and shown[0].casefold() == " ".join(title.split()).casefold():
            shown = shown[1:]
        section = " › ".join(shown)
    yield from taken()


def _without_closing_marks(words: str) -> str:
    """ "Tea ##" is the heading "Tea"; "C#" stays."""
    words = words.rstrip()
    bare = words.rstrip("#")
    return bare.rstrip() if not bare or bare[-1].isspace() else words


def _may_be_heading(line: str) -> bool:
    return len(line) <= _LONGEST_HEADING and not _kind(line)


def _kind(line: str) -> str:
    if _ITEM.match(line):
        return "list"
    return "quote" if _QUOTE.match(line) else ""


def _block(section: str, lines: list[str]) -> _Block | None:
    if not lines:
        return None
    kind = _kind(lines[0])
    if kind == "quote":
        said = " ".join(_QUOTE.sub("", line, count=1) for line in lines)
        return _Block(section, (f"> {said.strip()}",)) if said.strip() else None
    if kind == "list":
        items: list[list[str]] = []
        for line in lines:
            if _ITEM.match(line) or not items:
                items.append([])
            items[-1].append(line)
        return _Block(section, tuple(" ".join(item) for item in items))
    return _Block(section, (" ".join(lines),))
