"""The personas a person may choose from while typing a command.

Discord asks at every keystroke and wants an answer within three seconds, so the list is kept for a
few seconds, read again by one task at a time, and the last known list serves while the gateway is
slow or away. Nothing here raises.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from discord import app_commands

from bot.core.gateway_client import GatewayClient
from personae.errors import PersonaeError
from personae.wire import PersonaCard

log = logging.getLogger(__name__)

_MOST_CHOICES = 25
_NAME_CHARACTERS = 100


def choices(personas: Sequence[PersonaCard], typed: str) -> list[app_commands.Choice[str]]:
    """Personas whose id or display name holds what was typed; those that begin with it first."""
    sought = typed.strip().casefold()

    def rank(card: PersonaCard) -> int | None:
        names = (card.id.casefold(), card.display_name.casefold())
        words = [word for name in names for word in (name, *name.split())]
        if any(word.startswith(sought) for word in words):
            return 0
        return 1 if any(sought in name for name in (*names, _name(card).casefold())) else None

    ranked = [(place, card) for card in personas if (place := rank(card)) is not None]
    ranked.sort(key=lambda pair: pair[0])
    return [
        app_commands.Choice(name=_name(card), value=card.id) for _, card in ranked[:_MOST_CHOICES]
    ]


def _name(card: PersonaCard) -> str:
    ending = f" ({card.id})"
    room = _NAME_CHARACTERS - len(ending)
    shown = card.display_name
    if len(shown) > room:
        shown = shown[: room - 1].rstrip() + "…"
    return shown + ending


class PersonaDirectory:
    """The gateway's personas, at most `fresh_seconds` old while it answers within `wait_seconds`."""

    def __init__(
        self, gateway: GatewayClient, *, fresh_seconds: float = 5.0, wait_seconds: float = 1.0
    ) -> None:
        self._gateway = gateway
        self._fresh_seconds = fresh_seconds
        self._wait_seconds = wait_seconds
        self._known: Sequence[PersonaCard] = ()
        self._read_at: float | None = None
        self._reading: asyncio.Task[None] | None = None
        self._answers = True

    async def personas(self) -> Sequence[PersonaCard]:
        if self._read_at is None or time.monotonic() - self._read_at > self._fresh_seconds:
            if self._reading is None or self._reading.done():
                self._reading = asyncio.create_task(self._read(), name="read-personas")
            await asyncio.wait({self._reading}, timeout=self._wait_seconds)
        return self._known

    async def aclose(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})

    async def _read(self) -> None:
        try:
            self._known = (await self._gateway.personas()).personas
        except PersonaeError as err:
            if self._answers:
                log.warning("the list of personas can't be read: %s", err)
            self._answers = False
        else:
            self._read_at = time.monotonic()
            self._answers = True
