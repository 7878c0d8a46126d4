"""What this process remembers of its answers: a day of minutes, for the console's page of traffic.

In: answers as they end, the line as it grows. Out: figures of the last minutes. No person and no text is in
there, and nothing of it is kept on disk: for longer memories there is `/metrics` and Prometheus.
"""

from __future__ import annotations

import math
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from personae.console_wire import TrafficCount, TrafficMinute, TrafficTotals
from personae.errors import Busy, EngineUnavailable, GatewayRestarting

MOST_MINUTES = 24 * 60
_MOST_SECONDS_KEPT = 500
"""Durations of one minute that percentiles are taken of; of more, the newest."""
_REFUSALS = frozenset({Busy.code, EngineUnavailable.code, GatewayRestarting.code})
_ANSWERED = frozenset({"stop", "length", "quoted", "abstained", "cancelled"})

Task = Literal["ask", "rewrite"]


def _newest() -> deque[float]:
    return deque(maxlen=_MOST_SECONDS_KEPT)


@dataclass
class Minute:
    """What ended in one minute."""

    counts: Counter[tuple[str, Task, str]] = field(default_factory=Counter)
    """By persona, task and outcome."""
    first_token: deque[float] = field(default_factory=_newest)
    total: deque[float] = field(default_factory=_newest)
    queue: int = 0
    tokens: int = 0

    @property
    def requests(self) -> int:
        return self.counts.total()

    @property
    def refused(self) -> int:
        return sum(number for key, number in self.counts.items() if key[2] in _REFUSALS)

    @property
    def errors(self) -> int:
        answered = sum(number for key, number in self.counts.items() if key[2] in _ANSWERED)
        return self.requests - answered - self.refused


class Traffic:
    """
    Args:
        clock: seconds since the epoch.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._minutes: OrderedDict[int, Minute] = OrderedDict()
        """By minutes since the epoch; those in which nothing happened are left out."""
        self.since = clock()

    def answered(
        self,
        persona: str,
        task: Task,
        outcome: str,
        *,
        seconds: float,
        first_token_seconds: float | None,
        tokens: int,
    ) -> None:
        """An answer has ended. Durations count of those that a model began to write."""
        minute = self._now()
        minute.counts[persona, task, outcome] += 1
        minute.tokens += tokens
        if first_token_seconds is not None:
            minute.first_token.append(first_token_seconds)
            minute.total.append(seconds)

    def waiting(self, people: int) -> None:
        """So many stand in line now."""
        minute = self._now()
        minute.queue = max(minute.queue, people)

    def buckets(self, minutes: int) -> list[TrafficMinute]:
        """The last minutes, the one under way included; the oldest first, empty ones too."""
        return [self._shown(number) for number in self._numbers(minutes)]

    def by_persona(self, minutes: int) -> list[TrafficCount]:
        counts: Counter[tuple[str, Task, str]] = Counter()
        for minute in self._kept(minutes):
            counts.update(minute.counts)
        return [
            TrafficCount(persona=persona, task=task, outcome=outcome, count=count)
            for (persona, task, outcome), count in sorted(counts.items())
        ]

    def totals(self, minutes: int, *, waiting: int, in_engine: int) -> TrafficTotals:
        kept = self._kept(minutes)
        first = [seconds for minute in kept for seconds in minute.first_token]
        total = [seconds for minute in kept for seconds in minute.total]
        last_whole = self._minutes.get(self._number() - 1, Minute())
        return TrafficTotals(
            requests=sum(minute.requests for minute in kept),
            errors=sum(minute.errors for minute in kept),
            refused=sum(minute.refused for minute in kept),
            first_token_p50=percentile(first, 0.5),
            first_token_p95=percentile(first, 0.95),
            total_p50=percentile(total, 0.5),
            total_p95=percentile(total, 0.95),
            tokens=sum(minute.tokens for minute in kept),
            tokens_per_second=round(last_whole.tokens / 60, 2),
            waiting=waiting,
            in_engine=in_engine,
        )

    def _number(self) -> int:
        return int(self._clock() // 60)

    def _now(self) -> Minute:
        number = self._number()
        if number not in self._minutes:
            self._minutes[number] = Minute()
            for old in [kept for kept in self._minutes if kept <= number - MOST_MINUTES]:
                del self._minutes[old]
        return self._minutes[number]

    def _numbers(self, minutes: int) -> range:
        now = self._number()
        return range(now - minutes + 1, now + 1)

    def _kept(self, minutes: int) -> list[Minute]:
        return [self._minutes[n] for n in self._numbers(minutes) if n in self._minutes]

    def _shown(self, number: int) -> TrafficMinute:
        minute = self._minutes.get(number, Minute())
        return TrafficMinute(
            at=iso(number * 60),
            requests=minute.requests,
            errors=minute.errors,
            refused=minute.refused,
            first_token_p50=percentile(minute.first_token, 0.5),
            first_token_p95=percentile(minute.first_token, 0.95),
            total_p50=percentile(minute.total, 0.5),
            total_p95=percentile(minute.total, 0.95),
            queue=minute.queue,
            tokens=minute.tokens,
        )


def percentile(values: Iterable[float], share: float) -> float | None:
    """The smallest value that is not below this share of them; None without any.

    >>> percentile([4.0, 1.0, 3.0, 2.0], 0.5)
    2.0
    """
    ordered: Sequence[float] = sorted(values)
    if not ordered:
        return None
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 3)


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
