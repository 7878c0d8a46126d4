"""What a site lists of itself: its sitemaps, an index of them included, and its feeds.

In: a source, and the feeds that its start page links. Out: addresses of pages, as they are written there. The
lists come through the same `Asker` as pages; how they are read is in `sitemaps`.
"""

from __future__ import annotations

import logging

from personae.errors import CorpusError
from personae.sources import SiteSource
from training.ingest.site.addresses import Site, normal
from training.ingest.site.asking import Asker
from training.ingest.site.fetching import LeftOut, NotNow, unpacked
from training.ingest.site.limits import Limits
from training.ingest.site.sitemaps import Listing, addresses_listed

log = logging.getLogger(__name__)

_FEEDS_OF_A_PAGE = 3


async def listed_addresses(
    source: SiteSource, site: Site, asker: Asker, feeds: list[str], limits: Limits
) -> list[str]:
    """All that sitemaps and feeds list, each once.

    The sitemap is the source's, else those that robots.txt names, else /sitemap.xml. The feed is the
    source's, else those of the start page.

    Raises:
        CorpusError: a sitemap or feed that the source names lists nothing.
    """
    named = (await asker.robots_of(source.url)).sitemaps
    sitemaps = [source.sitemap] if source.sitemap else _on_site(site, named or ("/sitemap.xml",))
    of_page = [link for link in _on_site(site, feeds) if "comments" not in link]
    found = await _walked(sitemaps, asker, limits, required=source.sitemap is not None)
    found += await _walked(
        [source.feed] if source.feed else of_page[:_FEEDS_OF_A_PAGE],
        asker,
        limits,
        required=source.feed is not None,
    )
    return list(dict.fromkeys(found))


def _on_site(site: Site, links: list[str] | tuple[str, ...]) -> list[str]:
    base = site.first_page
    return [address for link in links if (address := site.address_of(link, base)) is not None]


async def _walked(
    addresses: list[str], asker: Asker, limits: Limits, *, required: bool
) -> list[str]:
    """The pages of these lists and of the lists that they list."""
    waiting = [address for given in addresses if (address := normal(given)) is not None]
    seen: set[str] = set()
    pages: list[str] = []
    while waiting and len(seen) < limits.sitemaps:
        address = waiting.pop(0)
        if address in seen:
            continue
        seen.add(address)
        listing = await _listing(address, asker, limits)
        if required and not (listing.pages or listing.sitemaps):
            raise CorpusError(
                f"{address} lists no page: it is missing, or is no sitemap or feed. Correct the address in "
                "the source, or leave it out."
            )
        required = False
        pages += listing.pages
        waiting += _on_site(Site.of(address), listing.sitemaps)
    return pages


async def _listing(address: str, asker: Asker, limits: Limits) -> Listing:
    for _hop in range(limits.redirects + 1):
        try:
            stored = await asker.listing(address)
            if stored.is_page:
                body = asker.body_of_list(address)
                if body.startswith(b"\x1f\x8b"):
                    body = unpacked(body, max_bytes=limits.sitemap_bytes)
                return addresses_listed(body)
        except (LeftOut, NotNow) as reason:
            log.info("%s is not read: %s", address, reason)
            break
        if stored.redirect_to is None or stored.left_out is not None:
            log.info("%s is not read: %s", address, stored.left_out)
            break
        address = stored.redirect_to
    return Listing([], [])
