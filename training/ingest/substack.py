"""Posts of a Substack export as documents.

In: the zip, or its folder: `posts.csv` and `posts/<id>.<slug>.html`. Out: published posts. A podcast or a
thread counts where its page has words (show notes, the opening of the thread). What the export holds
about subscribers (`email_list…csv`, deliveries, openings) is never opened.

    post_id,post_date,is_published,email_sent_at,inbox_sent_at,type,audience,title,subtitle,podcast_url
    101.on-tea,2023-05-01T10:00:00.000Z,true,…,newsletter,everyone,On tea,A cup,
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from personae.corpus import Document
from personae.errors import CorpusError
from personae.sources import SubstackSource
from training.ingest.archive import MEGABYTE, Archive
from training.ingest.html_text import text_of_html
from training.ingest.open_archive import located, open_archive
from training.ingest.tidy import iso_day, one_line, tidy, title_from

_WHAT = "a Substack export"
_LIMIT_BYTES = 20 * MEGABYTE
_TABLE = re.compile(r"(?:^|/)posts\.csv$")
_POST = re.compile(r"(?:^|/)posts/(\d+)\.[^/]*html?$")
_TYPES = {"newsletter", "podcast", "thread", "page", ""}
_WIDGET_WORDS = re.compile(
    r"^(?:Subscribe(?: now)?|Share|Leave a comment|Share [^\n]{1,80}|Thanks for reading[^\n]*|Upgrade to paid"
    r"|Get \d+% off[^\n]*)$",
    re.MULTILINE | re.IGNORECASE,
)


def documents_of_substack(source: SubstackSource, persona_folder: Path) -> Iterator[Document]:
    """Published posts, oldest first.

    Raises:
        CorpusError: not such an export, or damaged.
    """
    path = located(source.path, persona_folder)
    with open_archive(path, _WHAT) as archive:
        tables = [name for name in archive.names if _TABLE.search(name)]
        if not tables:
            raise CorpusError(
                f"{path} has no posts.csv. Ask Substack for an export (Settings › Import / Export), and "
                "put the path of the zip into `path`."
            )
        files = {m.group(1): name for name in archive.names if (m := _POST.search(name))}
        rows = [row for table in tables for row in _rows(archive, table)]
        done: set[str] = set()
        for row in sorted(rows, key=lambda row: row.get("post_date", "")):
            number = row["post_id"].partition(".")[0].strip()
            if not _is_published(row) or number not in files or number in done:
                continue
            done.add(number)
            document = _document(number, row, archive.text(files[number], _LIMIT_BYTES))
            if document is not None:
                yield document


def _rows(archive: Archive, table: str) -> list[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(archive.text(table, _LIMIT_BYTES), newline=""), strict=True)
    try:
        rows = [{name: value or "" for name, value in row.items() if name} for row in reader]
    except csv.Error as err:
        raise archive.refused(
            table, f"is not the CSV that Substack writes ({err}). Download the export again."
        ) from err
    if not {"post_id", "is_published"} <= set(reader.fieldnames or ()):
        raise archive.refused(
            table,
            "has no columns post_id and is_published, as Substack's has. Download the export again, and "
            "don't edit it.",
        )
    return rows


def _is_published(row: dict[str, str]) -> bool:
    published = row["is_published"].strip().casefold() in ("true", "1", "t")
    return published and row.get("type", "").strip().casefold() in _TYPES


def _document(number: str, row: dict[str, str], html: str) -> Document | None:
    text = tidy(_WIDGET_WORDS.sub("", text_of_html(html).text))
    if not text:
        return None
    return Document(
        id=number,
        title=one_line(row.get("title", "")) or title_from(text),
        date=iso_day(row.get("post_date", "")),
        url="",
        text=text,
    )
