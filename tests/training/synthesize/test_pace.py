"""Waits are decided without sleeping: our limits hold in any minute, and the API's are obeyed."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from training.synthesize.pace import Limits, Pace, duration, limits_in


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("requests", "tokens", "at_once"), [(60, 10_000, 4), (7, 1000, 16), (1, 100_000, 1)]
)
def test_no_minute_holds_more_than_the_limits(requests, tokens, at_once):
    clock, chance = Clock(), random.Random(3)
    pace = Pace(
        requests_per_minute=requests, tokens_per_minute=tokens, at_once=at_once, clock=clock
    )
    sent: list[tuple[float, int]] = []
    for _ in range(300):
        size = chance.randint(50, 300)
        sent.append((clock.now + pace.take(size), size))
        clock.now = max(clock.now, sent[-1][0] - chance.random() * 3)
    assert sent[-1][0] > 300
    for at, _size in sent:
        minute = [size for other, size in sent if at <= other < at + 60]
        assert len(minute) <= requests + 1e-9
        assert sum(minute) <= tokens + 1e-6


def test_what_a_request_did_not_use_is_given_back():
    clock = Clock()
    pace = Pace(requests_per_minute=60_000, tokens_per_minute=60_000, at_once=4, clock=clock)
    assert pace.take(6000) == 0
    pace.correct(6000, 100)
    assert pace.take(5000) == 0
    assert pace.take(1800) == pytest.approx(1.0)


def test_a_pause_holds_everybody_up():
    clock = Clock()
    pace = Pace(requests_per_minute=600, tokens_per_minute=60_000, at_once=4, clock=clock)
    pace.pause(5)
    pace.pause(2)
    assert pace.take(1) == 5
    clock.now += 4
    assert pace.pause_left == 1
    clock.now += 4
    assert pace.take(1) == 0


@pytest.mark.parametrize(
    ("headers", "limits"),
    [
        ({"Retry-After": "7"}, Limits(7, None)),
        ({"retry-after": "0.25"}, Limits(0.25, None)),
        ({"retry-after-ms": "1500", "retry-after": "2"}, Limits(1.5, None)),
        ({"Retry-After": "Sat, 21 Nov 2026 12:00:30 GMT"}, Limits(30, None)),
        ({"Retry-After": "Sat, 21 Nov 2026 11:00:00 GMT"}, Limits(0, None)),
        ({"Retry-After": "soon"}, Limits(None, None)),
        (
            {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m2.5s"},
            Limits(None, 62.5),
        ),
        (
            {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "200ms"},
            Limits(None, 0.2),
        ),
        (
            {"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "9s"},
            Limits(None, None),
        ),
        ({}, Limits(None, None)),
    ],
)
def test_headers_of_limits(headers, limits):
    assert limits_in(headers, datetime(2026, 11, 21, 12, tzinfo=UTC)) == limits


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2", 2),
        ("6m0s", 360),
        ("1h2m", 3720),
        ("20ms", 0.02),
        ("soon", None),
        ("1x", None),
        ("", None),
    ],
)
def test_durations(text, seconds):
    assert duration(text) == seconds
