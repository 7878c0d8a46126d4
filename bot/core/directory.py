"""Which personas there are, and which one somebody means by what they typed.

The gateway's list is kept for a minute, read again by one task at a time, and the last known list serves
while the gateway is slow or away.
"""

from __future__ import annotations

import asyncio
import difflib
import logging
import time
from collections.abc import Sequence

from bot.core.gateway_client import GatewayClient
from personae.errors import GatewayUnreachable, PersonaeError
from personae.wire import PersonaCard

log = logging.getLogger(__name__)


class Directory:
    """The gateway's personas, at most `fresh_seconds` old while it answers within `wait_seconds`."""

    def __init__(
        self, gateway: GatewayClient, *, fresh_seconds: float = 60.0, wait_seconds: float = 2.0
    ) -> None:
        self._gateway = gateway
        self._fresh_seconds = fresh_seconds
        self._wait_seconds = wait_seconds
        self._known: list[PersonaCard] = []
        self._read_at: float | None = None
        self._reading: asyncio.Task[None] | None = None
        self._failure: PersonaeError | None = None

    async def cards(self, *, wait_seconds: float | None = None) -> list[PersonaCard]:
        """The last known ones where the gateway does not answer.

        Args:
            wait_seconds: how long to wait for it where none are known; None: as for a fresh list.

        Raises:
            PersonaeError: it does not, and none are known from before.
        """
        if self._read_at is None or time.monotonic() - self._read_at > self._fresh_seconds:
            if self._reading is None or self._reading.done():
                self._reading = asyncio.create_task(self._read(), name="read-personas")
            waits = self._wait_seconds
            if self._read_at is None and wait_seconds is not None:
                waits = wait_seconds
            await asyncio.wait({self._reading}, timeout=waits)
        if self._read_at is None:
            raise self._failure or GatewayUnreachable(
                "The personae gateway does not answer at the moment.", retry_after_seconds=20
            )
        return self._known

    def forget(self) -> None:
        """Read anew next time: somebody has just changed something."""
        if self._read_at is not None:
            self._read_at = -self._fresh_seconds

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})

    async def _read(self) -> None:
        try:
            self._known = (await self._gateway.personas()).personas
        except PersonaeError as err:
            if self._failure is None:
                log.warning("the list of personas can't be read: %s", err.code)
            self._failure = err
        else:
            self._read_at = time.monotonic()
            self._failure = None


def find(cards: Sequence[PersonaCard], typed: str) -> PersonaCard | None:
    """The persona of this id or display name, or the only one with this word or beginning in its name."""
    sought = " ".join(typed.split()).casefold()
    if not sought:
        return None
    for card in cards:
        if sought in (card.id.casefold(), card.display_name.casefold()):
            return card
    meant = [card for card in cards if any(word.startswith(sought) for word in _words(card))]
    return meant[0] if len(meant) == 1 else None


def near(cards: Sequence[PersonaCard], typed: str) -> PersonaCard | None:
    """The one that somebody may have meant who mistyped."""
    names = {word: card for card in cards for word in _words(card)}
    found = difflib.get_close_matches(typed.strip().casefold()[:100], names, n=1, cutoff=0.6)
    return names[found[0]] if found else None


def suggest(cards: Sequence[PersonaCard], typed: str) -> list[PersonaCard]:
    """Those whose id or name holds what was typed; those that begin with it first."""
    sought = typed.strip().casefold()

    def rank(card: PersonaCard) -> int | None:
        words = _words(card)
        if any(word.startswith(sought) for word in words):
            return 0
        return 1 if any(sought in word for word in words) else None

    ranked = [(place, card) for card in cards if (place := rank(card)) is not None]
    return [card for _, card in sorted(ranked, key=lambda pair: pair[0])]


def names(cards: Sequence[PersonaCard]) -> str:
    return ", ".join(sorted(card.id for card in cards))


def _words(card: PersonaCard) -> list[str]:
    name = card.display_name.casefold()
    return [card.id.casefold(), name, *name.split()]
