"""How fast requests may go: our own limits, and what the API says of its own.

In: the clock, what is about to be sent, the headers of replies. Out: how long to wait. No HTTP, no sleeping.
"""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Bucket:
    """At most `per_minute` in any minute, `burst` of them at once (the generic cell rate algorithm).

    It keeps one number: when it will be full again. Who comes later waits behind who came first.
    """

    def __init__(self, per_minute: float, burst: float, now: float) -> None:
        # What a minute lets through is the burst and what trickles in: together no more than the limit.
        self._per_second = max(per_minute - burst, per_minute / 2) / 60
        self._burst_seconds = burst / self._per_second
        self._full_at = now

    def earliest(self, amount: float) -> float:
        """When so much may be taken."""
        return self._full_at + amount / self._per_second - self._burst_seconds

    def take(self, amount: float, at: float) -> None:
        self._full_at = max(self._full_at, at) + amount / self._per_second

    def give_back(self, amount: float) -> None:
        """Part of what was taken was not needed (negative: more was)."""
        self._full_at -= amount / self._per_second


class Pace:
    """Requests and tokens per minute together, and pauses the API asks for."""

    def __init__(
        self,
        *,
        requests_per_minute: int,
        tokens_per_minute: int,
        at_once: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        now = clock()
        self._requests = Bucket(
            requests_per_minute, max(1.0, min(at_once, requests_per_minute / 10)), now
        )
        self._tokens = Bucket(tokens_per_minute, tokens_per_minute / 10, now)
        self._paused_until = now

    def take(self, tokens: int) -> float:
        """Seconds to wait before sending a request of so many tokens."""
        now = self._clock()
        at = max(now, self._paused_until, self._requests.earliest(1), self._tokens.earliest(tokens))
        # Both count from when it is sent: else what waits for tokens would let requests gather.
        self._requests.take(1, at)
        self._tokens.take(tokens, at)
        return at - now

    @property
    def pause_left(self) -> float:
        return max(0.0, self._paused_until - self._clock())

    def correct(self, taken: int, used: int) -> None:
        """The tokens of a request, now that they are known."""
        self._tokens.give_back(taken - used)

    def pause(self, seconds: float) -> None:
        """Nothing is sent for so long: the API asked for it."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)


@dataclass(frozen=True)
class Limits:
    """What a reply's headers say."""

    retry_after_seconds: float | None
    exhausted_seconds: float | None
    """How long until an allowance that is used up is there again."""


def limits_in(headers: Mapping[str, str], now: datetime | None = None) -> Limits:
    """`retry-after(-ms)` and `x-ratelimit-remaining-…`/`-reset-…`, as OpenAI and its imitators send them."""
    low = {name.lower(): value.strip() for name, value in headers.items()}
    retry = _number(low.get("retry-after-ms"))
    retry = retry / 1000 if retry is not None else _retry_after(low.get("retry-after"), now)
    waits = [
        seconds
        for what in ("requests", "tokens")
        if (left := _number(low.get(f"x-ratelimit-remaining-{what}"))) is not None
        and left <= 0
        and (seconds := duration(low.get(f"x-ratelimit-reset-{what}", ""))) is not None
    ]
    return Limits(retry, max(waits, default=None))


def duration(text: str) -> float | None:
    """
    >>> duration("1m30.5s")
    90.5
    >>> duration("2")
    2.0
    """
    if (plain := _number(text)) is not None:
        return plain
    found = _DURATION.findall(text)
    if not found or "".join(number + unit for number, unit in found) != text:
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in found)


def _retry_after(value: str | None, now: datetime | None) -> float | None:
    if value is None:
        return None
    if (plain := _number(value)) is not None:
        return plain
    try:
        at = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - (now or datetime.now(UTC))).total_seconds())


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else -1.0
    except ValueError:
        return None
    return number if 0 <= number < 1e9 else None
