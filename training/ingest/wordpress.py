"""Posts and pages of a WordPress export (WXR 1.0–1.2: Tools › Export) as documents.

In: an .xml file, or a folder or zip of several. They are read item by item, so a file may be larger than
memory. Out: what the public could read: published posts and pages without a password. Drafts, revisions,
menus, attachments and comments are left out. A file with a DTD or entities of its own, which no export
has, is refused.

    <item><title>Tea</title><link>…</link><dc:creator>ada</dc:creator><content:encoded>…</content:encoded>
    <wp:post_id>7</wp:post_id><wp:post_date_gmt>2020-03-04 10:00:00</wp:post_date_gmt>
    <wp:status>publish</wp:status><wp:post_type>post</wp:post_type><wp:post_password></wp:post_password></item>
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from personae.corpus import Document
from personae.errors import CorpusError
from personae.sources import WordpressSource
from training.ingest.archive import Archive
from training.ingest.html_text import text_of_html
from training.ingest.open_archive import located, open_archive
from training.ingest.tidy import iso_day, one_line, tidy, title_from

_WHAT = "a WordPress export"
_LIMIT_BYTES = 4 << 30
_CONTENT = "http://purl.org/rss/1.0/modules/content/"
_CREATOR = "{http://purl.org/dc/elements/1.1/}creator"
_WP = re.compile(r"^\{https?://wordpress\.org/export/[\d.]+/\}(\w+)$")
_MOST_OPEN_TAGS = 50
_FORBIDDEN = bytes(set(range(32)) - {9, 10, 13})

_ENCLOSING = re.compile(
    r"\[(code|sourcecode|caption|wp_caption|embed|audio|video|playlist|gallery|latex)\b"
)
_ATTRIBUTES = r"(?:\s+[\w-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s\]\"']+))"
_SHORTCODE = re.compile(
    rf"\[/[a-zA-Z][\w-]{{0,60}}\]|\[[a-zA-Z][\w-]{{0,60}}(?:{_ATTRIBUTES}{{1,60}}\s*/?|\s*/)\]"
)
_BARE_SHORTCODE = re.compile(r"\[([a-zA-Z][\w-]{0,60})\]")
_WITHOUT_ATTRIBUTES = {"gallery", "playlist", "toc", "more", "nextpage", "contact-form", "raw"}
_PRE = re.compile(r"(</?pre\b[^<>]{0,500}>)", re.IGNORECASE)


def documents_of_wordpress(source: WordpressSource, persona_folder: Path) -> Iterator[Document]:
    """Published posts and pages in the order of the export; a post that is in two files counts once.

    Raises:
        CorpusError: not an export, damaged or hostile; or the author has no published text in it.
    """
    path = located(source.path, persona_folder)
    seen: set[str] = set()
    authors: set[str] = set()
    found = False
    with open_archive(path, _WHAT, files=(".xml",)) as archive:
        exports = [name for name in archive.names if name.lower().endswith(".xml")]
        if not exports:
            raise CorpusError(
                f"{path} holds no .xml file. In WordPress, choose Tools › Export › All content, and "
                "put the path of the file it gives into `path`."
            )
        for name in exports:
            for item in _items(archive, name, authors):
                document = _document(item)
                by = {item.get("creator", ""), item.get("display", "")}
                if document is None or document.id in seen:
                    continue
                if source.author is not None and source.author.casefold() not in {
                    name.casefold() for name in by
                }:
                    continue
                seen.add(document.id)
                found = True
                yield document
    if not found and source.author is not None:
        raise CorpusError(
            f'{path} has no published post or page by "{source.author}". It has these authors: '
            f"{', '.join(sorted(authors)[:20]) or 'none'}. Correct `author` of the source, or leave it out."
        )


def _items(archive: Archive, name: str, authors: set[str]) -> Iterator[dict[str, str]]:
    """The fields of each item of one export, by their names without namespace."""
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import iterparse

    with archive.stream(name, _LIMIT_BYTES) as file:
        try:
            yield from _parsed(iterparse, file, archive, name, authors)
        except DefusedXmlException as err:
            raise archive.refused(
                name,
                "declares a DTD or entities of its own, which no WordPress export does. "
                "Don't use this file; export the blog again.",
            ) from err
        except (ParseError, LookupError, ValueError) as err:
            raise archive.refused(
                name,
                f"is not well-formed XML ({err}). The export was cut off or edited; export it again "
                "(for a big blog, one year at a time).",
            ) from err


def _parsed(
    iterparse: Any, file: IO[bytes], archive: Archive, name: str, authors: set[str]
) -> Iterator[dict[str, str]]:
    display: dict[str, str] = {}
    depth = 0
    is_export = False
    channel: Any = None
    for event, element in iterparse(_Mended(file), events=("start", "end"), forbid_dtd=True):
        if event == "start":
            depth += 1
            is_export = is_export or _WP.match(element.tag) is not None
            if element.tag == "channel":
                channel = element
            if depth > _MOST_OPEN_TAGS:
                raise archive.refused(
                    name, "is nested deeper than any WordPress export. Export the blog again."
                )
            continue
        depth -= 1
        tag = _WP.match(element.tag)
        if tag and tag.group(1) == "author":
            fields = _fields(element)
            login = fields.get("author_login", "")
            display[login] = fields.get("author_display_name", "")
            authors |= {login} - {""}
        elif element.tag == "item":
            fields = _fields(element)
            fields["display"] = display.get(fields.get("creator", ""), "")
            authors |= {fields.get("creator", "")} - {""}
            yield fields
        if channel is not None and depth <= 2:
            channel.clear()  # else the whole file would stay in memory
    if not is_export:
        raise archive.refused(
            name,
            "is XML, but not a WordPress export. In WordPress, choose Tools › Export › All content.",
        )


class _Mended:
    """An export without what many blogs have in theirs and XML forbids: control characters within posts, and
    blank lines that some plugin printed before the first line."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._began = False

    def read(self, size: int = -1) -> bytes:
        while raw := self._file.read(size):
            part = raw.translate(None, _FORBIDDEN)
            if not self._began:
                part = part.removeprefix(codecs.BOM_UTF8).lstrip()
            if part:
                self._began = True
                return part
        return b""


def _fields(element: Any) -> dict[str, str]:
    fields: dict[str, str] = {}
    for child in element:
        tag = _WP.match(child.tag)
        text = child.text or ""
        if tag:
            fields[tag.group(1)] = text.strip()
        elif child.tag == _CREATOR:
            fields["creator"] = text.strip()
        elif child.tag == f"{{{_CONTENT}}}encoded":
            fields["content"] = text
        elif child.tag in ("title", "link", "pubDate", "guid"):
            fields[child.tag] = text.strip()
    return fields


def _document(item: dict[str, str]) -> Document | None:
    if (
        item.get("post_type") not in ("post", "page")
        or item.get("status") != "publish"
        or item.get("post_password")
    ):
        return None
    text = tidy(text_of_post(item.get("content", "")))
    if not text:
        return None
    link = one_line(item.get("link", ""))
    try:
        host = urlsplit(link or item.get("guid", "")).hostname or "blog"
    except ValueError:
        host = "blog"
    number = one_line(item.get("post_id", "") or item.get("post_name", "") or link)
    dates = (iso_day(item.get(key, "")) for key in ("post_date_gmt", "post_date", "pubDate"))
    return Document(
        id=f"{host}/{number}",
        title=one_line(text_of_html(item.get("title", "")).text) or title_from(text),
        date=next((date for date in dates if date), ""),
        url=link,
        text=text,
    )


def text_of_post(content: str) -> str:
    """The text of a post as WordPress stores it: HTML, blocks in comments, shortcodes.

    >>> text_of_post('<!-- wp:paragraph --><p>Tea [b x="1"]now[/b] [sic].</p><!-- /wp:paragraph -->')
    'Tea now [sic].'
    """
    blocks = "<!-- wp:" in content
    content = _without_shortcodes(content)
    if not blocks:
        # The classic editor stores no <p>: an empty line is a paragraph, a line end is a break.
        parts = _PRE.split(content.replace("\r\n", "\n"))
        for place in range(0, len(parts), 2):
            if place == 0 or parts[place - 1].startswith("</"):
                paragraphs = re.sub(r"\n[ \t]*\n\s*", "<p>", parts[place])
                parts[place] = paragraphs.replace("\n", "<br>")
        content = "".join(parts)
    return text_of_html(content).text


def _without_shortcodes(content: str) -> str:
    """Without `[gallery ids="1"]` and `[caption …]…[/caption]`; what other pairs enclose stays, and so does
    what an author puts into brackets ("[sic]")."""
    kept = []
    place = 0
    unclosed: set[str] = set()
    while match := _ENCLOSING.search(content, place):
        name = match.group(1)
        end = -1 if name in unclosed else content.find(f"[/{name}]", match.end())
        if end < 0:
            unclosed.add(name)
            kept.append(content[place : match.end()])
            place = match.end()
        else:
            kept.append(content[place : match.start()])
            place = end + len(name) + 3
    content = "".join([*kept, content[place:]])
    closed = set(re.findall(r"\[/([a-zA-Z][\w-]{0,60})\]", content)) | _WITHOUT_ATTRIBUTES
    content = _SHORTCODE.sub("", content)
    return _BARE_SHORTCODE.sub(lambda one: "" if one.group(1) in closed else one.group(), content)
