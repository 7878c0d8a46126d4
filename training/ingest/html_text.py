"""The readable text of simple HTML, by the standard library alone.

In: HTML. Out: title, date, address and text with a blank line between blocks; headings, list items and quotes
are marked as in Markdown ("## Tea", "- a cup", "> they said"). Pictures' captions and program code are left
out: neither is prose. Made for saved pages, posts of exports and chapters of books; finding an article among
a site's furniture is not its job.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser

_SKIPPED = {
    "script", "style", "noscript", "template", "nav", "header", "footer", "aside", "form", "svg",
    "button", "iframe", "figcaption", "audio", "video", "object", "select",
}  # fmt: skip
_BLOCKS = {
    "p", "div", "section", "article", "main", "ul", "ol", "blockquote", "pre", "table", "tr",
    "h1", "h2", "h3", "h4", "h5", "h6", "hr", "figure", "dd", "dt", "caption",
}  # fmt: skip
_HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
_DATE_NAMES = {"article:published_time", "date", "dc.date", "pubdate"}
_DEEPEST = 100


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
        self.lines: list[str] = []
        """Finished lines; an empty one stands between blocks."""
        self._line: list[str] = []
        self._marker = ""
        self._lists: list[int] = []
        """For each open list the number of its last item; -1 where items are not numbered."""
        self._quotes = 0
        self._pre = 0
        self._skipping: list[str] = []
        self._in = ""
        self._heading: list[str] = []
        self._title: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._read_metadata(tag, {name: value or "" for name, value in attrs})
        if tag in _SKIPPED or (tag == "code" and self._pre):
            if len(self._skipping) < _DEEPEST:
                self._skipping.append(tag)
        elif (tag == "title" and not self._skipping) or tag in _HEADINGS:
            self._lists.clear()  # a list that was never closed would swallow the rest of the page
            self._end_block()
            self._in = tag
            self._heading = []
        elif tag == "br":
            self._end_line()
        elif tag == "li":
            self._start_item()
        elif tag in _BLOCKS:
            self._end_block()
        if tag in ("ul", "ol") and len(self._lists) < _DEEPEST:
            self._lists.append(0 if tag == "ol" else -1)
        elif tag == "blockquote":
            self._quotes += 1
        elif tag == "pre":
            self._pre += 1

    def _read_metadata(self, tag: str, values: dict[str, str]) -> None:
        if tag == "meta":
            name = (values.get("property") or values.get("name") or "").lower()
            if name in _DATE_NAMES and not self.date:
                self.date = values.get("content", "")
        elif tag == "link" and values.get("rel") == "canonical":
            self.url = values.get("href", "")
        elif tag == "time" and not self.date:
            self.date = values.get("datetime", "")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._skipping:
            # An unclosed tag inside a skipped one ends with it.
            while self._skipping.pop() != tag:
                pass
        if tag == self._in:
            self._end_heading(tag)
        if tag in ("td", "th"):
            self._line.append(" ")
        if tag not in _BLOCKS and tag != "li":
            return
        self._end_line()
        self._marker = ""
        if tag in ("ul", "ol") and self._lists:
            self._lists.pop()
        elif tag == "blockquote":
            self._quotes = max(0, self._quotes - 1)
        elif tag == "pre":
            self._pre = max(0, self._pre - 1)
        self._end_block()

    def handle_data(self, data: str) -> None:
        if self._in == "title":
            self._title.append(data)
        elif self._skipping:
            return
        elif self._in:
            self._heading.append(data)
        elif self._pre:
            first, *others = data.split("\n")
            self._line.append(first)
            for line in others:
                self._end_line()
                self._line.append(line)
        else:
            self._line.append(data)

    def close(self) -> None:
        super().close()
        if self._in in _HEADINGS:
            self._end_heading(self._in)
        self._end_block()
        self.title = " ".join("".join(self._title).split())

    def _start_item(self) -> None:
        self._end_line()
        if not self._lists:
            self._marker = "- "
        else:
            if self._lists[-1] >= 0:
                self._lists[-1] += 1
            number = self._lists[-1]
            indent = "  " * (len(self._lists) - 1)
            self._marker = indent + (f"{number}. " if number > 0 else "- ")

    def _end_heading(self, tag: str) -> None:
        self._in = ""
        heading = " ".join("".join(self._heading).split())
        self._heading = []
        if tag in _HEADINGS and heading and not self._skipping:
            self._end_block()
            self.lines += [f"{'#' * int(tag[1])} {heading}", ""]
            if tag == "h1" and not self.heading:
                self.heading = heading

    def _end_line(self) -> None:
        text = " ".join("".join(self._line).split())
        self._line = []
        if not text:
            return
        quote = "> " if self._quotes else ""
        self.lines.append(f"{quote}{self._marker}{text}")
        self._marker = ""

    def _end_block(self) -> None:
        self._end_line()
        # A paragraph within an item, or a list within a list, does not end the list.
        if self.lines and self.lines[-1] and not self._lists:
            self.lines.append("")


def text_of_html(html: str) -> Page:
    """Navigation and scripts are left out; the first h1 is the title, else <title>."""
    reader = _Reader()
    # The parser stops with an AssertionError at "<![" followed by anything it does not know.
    html = html.replace("<![CDATA[", "").replace("]]>", "").replace("<![", "<!x[")
    reader.feed(_closed(html))
    reader.close()
    text = "\n".join(reader.lines)
    return Page(
        reader.heading or reader.title, reader.date.strip(), reader.url.strip(), text.strip()
    )


def _closed(html: str) -> str:
    """With an end for a comment or tag that has none: the parser would look for it again from every "<"."""
    if html.rfind("<!--") > html.rfind("-->"):
        return html + "-->"
    last = html.rfind("<")
    if last > html.rfind(">") and re.match(r"<[a-zA-Z/!?]", html[last : last + 2]):
        return html + ">"
    return html
