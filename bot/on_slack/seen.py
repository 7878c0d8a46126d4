"""Which deliveries were seen already. Slack delivers again when an acknowledgement was late or lost,
and one mention may arrive as two events. Memory only, bounded in number and age."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable


class Seen:
    """A bounded set of keys that are forgotten after a while.

    Slack's last retry comes about five minutes after the first delivery, so an hour is ample.
    """

    def __init__(
        self,
        *,
        capacity: int = 20_000,
        ttl_seconds: float = 3600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._capacity = capacity
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._keys: OrderedDict[Hashable, float] = OrderedDict()  # key → when it was first seen

    def first_time(self, *keys: Hashable) -> bool:
        """True if none of the keys was seen; from now on all of them are."""
        now = self._clock()
        while self._keys and next(iter(self._keys.values())) <= now - self._ttl_seconds:
            self._keys.popitem(last=False)
        known = any(key in self._keys for key in keys)
        for key in keys:
            self._keys.setdefault(key, now)
        while len(self._keys) > self._capacity:
            self._keys.popitem(last=False)
        return not known

    def __len__(self) -> int:
        return len(self._keys)
