"""What a page says to a crawler: links, canonical address, feeds, and whether it wants to be read.

In: the page's HTML as text. Out: an `Outline`. The prose is the business of `extract`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_FEED_TYPES = {"application/rss+xml", "application/atom+xml", "application/rdf+xml"}
_NOT_TO_BE_READ = {"noindex", "none", "noai"}
_CHARSET = re.compile(
    rb"""<(?:meta[^>]{0,200}?charset=|\?xml[^>]{0,100}?encoding=)["']?([\w.:-]{2,40})""", re.I
)
_WORD = re.compile(r"\w+")
_FURNITURE = {"nav", "header", "footer", "aside", "script", "style", "noscript", "template", "form"}


@dataclass(frozen=True)
class Outline:
    base: str
    """Relative links count from here; "" where the page's own address serves."""
    links: list[str] = field(default_factory=list)
    canonical: str = ""
    feeds: list[str] = field(default_factory=list)
    asks_not_to_be_read: bool = False
    is_listing: bool = False
    elements: int = 0


def text_of_body(body: bytes, content_type: str) -> str:
    """By byte order mark, header, the page's own word, as UTF-8, at last as Windows-1252 (like browsers)."""
    declared = re.search(r"charset=[\"']?([\w.:-]{2,40})", content_type, re.I)
    inside = _CHARSET.search(body[:4096])
    candidates = [
        "utf-8-sig" if body.startswith(b"\xef\xbb\xbf") else "",
        "utf-16" if body.startswith((b"\xff\xfe", b"\xfe\xff")) else "",
        declared.group(1) if declared else "",
        inside.group(1).decode("ascii") if inside else "",
        "utf-8",
    ]
    for name in candidates:
        # Browsers read Latin-1 as Windows-1252, and authors mean it.
        name = "cp1252" if name.lower() in ("iso-8859-1", "latin-1", "latin1", "us-ascii") else name
        try:
            if name:
                return body.decode(name)
        except (UnicodeError, LookupError):
            continue
    return body.decode("cp1252", errors="replace")


def tree_of_html(html: str) -> HtmlElement | None:
    """None where there is nothing in it."""
    from lxml import etree
    from lxml import html as lxml_html

    parser = lxml_html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        return lxml_html.document_fromstring(html.encode("utf-8", errors="replace"), parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError):
        return None


def outline_of_html(html: str, *, agent: str) -> Outline:
    tree = tree_of_html(html)
    if tree is None:
        return Outline(base="")
    wishes = _wishes(tree, agent)
    follow = not wishes & {"nofollow", "none"}
    links = [
        anchor.get("href", "")
        for anchor in tree.iter("a", "area")
        if anchor.get("href") and "nofollow" not in anchor.get("rel", "").lower().split()
    ]
    return Outline(
        base=next((base.get("href", "") for base in tree.iter("base")), ""),
        links=list(dict.fromkeys(links)) if follow else [],
        canonical=_linked(tree, "canonical"),
        feeds=[
            link.get("href", "")
            for link in tree.iter("link")
            if link.get("type", "").lower() in _FEED_TYPES
            and "alternate" in link.get("rel", "").lower().split()
        ],
        asks_not_to_be_read=bool(wishes & _NOT_TO_BE_READ),
        is_listing=_is_listing(tree),
        elements=sum(1 for _ in tree.iter()),
    )


def header_asks_not_to_be_read(robots_tag: str, *, agent: str) -> bool:
    """X-Robots-Tag: `noindex`, `noai, noimageai`, `personae: noindex`; not wishes to other crawlers."""
    addressee = ""
    for part in robots_tag.lower().split(","):
        before, colon, after = part.strip().partition(":")
        if colon and before not in ("unavailable_after", "max-snippet", "max-image-preview"):
            addressee = before.strip()
        wish = after.strip() if colon else before.strip()
        if addressee in ("", agent.lower()) and wish in _NOT_TO_BE_READ:
            return True
    return False


def _wishes(tree: HtmlElement, agent: str) -> set[str]:
    found: set[str] = set()
    for meta in tree.iter("meta"):
        name = (meta.get("name") or "").lower()
        content = (meta.get("content") or "").lower()
        if name in ("robots", agent.lower()):
            found |= {wish.strip() for wish in content.split(",")}
        elif name == "tdm-reservation" and content.strip() == "1":
            # https://www.w3.org/community/reports/tdmrep/CG-FINAL-tdmrep-20240510/
            found.add("noai")
    return found


def _linked(tree: HtmlElement, relation: str) -> str:
    for link in tree.iter("link"):
        if relation in link.get("rel", "").lower().split():
            return str(link.get("href", ""))
    return ""


def _is_listing(tree: HtmlElement) -> bool:
    """Whether most words are links, or headings are: an archive, a front page, a tag's page.

    An article may end with a row of linked headings ("read next"); it says that it is one, or has far
    more paragraphs than that.
    """
    body = next(tree.iter("body"), None)
    if body is None:
        return False
    words, linked = _count(body, inside_link=False)
    if linked >= 10 and linked > 0.5 * words:
        return True
    is_article = any(
        meta.get("property") == "og:type" and meta.get("content") == "article"
        for meta in tree.iter("meta")
    )
    headings = sum(1 for heading in body.iter("h1", "h2", "h3") if _is_linked(heading))
    paragraphs = sum(1 for part in body.iter("p") if len(_WORD.findall(_text(part))) >= 30)
    return headings >= 3 and not is_article and paragraphs <= 2 * headings


def _count(element: HtmlElement, *, inside_link: bool) -> tuple[int, int]:
    """Words, and words in links, without the site's furniture."""
    words = linked = 0
    waiting = [(element, inside_link)]
    while waiting:
        part, in_link = waiting.pop()
        if part.tag in _FURNITURE:
            continue
        in_link = in_link or part.tag == "a"
        own = len(_WORD.findall(part.text or ""))
        words += own
        linked += own if in_link else 0
        for child in part:
            after = len(_WORD.findall(child.tail or ""))
            words += after
            linked += after if in_link else 0
            waiting.append((child, in_link))
    return words, linked


def _is_linked(heading: HtmlElement) -> bool:
    parent = heading.getparent()
    if parent is not None and parent.tag == "a":
        return True
    size = len(_text(heading).strip())
    return size > 0 and any(len(_text(link).strip()) >= 0.8 * size for link in heading.iter("a"))


def _text(element: HtmlElement) -> str:
    return "".join(element.itertext())
