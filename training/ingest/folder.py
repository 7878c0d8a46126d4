"""Markdown, text, HTML and EPUB files of a folder as documents.

A file may begin with front matter (`---`, lines of `key: value`, `---`); `title`, `date` and `url` are
taken from it. Without it the title is the first heading, or the file's name. Headings, lists and quotes
stay marked as in Markdown: `personae.corpus` cuts passages by them. A book gives a document for each
chapter (`training.ingest.epub`), every other file one. Links out of the folder are not
followed, so that a corpus holds what its folder holds and nothing else of the machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from personae.corpus import Document
from personae.errors import CorpusError
from personae.sources import FolderSource
from training.ingest.epub import documents_of_epub
from training.ingest.html_text import text_of_html
from training.ingest.open_archive import located
from training.ingest.tidy import tidy

_MARKDOWN = {".md", ".markdown"}
_TEXT = {".txt", ".text"}
_HTML = {".html", ".htm", ".xhtml"}
_BOOKS = {".epub"}
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*\s*$", re.MULTILINE)
_UNDERLINED = re.compile(
    r"(?:\A|(?<=\n\n))[ ]{0,3}(?![-*+>#]|\d+[.)])(\S.{0,199})\n {0,3}(=+|-{3,})[ \t]*$",
    re.MULTILINE,
)
_DATE = re.compile(r"\d{4}(?:-\d{2}(?:-\d{2})?)?")


@dataclass(frozen=True)
class _Read:
    title: str
    date: str
    url: str
    text: str


def documents_of_folder(source: FolderSource, persona_folder: Path) -> Iterator[Document]:
    """Every readable file that matches the source's pattern, in order of path.

    Raises:
        CorpusError: the folder is missing or holds no such file, or a file is not UTF-8 or a damaged book.
    """
    folder = located(source.path, persona_folder).resolve()
    if not folder.is_dir():
        raise CorpusError(
            f"The folder {folder} of a source does not exist. Create it, or correct `path` in "
            f"{persona_folder / 'persona.toml'}."
        )
    known = _MARKDOWN | _TEXT | _HTML | _BOOKS
    paths = [
        path
        for path in _matching(folder, source.pattern)
        if path.suffix.lower() in known
        and path.is_file()
        and path.resolve().is_relative_to(folder)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not paths:
        raise CorpusError(
            f"The folder {folder} has no Markdown, text, HTML or EPUB file that matches "
            f'"{source.pattern}". Put the writing there as .md, .txt, .html or .epub files.'
        )
    for path in paths:
        # A name of bytes that are no text can't be stored as they are.
        place = tidy(path.relative_to(folder).as_posix())
        if path.suffix.lower() in _BOOKS:
            yield from documents_of_epub(path, place)
            continue
        read = _read(path)
        if not _HEADING.sub("", read.text).strip():
            continue
        yield Document(
            id=place,
            title=tidy(read.title),
            date=read.date,
            url=tidy(read.url),
            text=tidy(read.text),
        )


def _matching(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(folder.glob(pattern))
    except (NotImplementedError, ValueError) as err:
        raise CorpusError(
            f'The pattern "{pattern}" of the folder {folder} can\'t be used ({err}). Write one that counts '
            'from the folder, such as "**/*.md".'
        ) from err


def _read(path: Path) -> _Read:
    try:
        raw = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as err:
        raise CorpusError(
            f"{path} is not UTF-8 text (byte {err.start}). Save it as UTF-8, for example with "
            f"`iconv -f WINDOWS-1252 -t UTF-8`, and ingest again."
        ) from err
    except OSError as err:
        raise CorpusError(
            f"{path} can't be read ({err.strerror}). Check its permissions, and ingest again."
        ) from err
    name = path.stem.replace("_", " ").replace("-", " ").strip()
    if path.suffix.lower() in _HTML:
        page = text_of_html(raw)
        return _Read(page.title or name, _date(page.date), page.url, page.text)
    fields, body = _front_matter(raw)
    title = fields.get("title", "")
    if path.suffix.lower() in _MARKDOWN:
        body = _UNDERLINED.sub(_with_marks, body)
        heading = _HEADING.search(body)
        if not title and heading:
            title = heading.group(1)
        body = plain_markdown(body)
    return _Read(title or name, _date(fields.get("date", "")), fields.get("url", ""), body.strip())


def _front_matter(raw: str) -> tuple[dict[str, str], str]:
    match = _FRONT_MATTER.match(raw)
    if match is None:
        return {}, raw
    fields = {}
    for line in match.group(1).splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields[key.strip().lower()] = value.strip().strip("\"'")
    return fields, raw[match.end() :]


def _date(text: str) -> str:
    match = _DATE.match(text.strip())
    return match.group() if match else ""


def _with_marks(underlined: re.Match[str]) -> str:
    level = "#" if underlined.group(2).startswith("=") else "##"
    return f"{level} {underlined.group(1).rstrip()}"


def plain_markdown(text: str) -> str:
    """Markdown without the marks within a line, and without code and pictures.

    >>> plain_markdown("## Tea\\n\\n* A [cup](http://x.org) of **tea**.")
    '## Tea\\n\\n- A cup of tea.'
    """
    text = re.sub(r"```.*?```|~~~.*?~~~", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--(?:(?!<!--).)*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"!\[[^\]]{0,500}\]\([^)]{0,2000}\)", "", text)
    text = re.sub(r"\[([^\]]{1,500})\]\([^)]{0,2000}\)", r"\1", text)
    text = re.sub(r"^[ \t]*(?:[-*_][ \t]*){3,}$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^([ \t]*)[*+](?=[ \t])", r"\1-", text, flags=re.MULTILINE)
    text = re.sub(r"(\*\*|__|\*|`)(?=\S)(.{1,2000}?)(?<=\S)\1", r"\2", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()
