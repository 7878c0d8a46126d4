"""Discord's rate limits: windows by route, headers, and whether a bot heeds them."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass
class Verdict:
    taken: bool
    headers: dict[str, str]
    retry_after: float


class RateLimits:
    """Windows by route: `limit` requests in `seconds`, counted from the first of them.

    `ignored` counts requests that came although a 429 had told to wait. What was on its way
    when the 429 was said is not one of them: the first `UNDERWAY_SECONDS` are let pass.
    """

    UNDERWAY_SECONDS = 0.5

    def __init__(self) -> None:
        self._windows: dict[str, tuple[float, int]] = {}
        self._told: dict[str, float] = {}
        self.ignored: list[str] = []

    def take(self, bucket: str, limit: int, seconds: float) -> Verdict:
        now = time.monotonic()
        ends, used = self._windows.get(bucket, (0.0, 0))
        if now >= ends:
            ends, used = now + seconds, 0
        taken = used < limit
        told = self._told.get(bucket)
        if not taken and told is not None and now - told > self.UNDERWAY_SECONDS:
            self.ignored.append(bucket)
        if taken:
            self._told.pop(bucket, None)
        else:
            self._told.setdefault(bucket, now)
        used += taken
        self._windows[bucket] = (ends, used)
        left = ends - now
        headers = {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(limit - used),
            "X-RateLimit-Reset": f"{time.time() + left:.3f}",
            "X-RateLimit-Reset-After": f"{left:.3f}",
            "X-RateLimit-Bucket": f"{abs(hash(bucket)):032x}",
        }
        if not taken:
            headers |= {"Retry-After": str(int(left) + 1), "X-RateLimit-Scope": "user"}
        return Verdict(taken, headers, left)
