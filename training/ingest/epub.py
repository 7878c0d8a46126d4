"""Chapters of an EPUB book as documents.

In: one .epub file (2 or 3). Out: its chapters in reading order, without cover, contents, title and copyright
pages. A chapter begins where a file of the book begins with a heading, or has one; files without one (many
programs cut books by size) go on with the chapter before. A book without headings, or in one file, is one
document. Books with copy protection are refused: what a reader may do with those is not for us to decide.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from personae.corpus import Document
from personae.errors import CorpusError
from training.ingest.archive import MEGABYTE, Archive
from training.ingest.html_text import text_of_html
from training.ingest.open_archive import open_archive
from training.ingest.tidy import iso_day, one_line, tidy

_WHAT = "an EPUB book"
_LIMIT_BYTES = 20 * MEGABYTE
_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_FONTS_ONLY = {"http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"}
"""Ways to scramble a font, which leave the text as it is."""
_XHTML = {"application/xhtml+xml", "text/html", "application/x-dtbook+xml"}
_LEFT_OUT_TYPES = {
    "cover", "toc", "nav", "title-page", "titlepage", "halftitlepage", "copyright-page", "colophon",
    "imprint", "index", "loi", "lot", "landmarks", "page-list",
}  # fmt: skip
_LEFT_OUT_NAMES = re.compile(
    r"(?:^|[^a-z])(?:cover|toc|nav|contents|title[-_ ]?page|half[-_ ]?title|copyright|colophon|imprint)"
    r"(?:page)?(?:[-_.]?\d*)\.x?html?$",
    re.IGNORECASE,
)
_EPUB_TYPE = re.compile(r"<(?:body|section|nav)\b[^>]*\bepub:type=[\"']([\w\s:-]{1,100})[\"']")
_TYPE_IS_LOOKED_FOR_IN_CHARACTERS = 4000
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_HEAD_LINES = 3
"""A heading so near the beginning of a file is that of a chapter."""


@dataclass
class _Chapter:
    name: str
    title: str
    parts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Book:
    title: str
    date: str
    files: list[str]
    """Names in the archive, in reading order."""


def documents_of_epub(path: Path, book_id: str) -> Iterator[Document]:
    """The chapters of one book.

    Args:
        book_id: begins the documents' ids: "books/kettle.epub" gives "books/kettle.epub#text/ch1.xhtml".

    Raises:
        CorpusError: damaged, copy-protected, or not an EPUB.
    """
    with open_archive(path, _WHAT) as archive:
        _refuse_protected(archive)
        book = _book(archive, path)
        chapters: list[_Chapter] = []
        titled = 0
        for name in book.files:
            html = archive.text(name, _LIMIT_BYTES)
            text = "" if _is_left_out(html) else tidy(text_of_html(html).text)
            if not text:
                continue
            heading = _HEADING.search("\n".join(text.split("\n")[:_HEAD_LINES]))
            titled += heading is not None
            if heading or not chapters:
                chapters.append(_Chapter(name, one_line(heading.group(1)) if heading else ""))
            chapters[-1].parts.append(text)
    if titled < 2:
        whole = "\n\n".join(part for chapter in chapters for part in chapter.parts)
        if whole:
            yield _document(book_id, book.title, book, whole)
        return
    for chapter in chapters:
        text = "\n\n".join(chapter.parts)
        if _HEADING.sub("", text).strip():
            title = f"{book.title}: {chapter.title}" if chapter.title else book.title
            yield _document(f"{book_id}#{tidy(chapter.name)}", title, book, text)


def _document(document_id: str, title: str, book: _Book, text: str) -> Document:
    return Document(id=document_id, title=one_line(title), date=book.date, url="", text=text)


def _refuse_protected(archive: Archive) -> None:
    if _ENCRYPTION not in archive.names:
        return
    root = _xml(archive, _ENCRYPTION)
    ways = {
        element.get("Algorithm", "")
        for data in root.iter()
        if _local(data) == "EncryptedData"
        for element in data
        if _local(element) == "EncryptionMethod"
    }
    if ways - _FONTS_ONLY:
        raise CorpusError(
            f"{archive.where} is copy-protected (DRM), so its text can't be read. Use an edition without "
            "protection, or take the file out of the folder."
        )


def _book(archive: Archive, path: Path) -> _Book:
    if _CONTAINER not in archive.names:
        raise CorpusError(
            f"{path} is not an EPUB book: it has no {_CONTAINER}. Take it out of the folder, or replace it."
        )
    package = next(
        (
            one.get("full-path", "")
            for one in _xml(archive, _CONTAINER).iter()
            if _local(one) == "rootfile"
        ),
        "",
    )
    if package not in archive.names:
        raise archive.refused(
            _CONTAINER, "names no list of the book's files. Replace the book by a whole one."
        )
    root = _xml(archive, package)
    folder = posixpath.dirname(package)
    left_out = {
        _within(folder, reference.get("href", ""))
        for reference in root.iter()
        if _local(reference) == "reference" and reference.get("type", "") in _LEFT_OUT_TYPES
    }
    items = {}
    for item in root.iter():
        if _local(item) == "item" and item.get("media-type", "") in _XHTML:
            name = _within(folder, item.get("href", ""))
            is_nav = "nav" in item.get("properties", "").split()
            if not is_nav and name not in left_out and not _LEFT_OUT_NAMES.search(name):
                items[item.get("id", "")] = name
    spine = [
        items.get(reference.get("idref", ""), "")
        for reference in root.iter()
        if _local(reference) == "itemref" and reference.get("linear", "yes") != "no"
    ]
    files = [name for name in dict.fromkeys(spine) if name]
    missing = [name for name in files if name not in archive.names]
    if missing:
        raise archive.refused(
            missing[0],
            "is in the book's list and not in the book. Replace the book by a whole one.",
        )
    title = one_line(_metadata(root, "title")) or path.stem
    return _Book(title, iso_day(_metadata(root, "date")), files)


def _metadata(root: Any, name: str) -> str:
    values = [
        (element.text or "").strip()
        for element in root.iter()
        if _local(element) == name and "purl.org/dc/" in element.tag
    ]
    return next((value for value in values if value), "")


def _local(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _within(folder: str, href: str) -> str:
    return posixpath.normpath(posixpath.join(folder, unquote(href.partition("#")[0])))


def _is_left_out(html: str) -> bool:
    found = _EPUB_TYPE.search(html[:_TYPE_IS_LOOKED_FOR_IN_CHARACTERS])
    return found is not None and not _LEFT_OUT_TYPES.isdisjoint(found.group(1).split())


def _xml(archive: Archive, name: str) -> Any:
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    raw = archive.read(name, _LIMIT_BYTES)
    try:
        return fromstring(raw)
    except DefusedXmlException as err:
        raise archive.refused(
            name, "declares entities, which no book needs. Don't use this file; replace the book."
        ) from err
    except (ParseError, LookupError, ValueError) as err:
        raise archive.refused(
            name, f"is not well-formed XML ({err}). Replace the book by a whole one."
        ) from err
