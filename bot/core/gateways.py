"""The addresses of the gateway's replicas: which to ask first, and which of them are there.

Each person has a replica of their own while it is there: their conversation is warm in its engine, and its
limits see all that they ask. (Rendezvous hashing: when one goes, only its people move.) One that failed is
asked last, until it says that it is ready; of several, each is asked for that now and then.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import logging
import re
from collections.abc import AsyncIterator, Sequence

import aiohttp

log = logging.getLogger(__name__)

_HTTP = re.compile(r"https?://[^\s/]+")
_EVERY_SECONDS = 3.0
_LOOK_SECONDS = 2.0


def addresses(text: str) -> list[str]:
    """ "http://a:8420, http://b:8420/" → the two, without the slash."""
    return [one.strip().rstrip("/") for one in text.split(",") if one.strip()]


def are_addresses(text: str) -> bool:
    """Whether it is one address or several."""
    found = addresses(text)
    return bool(found) and all(_HTTP.match(one) for one in found)


class Gateways:
    """Replicas of one gateway; at least one."""

    def __init__(self, addresses: Sequence[str]) -> None:
        if not addresses:
            raise ValueError("a gateway has an address")
        self.addresses = list(dict.fromkeys(addresses))
        self._away: set[str] = set()
        self._turn = itertools.count()

    def in_order(self, person: str | None = None) -> list[str]:
        """Whom to ask, the first one first; without a person they take turns."""
        if person is None:
            first = next(self._turn) % len(self.addresses)
            order = self.addresses[first:] + self.addresses[:first]
        else:
            order = sorted(self.addresses, key=lambda its: _weight(its, person))
        return sorted(order, key=lambda its: its in self._away)

    def failed(self, address: str) -> None:
        """It did not answer: the others come first."""
        if len(self.addresses) > 1 and address not in self._away:
            log.warning("the gateway at %s is away; asking the others first", address)
            self._away.add(address)

    def answered(self, address: str) -> None:
        if address in self._away:
            log.info("the gateway at %s is back", address)
            self._away.discard(address)

    @contextlib.asynccontextmanager
    async def watched(self, session: aiohttp.ClientSession) -> AsyncIterator[None]:
        """Meanwhile, ask each of several whether it is ready."""
        if len(self.addresses) == 1:
            yield
            return
        watching = [
            asyncio.create_task(self._watch(address, session), name=f"watch-{address}")
            for address in self.addresses
        ]
        try:
            yield
        finally:
            for task in watching:
                task.cancel()
            await asyncio.wait(watching)

    async def _watch(self, address: str, session: aiohttp.ClientSession) -> None:
        timeout = aiohttp.ClientTimeout(total=_LOOK_SECONDS)
        while True:
            try:
                async with session.get(f"{address}/readyz", timeout=timeout) as response:
                    ready = response.status == 200
            except (aiohttp.ClientError, TimeoutError):
                ready = False
            if ready:
                self.answered(address)
            else:
                self.failed(address)
            await asyncio.sleep(_EVERY_SECONDS)


def _weight(address: str, person: str) -> bytes:
    return hashlib.sha256(f"{person} {address}".encode()).digest()
