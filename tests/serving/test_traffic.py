"""What a gateway remembers of its answers: minutes, counted by a clock that the test turns."""

from __future__ import annotations

from serving.traffic import MOST_MINUTES, Traffic, percentile

NOON = 1_700_000_040.0


class Clock:
    def __init__(self) -> None:
        self.seconds = NOON

    def __call__(self) -> float:
        return self.seconds


def answered(traffic: Traffic, outcome: str = "stop", *, first: float | None = 0.5) -> None:
    traffic.answered("lincoln", "ask", outcome, seconds=2.0, first_token_seconds=first, tokens=60)


def test_minutes_are_told_one_by_one_the_empty_ones_too():
    clock = Clock()
    traffic = Traffic(clock=clock)
    answered(traffic)
    answered(traffic, "busy", first=None)
    answered(traffic, "deadline_exceeded", first=None)
    answered(traffic, "abstained", first=None)
    traffic.waiting(3)
    traffic.waiting(1)
    clock.seconds += 120
    answered(traffic)
    first, empty, last = traffic.buckets(3)
    assert first.at == "2023-11-14T22:14:00+00:00"
    assert (first.requests, first.refused, first.errors, first.queue) == (4, 1, 1, 3)
    assert (first.first_token_p50, first.total_p95, first.tokens) == (0.5, 2.0, 240)
    assert (empty.requests, empty.first_token_p50, empty.queue) == (0, None, 0)
    assert last.requests == 1
    assert [(row.outcome, row.count) for row in traffic.by_persona(3)] == [
        ("abstained", 1),
        ("busy", 1),
        ("deadline_exceeded", 1),
        ("stop", 2),
    ]
    assert [row.count for row in traffic.by_persona(2)] == [1]


def test_the_rate_is_that_of_the_last_whole_minute():
    clock = Clock()
    traffic = Traffic(clock=clock)
    answered(traffic)
    assert traffic.totals(60, waiting=0, in_engine=0).tokens_per_second == 0.0
    clock.seconds += 60
    answered(traffic)
    totals = traffic.totals(60, waiting=2, in_engine=1)
    assert totals.tokens_per_second == 1.0
    assert (totals.requests, totals.tokens, totals.waiting, totals.in_engine) == (2, 120, 2, 1)


def test_no_more_than_a_day_is_remembered():
    clock = Clock()
    traffic = Traffic(clock=clock)
    for _ in range(MOST_MINUTES + 100):
        answered(traffic)
        clock.seconds += 60
    assert len(traffic._minutes) == MOST_MINUTES
    for _ in range(2000):
        answered(traffic)
    assert len(traffic._now().total) == 500
    assert traffic._now().requests == 2000


def test_percentiles_are_values_that_were_seen():
    assert percentile([], 0.5) is None
    assert percentile([1.0], 0.95) == 1.0
    hundred = [float(number) for number in range(1, 101)]
    assert (percentile(hundred, 0.5), percentile(hundred, 0.95)) == (50.0, 95.0)
