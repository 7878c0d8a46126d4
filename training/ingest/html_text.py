"""The readable text of a simple HTML page, by the standard library alone.

In: HTML. Out: title, date, address and text with a blank line between blocks and headings marked as in
Markdown ("## Tea"). Made for saved pages of prose; finding an article among a site's furniture is not its
job.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser

_SKIPPED = {
    "script", "style", "noscript", "template", "nav", "header", "footer", "aside", "form", "svg",
    "button", "iframe",
}  # fmt: skip
_BLOCKS = {
    "p", "div", "section", "article", "main", "li", "ul", "ol", "blockquote", "pre", "table", "tr",
    "h1", "h2", "h3", "h4", "h5", "h6", "hr", "figure", "figcaption", "dd", "dt",
}  # fmt: skip
_HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
_DATE_NAMES = {"article:published_time", "date", "dc.date", "pubdate"}


@dataclass(frozen=True)
class Page:
    title: str
    date: str
    url: str
    text: str


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self.heading = ""
        self.date = ""
        self.url = ""
        self.parts: list[str] = []
        self._skipping: list[str] = []
        self._in = ""
        self._heading = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "meta":
            name = (values.get("property") or values.get("name") or "").lower()
            if name in _DATE_NAMES and not self.date:
                self.date = values.get("content", "")
        elif tag == "link" and values.get("rel") == "canonical":
            self.url = values.get("href", "")
        elif tag == "time" and not self.date:
            self.date = values.get("datetime", "")
        elif tag in _SKIPPED:
            self._skipping.append(tag)
        elif tag == "title" or tag in _HEADINGS:
            self._in = tag
            self._heading = ""
        elif tag == "br":
            self.parts.append("\n")
        if tag in _BLOCKS:
            self.parts.append("\n\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._skipping:
            # An unclosed tag inside a skipped one ends with it.
            while self._skipping.pop() != tag:
                pass
        if tag == self._in:
            self._in = ""
            heading = " ".join(self._heading.split())
            if tag in _HEADINGS and heading and not self._skipping:
                self.parts.append(f"\n\n{'#' * int(tag[1])} {heading}\n\n")
                if tag == "h1" and not self.heading:
                    self.heading = heading
        if tag in _BLOCKS:
            self.parts.append("\n\n")

    def handle_data(self, data: str) -> None:
        if self._in == "title":
            self.title += data
        elif self._skipping:
            return
        elif self._in:
            self._heading += data
        else:
            self.parts.append(re.sub(r"\s+", " ", data))


def text_of_html(html: str) -> Page:
    """Navigation and scripts are left out; the first h1 is the title, else <title>."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    text = re.sub(r"[ \t]*\n[ \t]*", "\n", "".join(reader.parts))
    text = re.sub(r"\n{3,}", "\n\n", text)
    title = " ".join((reader.heading or reader.title).split())
    return Page(title, reader.date.strip(), reader.url.strip(), text.strip())
