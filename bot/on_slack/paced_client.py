"""A Web API client of one workspace that keeps Slack's rates, and gets itself a new token when one dies.

Slack counts calls by method and workspace (posts also by channel) and answers 429 with `Retry-After`
beyond its rate. Here callers stand in line per count, first come, first served, and when Slack says wait,
all of them wait. A method of `AT_ONCE` never waits: it fails with `ratelimited`, and the caller does
something else. Rates: https://docs.slack.dev/apis/web-api/rate-limits; they are kept with some room,
since Slack counts by its own minute.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

log = logging.getLogger(__name__)

Rates = Mapping[str, tuple[float, float]]
"""Method → (calls at once, seconds until there is one more)."""

_TIER_2, _TIER_3, _TIER_4 = (8.0, 60 / 11), (12.0, 60 / 36), (20.0, 60 / 75)
RATES: Rates = {
    "chat.postMessage": (1.0, 1.05),
    "chat.postEphemeral": _TIER_4,
    "chat.update": _TIER_3,
    "chat.delete": _TIER_3,
    "chat.startStream": _TIER_2,
    "chat.appendStream": _TIER_4,
    "chat.stopStream": _TIER_2,
    "views.open": _TIER_4,
    "views.update": _TIER_4,
    "views.publish": _TIER_4,
    "users.info": _TIER_4,
    "assistant.threads.setStatus": _TIER_4,
    "assistant.threads.setSuggestedPrompts": _TIER_4,
    "agents.sessions.setStatus": _TIER_3,
}
AT_ONCE = frozenset({"chat.startStream", "views.open"})
"""Not worth anything later: a trigger_id dies within three seconds, and a post does for a stream."""

_RETRIES = 6
_CHANNELS_KEPT = 2_000
_DEAD_TOKEN = frozenset({"token_expired", "invalid_auth", "token_revoked", "not_authed"})


def faster(rates: Rates, times: float) -> Rates:
    """The same rates for a Slack whose clock runs so many times faster."""
    return {method: (burst, seconds / times) for method, (burst, seconds) in rates.items()}


class Turns:
    """Callers of one count, one after the other. `seconds`: between two calls once `burst` are used up."""

    def __init__(self, burst: float, seconds: float) -> None:
        self._burst, self._seconds = burst, seconds
        self._left, self._at = burst, time.monotonic()
        self._until = 0.0
        self._waiting = 0
        self._line = asyncio.Lock()

    def wait_seconds(self) -> float:
        """How long a caller who comes now would wait, about."""
        now = time.monotonic()
        left = min(self._burst, self._left + (now - self._at) / self._seconds) - self._waiting
        return max(self._until - now, 0.0, (1.0 - left) * self._seconds if left < 1.0 else 0.0)

    def hold(self, seconds: float) -> None:
        """Nobody goes on for so long."""
        self._until = max(self._until, time.monotonic() + seconds)

    async def take(self) -> None:
        self._waiting += 1
        try:
            async with self._line:
                while True:
                    wait = self._pause()
                    if not wait:
                        break
                    await asyncio.sleep(wait)
                self._left -= 1.0
        finally:
            self._waiting -= 1

    @property
    def idle(self) -> bool:
        return not self._waiting and self.wait_seconds() == 0.0

    def _pause(self) -> float:
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) / self._seconds)
        self._at = now
        if self._until > now:
            return self._until - now
        return 0.0 if self._left >= 1.0 else (1.0 - self._left) * self._seconds


class PacedClient(AsyncWebClient):
    """Slack's Web API for one workspace.

    Args:
        renew: gives a token in the place of one that Slack no longer takes; None where there is none.
    """

    def __init__(
        self,
        *args: Any,
        rates: Rates = RATES,
        renew: Callable[[str], Awaitable[str | None]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._rates = rates
        self._renew = renew
        self._turns: OrderedDict[tuple[str, str], Turns] = OrderedDict()

    def busy(self, method: str, channel: str = "") -> float:
        """Seconds that a call of the method would wait now."""
        key = _key(method, channel)
        return self._turns[key].wait_seconds() if key in self._turns else 0.0

    async def api_call(self, api_method: str, **kwargs: Any) -> AsyncSlackResponse:
        """As the SDK's, in its turn.

        Raises:
            SlackApiError: as the SDK's; `ratelimited` of a method that is not worth waiting for.
        """
        if auth := kwargs.pop("auth", None):
            # The SDK would use aiohttp's BasicAuth, which is on its way out.
            basic = aiohttp.encode_basic_auth(auth["client_id"], auth["client_secret"])
            kwargs["headers"] = {**(kwargs.get("headers") or {}), "Authorization": basic}
        given = kwargs.get("json") or kwargs.get("params") or {}
        turns = self._turns_of(_key(api_method, str(given.get("channel", ""))))
        renewed = False
        for attempt in range(1, _RETRIES + 1):
            if turns is not None:
                if api_method in AT_ONCE and turns.wait_seconds():
                    raise SlackApiError(
                        "not now", {"ok": False, "error": "ratelimited", "method": api_method}
                    )
                await turns.take()
            try:
                return await super().api_call(api_method, **kwargs)
            except SlackApiError as err:
                code = err.response.get("error") if err.response is not None else None
                if code in _DEAD_TOKEN and not renewed and await self._has_new_token():
                    renewed = True
                elif code != "ratelimited" or attempt == _RETRIES:
                    raise
                else:
                    seconds = _retry_after(err)
                    log.warning("%s: Slack says wait %.0f s", api_method, seconds)
                    if turns is None:
                        await asyncio.sleep(seconds)
                    else:
                        turns.hold(seconds)
        raise AssertionError("unreachable")

    async def _has_new_token(self) -> bool:
        if self._renew is None or self.token is None:
            return False
        token = await self._renew(self.token)
        if token is None:
            return False
        self.token = token
        return True

    def _turns_of(self, key: tuple[str, str]) -> Turns | None:
        if key[0] not in self._rates:
            return None
        if key not in self._turns:
            self._turns[key] = Turns(*self._rates[key[0]])
            if len(self._turns) > _CHANNELS_KEPT:
                for old in [old for old, turns in self._turns.items() if turns.idle][:100]:
                    del self._turns[old]
        return self._turns[key]


def _key(method: str, channel: str) -> tuple[str, str]:
    return method, channel if method == "chat.postMessage" else ""


def _retry_after(error: SlackApiError) -> float:
    headers = getattr(error.response, "headers", None) or {}
    value = headers.get("Retry-After") or headers.get("retry-after") or "1"
    try:
        return min(float(value), 120.0)
    except ValueError:
        return 1.0
