"""Which address comes next, and where a trap ends.

In: addresses as they are found, each with its distance from the start. Out: one after the other, first found
first, none twice. Addresses that the site lists itself (sitemap, feed) are taken as they are; those found by
links are bounded in depth and in how many may look alike.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

from training.ingest.site.addresses import (
    MAX_CHARACTERS,
    goes_round,
    is_wanted,
    names_a_page,
    shape,
)
from training.ingest.site.limits import Limits
from training.ingest.site.outcome import Outcome


class Frontier:
    def __init__(
        self, *, include: Sequence[str], exclude: Sequence[str], limits: Limits, outcome: Outcome
    ) -> None:
        self._include = include
        self._exclude = exclude
        self._limits = limits
        self._outcome = outcome
        self._waiting: deque[tuple[str, int]] = deque()
        self._seen: set[str] = set()
        self._of_shape: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, address: str, *, depth: int, listed: bool) -> None:
        """Queue an address that was not seen yet.

        Args:
            listed: the site names it in a sitemap or feed, or it was a page before.
        """
        if address in self._seen:
            return
        self._seen.add(address)
        reason = self._refused(address, depth, listed)
        if reason:
            self._outcome.leave_out(address, reason)
        else:
            self._waiting.append((address, depth))

    def mark_seen(self, address: str) -> bool:
        """True the first time; for addresses that are asked for out of turn (redirects)."""
        if address in self._seen:
            return False
        self._seen.add(address)
        return True

    def next(self) -> tuple[str, int]:
        return self._waiting.popleft()

    def wants(self, address: str) -> bool:
        return is_wanted(address, self._include, self._exclude)

    def _refused(self, address: str, depth: int, listed: bool) -> str:
        if len(address) > MAX_CHARACTERS:
            return "address too long"
        if not names_a_page(address):
            return "not a page"
        if not self.wants(address):
            return "not wanted by include and exclude"
        if listed:
            return ""
        if depth > self._limits.depth:
            return "too many links from the start"
        if goes_round(address):
            return "address goes round in circles"
        alike = shape(address)
        if any(mark in alike for mark in "#?"):
            self._of_shape[alike] += 1
            if self._of_shape[alike] > self._limits.of_one_shape:
                return "too many pages alike (a calendar or a search?)"
        return ""
