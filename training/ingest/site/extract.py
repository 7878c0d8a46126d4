"""The prose of a page: what its author wrote, without the site around it.

In: HTML as text, and its address. Out: title, date, author and text as in `personae.corpus.Document`: blocks
apart by a blank line, "## Heading", "- item", "> quote". trafilatura finds the article; where it finds none,
`training.ingest.html_text` reads the whole page. Comments, tables and links' targets are left behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from training.ingest.html_text import text_of_html
from training.ingest.site.old_layout import modern_html

if TYPE_CHECKING:
    from lxml.etree import _Element

_DATE = re.compile(r"\d{4}(?:-\d{2}(?:-\d{2})?)?")
_MONTHS = [
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november", "december",
]  # fmt: skip
_DATE_LINE = re.compile(
    rf"(?:(?P<day>\d{{1,2}})\.? )?(?P<month>{'|'.join(_MONTHS)})"
    r"(?: (?P<day_after>\d{1,2}),)? (?P<year>\d{4})",
    re.IGNORECASE,
)
"""A block that is nothing but a date: "March 2019", "4 March 2019", "March 4, 2019"."""


@dataclass(frozen=True)
class Prose:
    title: str
    date: str
    author: str
    """"" where the page names none."""
    text: str

    @property
    def words(self) -> int:
        lines = (line for line in self.text.splitlines() if not line.startswith("#"))
        return sum(len(line.split()) for line in lines)


def prose_of_html(html: str, address: str) -> Prose:
    html = modern_html(html)
    found = _article(html, address)
    if found is not None:
        text = "\n\n".join(_blocks(found.body))
        if text.strip():
            title = " ".join((found.title or "").split())
            date, text = _date_line(_without_title(text, title))
            return Prose(
                title=title or text_of_html(html).title,
                date=_date(found.date or "") or date,
                author=" ".join((found.author or "").split()),
                text=text,
            )
    page = text_of_html(html)
    author = (found.author or "") if found is not None else ""
    return Prose(page.title, _date(page.date), author, _without_title(page.text, page.title))


def prose_of_plain_text(text: str, address: str) -> Prose:
    """Text files have no title; the name of the file serves."""
    name = address.rstrip("/").rpartition("/")[2].rpartition(".")[0]
    blocks = (" ".join(block.split()) for block in re.split(r"\n\s*\n", text))
    return Prose(
        re.sub(r"[-_]+", " ", name).strip(), "", "", "\n\n".join(block for block in blocks if block)
    )


def _article(html: str, address: str) -> Any:
    import trafilatura

    return trafilatura.bare_extraction(
        html,
        url=address,
        include_comments=False,
        include_tables=False,
        include_formatting=True,
        with_metadata=True,
        # Dates come from what the page declares. A search through its text would find those of its subject.
        date_extraction_params={"extensive_search": False, "original_date": True},
    )


def _blocks(element: _Element, *, mark: str = "") -> Iterator[str]:
    """The blocks below an element of trafilatura's tree (TEI's names: head, p, list, item, quote, lb)."""
    loose = [element.text or ""]

    def paragraph() -> Iterator[str]:
        text = _one_line("".join(loose))
        loose.clear()
        if text:
            yield mark + text

    for child in element:
        match child.tag:
            case "head":
                yield from paragraph()
                title = _one_line("".join(child.itertext()))
                level = min(6, int(re.sub(r"\D", "", child.get("rend", "")) or 2))
                if title:
                    yield f"{'#' * level} {title}"
            case "list":
                yield from paragraph()
                items = (_one_line("".join(_words_outside_lists(i))) for i in child.iter("item"))
                lines = [f"{mark}- {item}" for item in items if item]
                if lines:
                    yield "\n".join(lines)
            case "quote":
                yield from paragraph()
                quoted = "\n>\n".join(_blocks(child, mark="> "))
                if quoted:
                    yield quoted
            case "p":
                yield from paragraph()
                yield from _blocks(child, mark=mark)
            case "table" | "graphic" | "code" | "comments":
                yield from paragraph()
            case "lb":
                loose.append("\n")
            case _:
                loose.append("".join(child.itertext()))
        loose.append(child.tail or "")
    yield from paragraph()


def _words_outside_lists(item: _Element) -> Iterator[str]:
    """Of an item; a list within it has items of its own."""
    yield item.text or ""
    for child in item:
        if child.tag != "list":
            yield from _words_outside_lists(child)
        yield f" {child.tail or ''}" if child.tag in ("list", "lb", "p") else child.tail or ""


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _without_title(text: str, title: str) -> str:
    """The heading at the top that only says the title again is not part of the text."""
    first, _, rest = text.partition("\n\n")
    if first.startswith("#") and first.lstrip("# ").casefold() == title.casefold():
        return rest.strip()
    return text.strip()


def _date_line(text: str) -> tuple[str, str]:
    """The date that stands alone above the text, and the text without it."""
    first, _, rest = text.partition("\n\n")
    found = _DATE_LINE.fullmatch(first)
    if found is None:
        return "", text
    month = _MONTHS.index(found["month"].lower()) + 1
    day = found["day"] or found["day_after"]
    return f"{found['year']}-{month:02d}" + (f"-{int(day):02d}" if day else ""), rest


def _date(text: str) -> str:
    found = _DATE.match(text.strip())
    return found.group() if found else ""
