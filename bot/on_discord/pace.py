"""How fast answers may be edited, read from Discord's own headers.

discord.py waits when a limit is used up, and an answer's last edit would then wait with it. So growing
answers leave the last edits of every window unused: `has_room` says whether one more may be spent.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from types import SimpleNamespace

import aiohttp

_EDITED = re.compile(r"/(channels/[0-9]+|webhooks/[0-9]+/[^/]+)/messages/[^/]+$")
_MOST_KEPT = 5000
_KEPT_BACK = 1
# Discord takes 50 requests a second of a bot; interactions' own answers are not counted, others are.
_ALL_EDITS_A_SECOND = 30.0


class Pace:
    """Limits as Discord last told them."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left: dict[str, tuple[int, float]] = {}
        """By what is edited through: requests left, and when the window ends."""

    def trace(self) -> aiohttp.TraceConfig:
        """For discord.py's session: reads the headers of every reply."""
        config = aiohttp.TraceConfig()
        config.on_request_end.append(self._read)
        return config

    def has_room(self, through: str) -> bool:
        """Whether an edit that may be left out may be made."""
        left, ends = self._left.get(through, (_KEPT_BACK + 1, 0.0))
        return left > _KEPT_BACK or self._clock() >= ends

    def note(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        """Take over what a reply says."""
        found = _EDITED.search(path)
        if method != "PATCH" or found is None:
            return
        try:
            left = int(headers["X-RateLimit-Remaining"])
            ends = self._clock() + float(headers["X-RateLimit-Reset-After"])
        except (KeyError, ValueError):
            return
        if len(self._left) >= _MOST_KEPT:
            now = self._clock()
            self._left = {key: value for key, value in self._left.items() if value[1] > now}
        self._left[found[1]] = (left, ends)

    async def _read(
        self,
        session: aiohttp.ClientSession,
        context: SimpleNamespace,
        params: aiohttp.TraceRequestEndParams,
    ) -> None:
        self.note(params.method, params.url.path, params.response.headers)


def edit_seconds(base: float, running: Callable[[], int]) -> Callable[[], float]:
    """The pace of one answer, slower while many are answered: all of them share the bot's own limit."""
    return lambda: max(base, running() / _ALL_EDITS_A_SECOND)
