"""Pages from before style sheets: tables for columns, `<br><br>` between paragraphs, all of it in a `<pre>`.

In: HTML. Out: the same page with the tables that hold prose made into divisions, and paragraphs made into
paragraphs; a finder of articles leaves tables out and would run such paragraphs together. Other pages come
back as they were.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from training.ingest.site.outline import tree_of_html

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_TABLE = {"table", "tbody", "thead", "tfoot", "tr", "td", "th"}
_BLOCKS = _TABLE | {
    "p", "div", "ul", "ol", "dl", "blockquote", "pre", "hr", "h1", "h2", "h3", "h4", "h5", "h6",
    "section", "article", "form", "script", "style", "nav", "header", "footer", "aside",
}  # fmt: skip
_TWO_BREAKS = re.compile(r"<br\b[^>]*>\s*<br\b", re.IGNORECASE)
_PARAGRAPH_WORDS = 20
_PROSE_WORDS = 50
_HEADING_WORDS = 10


def modern_html(html: str) -> str:
    from lxml import html as lxml_html

    if _TWO_BREAKS.search(html) is None and "<pre" not in html.lower():
        return html
    tree = tree_of_html(html)
    if tree is None:
        return html
    paragraphs = sum(1 for part in tree.iter("p") if _words(part) >= _PARAGRAPH_WORDS)
    if paragraphs >= 3:
        return html
    _typed_paragraphs(tree)
    for part in list(tree.iter("font", "center")):
        part.drop_tag()
    holders = [
        part
        for part in tree.iter("td", "div", "body", "p")
        if len(part.findall("br")) >= 2 and _own_words(part) >= _PROSE_WORDS
    ]
    for holder in holders:
        _make_paragraphs(holder)
        for part in [holder, *holder.iterancestors()]:
            if part.tag in _TABLE or part.tag == "p":
                part.tag = "div"
    if holders:
        # So that it is found as a whole, its headings with it.
        max(holders, key=_words).tag = "article"
    return str(lxml_html.tostring(tree, encoding="unicode"))


def _typed_paragraphs(tree: HtmlElement) -> None:
    """Where most of the page is typed in a `pre`, its empty lines are between paragraphs."""
    typed = [part for part in tree.iter("pre") if _words(part) > 0.6 * _words(tree)]
    for part in typed:
        for block in re.split(r"\n[ \t]*\n", "".join(part.itertext())):
            paragraph = part.makeelement("p")
            paragraph.text = block
            part.addprevious(paragraph)
        part.drop_tree()


def _make_paragraphs(holder: HtmlElement) -> None:
    """What stands between two breaks, or between blocks, becomes a `p`; alone in bold, an `h2`."""
    children = list(holder)
    texts = [holder.text or "", *(child.tail or "" for child in children)]
    for child in children:
        holder.remove(child)
        child.tail = None
    holder.text = None
    paragraph = holder.makeelement("p")
    paragraph.text = texts[0]

    def close() -> None:
        nonlocal paragraph
        if _words(paragraph):
            parts = list(paragraph)
            bold_alone = (
                len(parts) == 1 and parts[0].tag in ("b", "strong") and not _own_words(paragraph, 0)
            )
            if bold_alone and _words(paragraph) <= _HEADING_WORDS:
                paragraph.tag = "h2"
            holder.append(paragraph)
        paragraph = holder.makeelement("p")

    for child, tail in zip(children, texts[1:], strict=True):
        if child.tag in _BLOCKS:
            close()
            holder.append(child)
            paragraph.text = tail
            continue
        last = paragraph[-1] if len(paragraph) else None
        if (
            child.tag == "br"
            and last is not None
            and last.tag == "br"
            and not (last.tail or "").strip()
        ):
            paragraph.remove(last)
            close()
            paragraph.text = tail
            continue
        child.tail = tail
        paragraph.append(child)
    close()


def _words(element: HtmlElement) -> int:
    return len("".join(element.itertext()).split())


def _own_words(element: HtmlElement, depth: int = 1) -> int:
    """Words that stand directly in the element, or (depth 1) in what runs along in its lines."""
    words = len((element.text or "").split())
    for child in element:
        words += len((child.tail or "").split())
        if depth and child.tag not in _BLOCKS:
            words += _words(child)
    return words
