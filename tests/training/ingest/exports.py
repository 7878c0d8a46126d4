"""A small good export of every kind that is read from a file, put together by the tests of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from personae.corpus import Document
from personae.sources import (
    DiscordExportSource,
    FolderSource,
    MediumSource,
    SlackExportSource,
    Source,
    SubstackSource,
    WordpressSource,
    XArchiveSource,
)
from tests.training.ingest import (
    test_discord_export,
    test_epub,
    test_medium,
    test_slack_export,
    test_substack,
    test_wordpress,
    test_x_archive,
)
from training.ingest.discord_export import documents_of_discord_export
from training.ingest.folder import documents_of_folder
from training.ingest.medium import documents_of_medium
from training.ingest.slack_export import documents_of_slack_export
from training.ingest.substack import documents_of_substack
from training.ingest.wordpress import documents_of_wordpress
from training.ingest.x_archive import documents_of_x_archive


@dataclass(frozen=True)
class Export:
    """Members of the archive, its reader, the source that names it as "a.zip" ("a.epub"), and the member
    that holds the writing."""

    files: dict[str, Any]
    read: Callable[[Any, Path], Iterator[Document]]
    source: Source
    main: str


def _slack() -> dict[str, str | bytes]:
    days = {"general/2020-03-04": [test_slack_export.said(0, "Tea is ready.")]}
    return test_slack_export.export(days)


def _exporter() -> dict[str, str | bytes]:
    return {"a.json": test_discord_export.exported(test_discord_export.message(1, "Mine."))}


EXPORTS = {
    "wordpress": Export(
        {"blog.xml": test_wordpress.wxr(test_wordpress.item(1))},
        documents_of_wordpress,
        WordpressSource(kind="wordpress", path="a.zip"),
        "blog.xml",
    ),
    "x_archive": Export(
        test_x_archive.archive(test_x_archive.tweet(1, "Tea at noon.")),
        documents_of_x_archive,
        XArchiveSource(kind="x_archive", path="a.zip"),
        "data/tweets.js",
    ),
    "medium": Export(
        test_medium.FILES,
        documents_of_medium,
        MediumSource(kind="medium", path="a.zip"),
        "posts/2019-07-08_On-tea-0123456789ab.html",
    ),
    "substack": Export(
        test_substack.FILES,
        documents_of_substack,
        SubstackSource(kind="substack", path="a.zip"),
        "posts.csv",
    ),
    "slack": Export(
        _slack(),
        documents_of_slack_export,
        SlackExportSource(kind="slack_export", path="a.zip", user="ada"),
        "general/2020-03-04.json",
    ),
    "discord": Export(
        test_discord_export.package(),
        documents_of_discord_export,
        DiscordExportSource(kind="discord_export", path="a.zip"),
        "Messages/c123/messages.json",
    ),
    "exporter": Export(
        _exporter(),
        documents_of_discord_export,
        DiscordExportSource(kind="discord_export", path="a.zip", user="ada"),
        "a.json",
    ),
    "epub": Export(
        test_epub.book(test_epub.CHAPTERS),
        documents_of_folder,
        FolderSource(kind="folder", path=".", pattern="*.epub"),
        "OEBPS/content.opf",
    ),
}
