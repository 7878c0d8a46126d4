"""Ask the site for an address: not if robots.txt forbids it, from the cache if this round has it, else anew.

In: an address. Out: what is stored of it now. Follows no redirect but that of robots.txt: where a page leads
is for `visit` to judge. Everything that came is in the cache before the next request begins.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from personae.errors import CorpusError
from training.ingest.site.addresses import Site, authority, joined
from training.ingest.site.fetching import AGENT, PRIVATE, Answer, Fetcher, LeftOut, NotNow
from training.ingest.site.limits import Limits
from training.ingest.site.page_cache import PageCache, Stored
from training.ingest.site.robots import MAX_BYTES, Robots, Rule, parse_robots

log = logging.getLogger(__name__)

FORBIDDEN = "robots.txt forbids it"
OFF_SITE = "redirects off the site"
_REDIRECTS = {301, 302, 303, 307, 308}
_PAGE_TYPES = {"text/html", "application/xhtml+xml", "text/plain", ""}
_EVERYTHING_FORBIDDEN = Robots(rules=(Rule(False, "/"),))


class Asker:
    def __init__(
        self,
        fetcher: Fetcher,
        *,
        pages: PageCache,
        lists: PageCache,
        round: int,
        seconds_between: float,
        limits: Limits,
    ) -> None:
        self.asked = 0
        """Addresses, whether they came from the cache or not."""
        self._pages = pages
        self._lists = lists
        self._fetcher = fetcher
        self._round = round
        self._limits = limits
        self._robots: dict[str, Robots] = {}
        self._failures = 0
        fetcher.seconds_between = seconds_between

    async def page(self, address: str) -> Stored:
        """What the site has at `address`, in this round.

        Raises:
            LeftOut: robots.txt forbids it. Everything else that is left out says so in `left_out`.
            NotNow: no proper answer, and nothing from an earlier round either.
            CorpusError: the site does not answer any more.
        """
        return await self._ask(
            self._pages, address, takes=_PAGE_TYPES.__contains__, max_bytes=self._limits.page_bytes
        )

    async def listing(self, address: str) -> Stored:
        """As `page`, for a sitemap or a feed."""
        return await self._ask(
            self._lists,
            address,
            takes=lambda kind: kind != "text/html",
            max_bytes=self._limits.sitemap_bytes,
        )

    def body_of_list(self, address: str) -> bytes:
        return self._lists.body(address)

    async def _ask(
        self, cache: PageCache, address: str, *, takes: Callable[[str], bool], max_bytes: int
    ) -> Stored:
        if not (await self.robots_of(address)).allows(address):
            raise LeftOut(FORBIDDEN)
        self.asked += 1
        before = cache.read(address)
        if before is not None and before.round == self._round:
            return before
        validators = _validators(before)
        try:
            answer = await self._fetcher.get(
                address, max_bytes=max_bytes, takes=takes, validators=validators
            )
        except LeftOut as reason:
            stored = self._new(address, before, 200, left_out=str(reason))
            return cache.write(stored.model_copy(update={"wire_bytes": reason.wire_bytes}))
        except NotNow as trouble:
            self._count_failure(address, trouble)
            if before is None or not before.is_page:
                raise
            return self._again(cache, before, kept=True)
        self._failures = 0
        if answer.status == 304 and before is not None and validators:
            tag = answer.headers.get("x-robots-tag") or before.robots_tag
            before = before.model_copy(update={"robots_tag": tag})
            return self._again(cache, before, unchanged=True)
        return cache.write(self._known(address, before, answer), answer.body)

    async def robots_of(self, address: str) -> Robots:
        """The rules that hold for the address's host. One that can't be read forbids everything."""
        host = authority(address)
        if host not in self._robots:
            try:
                self._robots[host] = await self._fetched_robots(host)
            except (NotNow, LeftOut) as trouble:
                if str(trouble) == PRIVATE:
                    raise CorpusError(
                        f"{host} is not on the public internet, and personae fetches from nowhere else. "
                        'Save its pages as files and name their folder as the source: kind = "folder".'
                    ) from trouble
                if not self._robots:
                    raise CorpusError(
                        f"{host} can't be read: its robots.txt {_as_verb(trouble)}, and then nothing may "
                        "be fetched (RFC 9309). Check the address and the network, or try again later."
                    ) from trouble
                log.warning("%s: robots.txt %s, so nothing is fetched", host, _as_verb(trouble))
                self._robots[host] = _EVERYTHING_FORBIDDEN
            delay = self._robots[host].delay_seconds
            if delay > self._fetcher.seconds_between:
                log.info("%s wants %g seconds between two requests", host, delay)
            self._fetcher.seconds_between = max(self._fetcher.seconds_between, delay)
        return self._robots[host]

    async def _fetched_robots(self, host: str) -> Robots:
        address = f"{host}/robots.txt"
        for _hop in range(self._limits.redirects + 1):
            answer = await self._fetcher.get(
                address, max_bytes=self._limits.page_bytes, takes=lambda kind: True
            )
            if answer.status == 200:
                text = answer.body[:MAX_BYTES].decode("utf-8", errors="replace")
                return parse_robots(text, agent=AGENT)
            target = _target(answer, address)
            if target is None:
                # 4xx: the site has no rules (RFC 9309, 2.3.1.3).
                return Robots()
            if Site.of(host).address_of(target, target) is None:
                raise LeftOut(f"redirects to {authority(target)}")
            address = target
        return Robots()

    def _known(self, address: str, before: Stored | None, answer: Answer) -> Stored:
        target = _target(answer, address)
        if target is not None:
            on_site = Site.of(address).address_of(target, target) is not None
            stored = self._new(
                address, before, answer.status, left_out=None if on_site else OFF_SITE
            )
            return stored.model_copy(update={"redirect_to": target})
        if answer.status != 200:
            return self._new(address, before, answer.status, left_out=f"answered {answer.status}")
        return self._new(address, before, 200).model_copy(
            update={
                "content_type": answer.headers.get("content-type", ""),
                "robots_tag": answer.headers.get("x-robots-tag", ""),
                "etag": answer.headers.get("etag", ""),
                "last_modified": answer.headers.get("last-modified", ""),
                "wire_bytes": answer.wire_bytes,
            }
        )

    def _new(
        self, address: str, before: Stored | None, status: int, *, left_out: str | None = None
    ) -> Stored:
        return Stored(
            address=address,
            status=status,
            round=self._round,
            first_round=before.first_round if before else self._round,
            fetched_at=datetime.now(UTC).isoformat(timespec="seconds"),
            left_out=left_out,
            was_page=before is not None and before.is_page,
        )

    def _again(
        self, cache: PageCache, before: Stored, *, unchanged: bool = False, kept: bool = False
    ) -> Stored:
        """The body of an earlier round, for this one too."""
        update = {"round": self._round, "unchanged": unchanged, "kept": kept, "was_page": True}
        return cache.write(before.model_copy(update=update), cache.body(before.address))

    def _count_failure(self, address: str, trouble: NotNow) -> None:
        self._failures += 1
        if self._failures >= self._limits.failures_in_a_row:
            raise CorpusError(
                f"{authority(address)} has stopped answering ({address} {trouble}). Run it again later; "
                "it goes on where it stopped."
            ) from trouble


def _validators(before: Stored | None) -> dict[str, str]:
    if before is None or not before.is_page:
        return {}
    wanted = {"If-None-Match": before.etag, "If-Modified-Since": before.last_modified}
    return {name: value for name, value in wanted.items() if value}


def _target(answer: Answer, address: str) -> str | None:
    """Where a redirect leads; None where the answer is none, or leads to no web address."""
    location = answer.headers.get("location", "")
    if answer.status not in _REDIRECTS or not location:
        return None
    return joined(location, address)


def _as_verb(trouble: Exception) -> str:
    """ "too large" becomes "is too large"; "timed out" stays."""
    words = str(trouble)
    verbs = ("timed", "answered", "redirects", "has", "does", "broke")
    return words if words.startswith(verbs) else f"is {words}"
