"""A site's pages as documents: crawl it (into a cache that survives), then read what was found.

In: a `SiteSource` and a cache folder. Out: documents, in the order their pages were found, the same whether
the crawl ran through or was killed and run again. `crawl.json` in the cache, written last, says what went and
why. Decides what is a document; finding pages is the business of `visit`, their prose that of `extract`.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from personae.corpus import Document
from personae.errors import CorpusError
from personae.files import write_atomic
from personae.progress import Progress, silent
from personae.sources import SiteSource
from training.ingest.site.addresses import Site, document_id
from training.ingest.site.asking import Asker
from training.ingest.site.extract import Prose, prose_of_html, prose_of_plain_text
from training.ingest.site.fetching import Clock, Fetcher, Sleep
from training.ingest.site.limits import Limits
from training.ingest.site.outcome import CrawlResult, Outcome
from training.ingest.site.outline import text_of_body
from training.ingest.site.page_cache import RESULT, PageCache
from training.ingest.site.public_addresses import AddressAllowed, is_public
from training.ingest.site.visit import FoundPage, Visit

log = logging.getLogger(__name__)


def documents_of_site(
    source: SiteSource,
    cache: Path,
    *,
    progress: Progress = silent,
    limits: Limits | None = None,
    address_allowed: AddressAllowed = is_public,
    clock: Clock = time.monotonic,
    sleep: Sleep = asyncio.sleep,
) -> Iterator[Document]:
    """Fetch what this round lacks, then read it. To be called where no event loop runs.

    Args:
        cache: the folder of this site; after a crawl that was finished, pages are only asked for changes.
        address_allowed: which IP addresses may be connected to.
        clock, sleep: what the pauses between requests are measured and made with.

    Raises:
        CorpusError: the site can't be reached, forbids it, or has no page with text.
        DiskFull: what was fetched before is kept.
    """
    limits = limits or Limits()
    try:
        site = Site.of(source.url)
    except ValueError as err:
        raise CorpusError(f"{source.url} is no web address. Correct `url` of the source.") from err
    pages = PageCache(cache / "pages")
    lists = PageCache(cache / "lists")
    pages.remove_leftovers()
    lists.remove_leftovers()
    number = _last_round(cache) + 1
    outcome = Outcome()

    async def visit() -> list[FoundPage]:
        async with Fetcher(
            limits=limits, address_allowed=address_allowed, clock=clock, sleep=sleep
        ) as fetcher:
            asker = Asker(
                fetcher,
                pages=pages,
                lists=lists,
                round=number,
                seconds_between=source.seconds_between,
                limits=limits,
            )
            visit = Visit(
                source,
                pages,
                asker,
                round=number,
                limits=limits,
                outcome=outcome,
                progress=progress,
            )
            await visit.run()
            return visit.pages

    found = asyncio.run(visit())
    yield from _documents(found, source, pages, limits, outcome, progress)
    result = outcome.result(
        source=source.url,
        round=number,
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    write_atomic(cache / RESULT, result.model_dump_json(indent=2) + "\n")
    log.info("%s: %s", site.host, outcome.summary())
    if not outcome.documents:
        reasons = f" Left out: {outcome.reasons()}." if outcome.reasons() else ""
        raise CorpusError(
            f"{source.url} gave no page with text.{reasons} Check `url`, `include`, `exclude` and "
            f"`author` of the source; {cache / RESULT} has examples."
        )


def _documents(
    found: list[FoundPage],
    source: SiteSource,
    pages: PageCache,
    limits: Limits,
    outcome: Outcome,
    progress: Progress,
) -> Iterator[Document]:
    """Of pages with the same canonical address the one that has it, else the first."""
    chosen: dict[str, FoundPage] = {}
    for page in found:
        before = chosen.get(page.canonical)
        if before is None or (
            page.stored.address == page.canonical and before.stored.address != page.canonical
        ):
            chosen[page.canonical] = page
    texts: set[bytes] = set()
    doing = f"reading pages of {Site.of(source.url).host}"
    for done, page in enumerate(found, 1):
        progress(doing, done, len(found))
        if chosen[page.canonical] is not page:
            outcome.leave_out(page.stored.address, "the same page under another address")
            continue
        prose = _prose(page, pages)
        digest = hashlib.sha256(prose.text.encode()).digest()
        reason = _refused(prose, source, limits)
        if not reason and digest in texts:
            reason = "the same text as another page"
        if reason:
            outcome.leave_out(page.stored.address, reason)
            continue
        texts.add(digest)
        outcome.documents += 1
        yield Document(
            id=document_id(page.canonical),
            title=prose.title,
            date=prose.date,
            url=page.canonical,
            text=prose.text,
        )


def _prose(page: FoundPage, pages: PageCache) -> Prose:
    text = text_of_body(pages.body(page.stored.address), page.stored.content_type)
    read = prose_of_html if page.stored.is_html else prose_of_plain_text
    return read(text, page.canonical)


def _refused(prose: Prose, source: SiteSource, limits: Limits) -> str:
    if prose.words < limits.fewest_words:
        return "too little text"
    if source.author and prose.author and source.author.casefold() not in prose.author.casefold():
        return "by another author"
    return ""


def _last_round(cache: Path) -> int:
    """Of the last crawl that was finished; 0 before the first."""
    try:
        return CrawlResult.model_validate_json((cache / RESULT).read_bytes()).round
    except (FileNotFoundError, ValidationError):
        return 0
