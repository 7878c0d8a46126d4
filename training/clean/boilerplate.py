"""Rule `boilerplate`: a site's furniture that stands on many documents: menus, sign-offs, "share this".

In: all documents once, to count; then each text, to be cleaned. Out: text without furniture, and for the
report what stands on many documents and stays. Needs four documents.

That a line stands everywhere does not make it furniture: "Fellow-Citizens of the Senate and House of
Representatives:" opens all four messages of Lincoln, and it is his. What tells them apart, in this order:

1. Words and signs of the web (subscribe, share, ©, a link, `Home | About`): furniture, on three documents
   or a twentieth of them. An author's formula has none.
2. Three or more such short lines without a sentence's end in a row, at the top or the foot: a menu.
3. One short line at the top or the foot with no punctuation at its end, on half of all documents: the
   site's name, a byline, a signature. An address to readers or hearers ("Dear …", "To the Senate …") is the
   author's, and so is whatever ends like a sentence or like a salutation (. ! ? : ,).

Headings fall under the first point only. Digits count as equal, so "Posted 3 May" and "Posted 9 May" are one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from training.clean.blocks import Taken, blocks_of, count_words, is_heading, joined, shortened

_LEAST_DOCUMENTS = 4
_LEAST_STANDS = 3
_MOST_STANDS_NEEDED = 50
_SHARE = 0.05
_MENU_SHARE = 0.3
_LINE_SHARE = 0.5
_LONGEST_WORDS = 60
_SHORT_WORDS = 12
_MENU_LINES = 3
_EDGE = 2
"""So many lines of the document's own may stand between its edge and furniture."""
_KEPT_SHOWN = 10

_WEB = re.compile(
    "|".join(
        [
            r"\b(?:un)?subscrib|\bnewsletter|\bmailing list\b|\brss\b|\bview in browser\b",
            r"\bjoin \S+ (?:other )?(?:reader|subscriber)",
            r"\bshare (?:this|on|via|with|it|the post)\b|\b(?:print|tweet|e-?mail|like) this\b",
            r"\bfollow (?:me|us|along|my|on)\b|\bsent from my\b",
            r"\bon (?:twitter|facebook|instagram|linkedin|mastodon|bluesky|x)\b",
            r"\b(?:leave|post|add|write) a (?:comment|reply)\b|\bcomments? (?:are )?closed\b",
            r"\b(?:click|tap) (?:here|to)\b|\bsign (?:up|in)\b|\blog ?(?:in|out)\b",
            r"\ball rights reserved\b|©|\(c\) \d|\bcopyright\b",
            r"\bprivacy policy\b|\bcookies?\b|\bterms of (?:use|service)\b",
            r"\b(?:previous|next|older|newer) (?:post|page|article)s?\b|\bpermalink\b",
            r"\brelated (?:post|article|reading)s?\b|\bfiled under\b|\btags:|\bcategories:|\btagged\b",
            r"\bposted (?:in|on|by|at)\b|\bmin(?:ute)?s? read\b",
            r"\b(?:read more|reading more|continue reading|view all|back to (?:top|home|all))\b",
            r"\bskip to (?:content|main)\b|\bpowered by\b",
            r"\b(?:loading|toggle|search this|show) (?:comments|menu|site|navigation)\b",
            r"\bbuy me a (?:coffee|tea|beer)\b|\bpatreon\b|\bko-?fi\b",
            r"\bthanks? (?:you )?for (?:reading|subscribing|following)\b",
            r"\babonnier|\bteilen\b|\bimpressum\b|\bdatenschutz|\babonnez|\bpartager\b",
            r"\bsuscr[ií]b|\bcompart(?:e|ir)\b|\biscriviti\b",
        ]
    ),
    re.IGNORECASE,
)
"""What a site says to visitors, on its own behalf."""
_LINK = re.compile(r"https?://\S+|\bwww\.\S+")
_SEPARATED = re.compile(r"\S\s(?:[|·•»›→←/])\s\S")
_WELCOME = re.compile(
    r"(?:welcome (?:back )?to|you(?:'|’)re reading|this is) (?:the|my|our|another)\b", re.I
)
_SALUTATION = re.compile(
    r"(?:dear|to (?:the|my|all)|(?:my )?(?:fellow|friends)|ladies|gentlemen|mr|mrs|messrs|madam"
    r"|members of|citizens|comrades|brothers|sisters|honou?red|sehr geehrte|liebe|meine damen|mesdames"
    r"|messieurs|chers?|querid)\b",
    re.IGNORECASE,
)
_ENDED = re.compile(r"[.!?…:,;。！？][\"'”’»)\]]*\s*$")
_LETTER = re.compile(r"[^\W\d_]")
_LEADING_MARKS = re.compile(r"^[\s>#*+•–—-]+")


@dataclass(frozen=True)
class _Line:
    text: str
    stands: int
    """In how many documents."""


class Boilerplate:
    """Counts first (`count` for every document), then judges (`without`)."""

    def __init__(self) -> None:
        self._stands: Counter[int] = Counter()
        self._documents = 0
        self._kept: dict[int, str] = {}

    @property
    def enough(self) -> bool:
        """Whether there are documents enough to tell furniture from text."""
        return self._documents >= _LEAST_DOCUMENTS

    def count(self, text: str) -> None:
        self._documents += 1
        found: set[int] = set()
        for block in blocks_of(text):
            found.add(_key(block))
            found |= {_key(line) for line in block.splitlines()}
        self._stands.update(found - {0})

    def without(self, text: str) -> tuple[str, list[Taken]]:
        """The text without furniture, and what went."""
        blocks = [self._lines(block) for block in blocks_of(text)]
        lines = [line for block in blocks for line in block]
        verdicts = self._verdicts(lines)
        if not any(verdicts):
            return text, []
        taken = [Taken(line.text, why) for line, why in zip(lines, verdicts, strict=True) if why]
        left = iter(verdicts)
        kept = ["\n".join(line.text for line in block if not next(left)) for block in blocks]
        return joined([block for block in kept if block]), taken

    def notes(self) -> list[str]:
        """What stands on many documents and was left, with the number of them."""
        if not self.enough:
            return [
                f"not applied: it takes {_LEAST_DOCUMENTS} documents to tell furniture from text"
            ]
        often = sorted(self._kept, key=lambda key: (-self._stands[key], self._kept[key]))
        return [
            f"stands in {self._stands[key]:,} of {self._documents:,} documents and was left as the "
            f"author's own: {self._kept[key]}"
            for key in often[:_KEPT_SHOWN]
        ]

    def _lines(self, block: str) -> list[_Line]:
        """A block as the units to judge: itself if it stands elsewhere as it is, else its lines."""
        stands = self._stands[_key(block)]
        if stands >= self._needed(_SHARE):
            return [_Line(block, stands)]
        return [_Line(line, self._stands[_key(line)]) for line in block.splitlines()]

    def _needed(self, share: float) -> int:
        return max(_LEAST_STANDS, min(_MOST_STANDS_NEEDED, round(share * self._documents)))

    def _verdicts(self, lines: Sequence[_Line]) -> list[str]:
        """Why each line goes; "" for those that stay."""
        if not self.enough:
            return ["" for _ in lines]
        often = [line.stands >= self._needed(_SHARE) for line in lines]
        at_edge = _near_edges(often)
        bare = [
            many and edge and _bare(line.text)
            for line, many, edge in zip(lines, often, at_edge, strict=True)
        ]
        menus = _in_runs(
            [
                yes and line.stands >= self._share_of_all(_MENU_SHARE)
                for line, yes in zip(lines, bare, strict=True)
            ]
        )
        verdicts: list[str] = []
        for place, line in enumerate(lines):
            why = ""
            if often[place]:
                why = _web_sign(line.text, at_edge=at_edge[place])
            if not why and menus[place]:
                why = "a menu at the top or foot of many documents"
            if not why and bare[place] and line.stands >= self._share_of_all(_LINE_SHARE):
                why = "a site's name, byline or signature on most documents"
            if (
                not why
                and line.stands >= self._share_of_all(_MENU_SHARE)
                and not is_heading(line.text)
            ):
                self._kept.setdefault(_key(line.text), shortened(line.text))
            verdicts.append(why)
        return verdicts

    def _share_of_all(self, share: float) -> int:
        return max(_LEAST_DOCUMENTS, round(share * self._documents))


def _key(text: str) -> int:
    """The same for texts that differ in case, blanks, digits or marks; 0 for none worth counting."""
    if len(text) > 40 * _LONGEST_WORDS or count_words(text) > _LONGEST_WORDS:
        return 0
    flat = re.sub(r"\d+", "0", " ".join(_LEADING_MARKS.sub("", text).casefold().split()))
    if _LETTER.search(flat) is None:
        return 0
    # A heading and a line of the same words are two things: only the line may be a menu's.
    data = f"{'#' if is_heading(text) else ''}{flat}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")


def _web_sign(text: str, *, at_edge: bool) -> str:
    if _WEB.search(text):
        return "words of a web page (share, subscribe, previous post …)"
    if _LINK.search(text):
        return "a link on many documents"
    if (
        _SEPARATED.search(text)
        and not _ENDED.search(text)
        and count_words(text) <= 2 * _SHORT_WORDS
    ):
        return "a line of links or labels"
    if at_edge and _WELCOME.match(_LEADING_MARKS.sub("", text)):
        return "an opening that welcomes readers"
    return ""


def _bare(text: str) -> bool:
    """Short, no sentence, no heading, and addressed to nobody."""
    words = _LEADING_MARKS.sub("", text)
    return (
        count_words(words) <= _SHORT_WORDS
        and _ENDED.search(words) is None
        and _SALUTATION.match(words) is None
        and not is_heading(text)
    )


def _near_edges(often: Sequence[bool]) -> list[bool]:
    """Whether at most `_EDGE` lines of the document's own stand between a line and its top or foot."""
    top = list(_own_before(often))
    foot = list(_own_before(often[::-1]))[::-1]
    return [min(pair) <= _EDGE for pair in zip(top, foot, strict=True)]


def _own_before(often: Sequence[bool]) -> Iterator[int]:
    own = 0
    for many in often:
        yield own
        own += not many


def _in_runs(marked: Sequence[bool]) -> list[bool]:
    """Which marks stand in a row of `_MENU_LINES` or more."""
    found = [False] * len(marked)
    start = 0
    for place in range(len(marked) + 1):
        if place == len(marked) or not marked[place]:
            if place - start >= _MENU_LINES:
                found[start:place] = [True] * (place - start)
            start = place + 1
    return found
