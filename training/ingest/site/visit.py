"""The crawl: from the start page, sitemaps and feeds to every page of the site, into the cache.

In: a source, a cache, a fetcher. Out: the pages, in the order they were found. What the cache holds from
this round is not asked for again, so a crawl that was killed runs the same way through the same pages, from
disk as far as it got. What the pages mean is decided later, by `extract`.
"""

from __future__ import annotations

from dataclasses import dataclass

from personae.errors import CorpusError
from personae.progress import Progress
from personae.sources import SiteSource
from training.ingest.site.addresses import Site, authority, normal
from training.ingest.site.asking import OFF_SITE, Asker
from training.ingest.site.fetching import AGENT, LeftOut, NotNow
from training.ingest.site.frontier import Frontier
from training.ingest.site.limits import Limits
from training.ingest.site.listed import listed_addresses
from training.ingest.site.outcome import Outcome
from training.ingest.site.outline import (
    Outline,
    header_asks_not_to_be_read,
    outline_of_html,
    text_of_body,
)
from training.ingest.site.page_cache import PageCache, Stored


@dataclass(frozen=True)
class FoundPage:
    """A page to read. `canonical` is the address that it calls its own, or its real one."""

    stored: Stored
    canonical: str


class Visit:
    """One run over the site: `run` once; then `pages` holds what was found."""

    def __init__(
        self,
        source: SiteSource,
        cache: PageCache,
        asker: Asker,
        *,
        round: int,
        limits: Limits,
        outcome: Outcome,
        progress: Progress,
    ) -> None:
        self.pages: list[FoundPage] = []
        self._source = source
        self._cache = cache
        self._asker = asker
        self._round = round
        self._limits = limits
        self._outcome = outcome
        self._progress = progress
        self._site = Site.of(source.url)
        self._frontier = Frontier(
            include=source.include, exclude=source.exclude, limits=limits, outcome=outcome
        )
        self._taken = 0
        self._wire_bytes = 0

    async def run(self) -> None:
        """Fetch all of the site that the source wants.

        Raises:
            CorpusError: the site can't be reached, forbids it, or leads elsewhere; a sitemap or feed of the
                source can't be read.
        """
        start = await self._start()
        outline = self._take(start) if start is not None else Outline(base="")
        listed = await listed_addresses(
            self._source, self._site, self._asker, outline.feeds, self._limits
        )
        for link in listed:
            self._add(link, self._site.first_page, depth=0, listed=True)
        self._add_links(outline, start.address if start is not None else self._source.url, depth=1)
        await self._follow()
        # What was a page before is asked for again, even if nothing leads to it any more: feeds forget.
        for address in self._pages_before():
            self._add(address, address, depth=0, listed=True)
        await self._follow()

    async def _follow(self) -> None:
        """Ask for what waits, and for what that links, until nothing waits or a limit is reached."""
        while len(self._frontier) and not self._full():
            address, depth = self._frontier.next()
            page = await self._page(address)
            if page is not None:
                self._add_links(self._take(page), page.address, depth=depth + 1)

    def _pages_before(self) -> list[str]:
        """Pages of the round before. (After a kill some have been asked for in this one already.)"""
        return sorted(
            stored.address
            for stored in self._cache.all()
            if stored.first_round < self._round
            and (stored.was_page if stored.round == self._round else stored.is_page)
        )

    async def _start(self) -> Stored | None:
        """The start page. Where it redirects within the site, addresses are written as there from then on."""
        address = normal(self._source.url)
        if address is None:
            raise CorpusError(f"{self._source.url} is no web address. Correct `url` of the source.")
        robots = await self._asker.robots_of(address)
        if robots.forbids_all:
            raise CorpusError(
                f"The robots.txt of {authority(address)} forbids everything to {AGENT}. If the site is "
                f'yours, allow it there ("User-agent: {AGENT}", "Allow: /"); or save the pages and name '
                'their folder as the source: kind = "folder".'
            )
        for _hop in range(self._limits.redirects + 1):
            self._frontier.mark_seen(address)
            try:
                stored = await self._asker.page(address)
            except LeftOut as reason:
                self._outcome.leave_out(address, str(reason))
                return None
            except NotNow as trouble:
                raise CorpusError(
                    f"The start page {address} can't be read: it {trouble}. Try again later; what was "
                    "fetched before is kept."
                ) from trouble
            if stored.redirect_to is None:
                return self._noted(stored)
            if stored.left_out == OFF_SITE:
                raise CorpusError(
                    f"{address} leads to {stored.redirect_to}, which is another site. If that is the one "
                    "you mean, make it the `url` of the source."
                )
            address = stored.redirect_to
            self._site = Site.of(address)
        self._outcome.leave_out(address, "too many redirects")
        return None

    async def _page(self, address: str) -> Stored | None:
        """Follow an address to its page; None where it was left out, which is then noted."""
        asked = address
        for _hop in range(self._limits.redirects + 1):
            try:
                stored = await self._asker.page(address)
            except (LeftOut, NotNow) as reason:
                self._outcome.leave_out(asked, str(reason))
                return None
            if stored.redirect_to is None or stored.left_out is not None:
                return self._noted(stored)
            target = self._site.address_of(stored.redirect_to, address)
            if target is None or target == address:
                # It insists on another scheme than the rest of the site.
                target = stored.redirect_to
            if not self._frontier.wants(target):
                self._outcome.leave_out(asked, "not wanted by include and exclude")
                return None
            if not self._frontier.mark_seen(target):
                self._outcome.leave_out(asked, "redirects to a page we have")
                return None
            address = target
        self._outcome.leave_out(asked, "too many redirects")
        return None

    def _noted(self, stored: Stored) -> Stored | None:
        """Count what came of an address; None where it is no page."""
        self._wire_bytes += stored.wire_bytes
        if stored.gone:
            self._outcome.gone.append(stored.address)
        if not stored.is_page:
            self._outcome.leave_out(stored.address, stored.left_out or f"answered {stored.status}")
            return None
        if stored.kept:
            self._outcome.kept += 1
        elif stored.unchanged:
            self._outcome.unchanged += 1
        else:
            self._outcome.fetched += 1
        return stored

    def _take(self, stored: Stored) -> Outline:
        """Keep a page, unless it asks not to be read or only lists others."""
        self._taken += 1
        self._progress(f"fetching {self._site.host}", self._taken, None)
        outline = Outline(base="")
        if stored.is_html:
            text = text_of_body(self._cache.body(stored.address), stored.content_type)
            outline = outline_of_html(text, agent=AGENT)
        canonical = self._canonical(outline, stored.address)
        if outline.asks_not_to_be_read or header_asks_not_to_be_read(
            stored.robots_tag, agent=AGENT
        ):
            self._outcome.leave_out(stored.address, "asks not to be read (noindex, noai)")
        elif not self._frontier.wants(stored.address):
            self._outcome.leave_out(stored.address, "not wanted by include and exclude")
        elif outline.is_listing:
            self._outcome.leave_out(stored.address, "a list of links")
        elif outline.elements > self._limits.page_elements:
            self._outcome.leave_out(stored.address, "too large")
        else:
            self.pages.append(FoundPage(stored, canonical))
        return outline

    def _canonical(self, outline: Outline, address: str) -> str:
        """What the page says, if it may be true: many a site calls every page its first one."""
        if not outline.canonical:
            return address
        said = self._site.address_of(outline.canonical, address)
        if said is None or said == self._site.first_page:
            return address
        return said

    def _add_links(self, outline: Outline, address: str, *, depth: int) -> None:
        base = address
        if outline.base:
            base = self._site.address_of(outline.base, address) or address
        for link in outline.links:
            self._add(link, base, depth=depth, listed=False)

    def _add(self, link: str, base: str, *, depth: int, listed: bool) -> None:
        address = self._site.address_of(link, base)
        if address is not None:
            self._frontier.add(address, depth=depth, listed=listed)

    def _full(self) -> bool:
        source = self._source
        if self._taken >= source.max_pages:
            limit = f"max_pages = {source.max_pages}"
        elif self._wire_bytes >= source.max_megabytes * 1_000_000:
            limit = f"max_megabytes = {source.max_megabytes}"
        elif self._asker.asked >= source.max_pages * self._limits.requests_for_a_page + 200:
            limit = "the number of requests"
        else:
            return False
        self._outcome.stopped_by = f"{limit}, with {len(self._frontier)} addresses not asked for"
        return True
