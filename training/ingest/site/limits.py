"""How far a crawl goes, whatever the site does. A source's own limits are in `SiteSource`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    page_bytes: int = 10_000_000
    """Of one page, over the wire and unpacked."""
    page_elements: int = 40_000
    """Of one page's HTML. Finding the article takes time that grows with their square: 300,000 took over a
    minute, a long book has 10,000."""
    sitemap_bytes: int = 50_000_000
    """What the protocol of sitemaps allows one file."""
    sitemaps: int = 200
    request_seconds: float = 30.0
    wait_seconds: float = 300.0
    """The longest Retry-After that is waited for."""
    tries: int = 4
    redirects: int = 5
    depth: int = 50
    """Links from the start page; blogs page back through their years one link at a time."""
    of_one_shape: int = 1000
    """Pages found by links whose addresses differ in numbers or values only: a calendar never ends.
    Those that a sitemap or feed lists are not counted, for a blog may number its posts."""
    failures_in_a_row: int = 5
    requests_for_a_page: int = 5
    """Requests in all, for each page of the source's max_pages."""
    fewest_words: int = 50
