"""Stories of a Medium export as documents.

In: the zip, or its folder; of it only `posts/*.html`. Out: published stories. Drafts (`draft_…html`) are left
out, and so are responses under other people's stories, which the export keeps beside the stories: a response
has no title of its own, so the export repeats its first words as one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from personae.corpus import Document
from personae.errors import CorpusError
from personae.sources import MediumSource
from training.ingest.archive import MEGABYTE
from training.ingest.html_text import text_of_html
from training.ingest.open_archive import located, open_archive
from training.ingest.tidy import iso_day, one_line, tidy

_WHAT = "a Medium export"
_LIMIT_BYTES = 20 * MEGABYTE
_POST = re.compile(r"(?:^|/)posts/([^/]+)\.html?$", re.IGNORECASE)
_DRAFT = re.compile(r"drafts?_", re.IGNORECASE)
_DAY_IN_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})_")
_ID_IN_NAME = re.compile(r"-([0-9a-f]{8,16})$")
_SUBTITLE = re.compile(r"<section\b[^>]*data-field=\"subtitle\"[^>]*>[^<]*</section>")
_CANONICAL = re.compile(r"<a\b[^>]*href=\"([^\"]{1,2000})\"[^>]*class=\"p-canonical\"")
_PUBLISHED = re.compile(r"<time\b[^>]*class=\"dt-published\"[^>]*datetime=\"([^\"]{1,100})\"")
_HAS_TITLE = re.compile(r"class=\"[^\"]*\bgraf--title\b")
_FIRST_HEADING = re.compile(r"\A#{1,6} (.+)")
_COMPARED_CHARACTERS = 40


def documents_of_medium(source: MediumSource, persona_folder: Path) -> Iterator[Document]:
    """Published stories, in order of the files' names, which begin with their days.

    Raises:
        CorpusError: not such an export, or damaged.
    """
    path = located(source.path, persona_folder)
    with open_archive(path, _WHAT) as archive:
        posts = [(name, match) for name in archive.names if (match := _POST.search(name))]
        if not posts:
            raise CorpusError(
                f"{path} has no posts/*.html. Ask Medium for an export (Settings › Security and apps › "
                "Download your information), and put the path of the zip into `path`."
            )
        for name, match in posts:
            if _DRAFT.match(match.group(1)):
                continue
            document = _document(match.group(1), archive.text(name, _LIMIT_BYTES))
            if document is not None:
                yield document


def _document(name: str, html: str) -> Document | None:
    page = text_of_html(_SUBTITLE.sub("", html, count=1))
    text, title = tidy(page.text), one_line(page.title)
    if not text or _is_response(html, title, text):
        return None
    heading = _FIRST_HEADING.match(text)
    if heading and one_line(heading.group(1)) == title:
        text = text[heading.end() :].strip()
    published = _PUBLISHED.search(html)
    day = _DAY_IN_NAME.match(name)
    canonical = _CANONICAL.search(html)
    number = _ID_IN_NAME.search(name)
    if not text:
        return None
    return Document(
        id=number.group(1) if number else tidy(name),
        title=title or name,
        date=iso_day(published.group(1)) if published else day.group(1) if day else "",
        url=one_line(canonical.group(1)) if canonical else "",
        text=text,
    )


def _is_response(html: str, title: str, text: str) -> bool:
    if _HAS_TITLE.search(html) or text.startswith("#"):
        return False
    begins = one_line(text)[:_COMPARED_CHARACTERS].casefold()
    own_title = title.rstrip("…. ").casefold()[:_COMPARED_CHARACTERS]
    return not own_title or begins.startswith(own_title)
