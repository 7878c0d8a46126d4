"""What becomes of raw measurements: medians, percentiles, and ratios of two that took turns."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed (nearest rank).

    >>> percentile([3.0, 1.0, 2.0], 0.99)
    3.0
    """
    ordered = sorted(values)
    rank = max(1, -int(-share * len(ordered) // 1))  # ceil
    return ordered[min(rank, len(ordered)) - 1]


async def alternately(
    first: Callable[[], Awaitable[float]],
    second: Callable[[], Awaitable[float]],
    rounds: int,
) -> tuple[list[float], list[float]]:
    """Measure two things in turn, the order changing each round: AB, BA, AB, …"""
    ones: list[float] = []
    twos: list[float] = []
    for number in range(rounds):
        if number % 2 == 0:
            ones.append(await first())
            twos.append(await second())
        else:
            twos.append(await second())
            ones.append(await first())
    return ones, twos


def paired_ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """The median of the rounds' own ratios: a slow minute slows both halves of a round.

    >>> paired_ratio([2.0, 20.0, 4.0], [1.0, 10.0, 1.0])
    2.0
    """
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def rounded(values: Sequence[float], digits: int = 4) -> list[float]:
    return [round(value, digits) for value in values]
