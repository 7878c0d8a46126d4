"""The door of one engine: turns, deadlines, what it learns, and what it says to those it refuses."""

from __future__ import annotations

import asyncio

import pytest

from personae.errors import Busy, EngineUnavailable
from serving.admission import Admission, AdmissionLimits, Effort, Ticket, _Line


def door(at_once: int = 1, *, waiting: int = 100, seconds: float = 60.0) -> Admission:
    return Admission(
        AdmissionLimits(
            at_once=at_once, waiting=waiting, first_token_seconds=seconds, min_tokens_per_second=4.0
        )
    )


async def test_slots_are_granted_at_once_and_then_there_is_a_line():
    admission = door(2)
    tickets = [admission.enter("lincoln", 10) for _ in range(4)]
    assert [ticket.granted for ticket in tickets] == [True, True, False, False]
    assert [ticket.position for ticket in tickets[2:]] == [1, 2]
    assert tickets[3].eta_seconds > tickets[2].eta_seconds > 0
    tickets[0].leave()
    assert tickets[2].granted and tickets[3].position == 1
    assert (admission.running, admission.waiting) == (2, 1)


async def test_personas_take_turns_and_positions_say_so():
    """A hundred people for one persona do not make the first for another wait for them all."""
    admission = door(1)
    running = admission.enter("lincoln", 1)
    many = [admission.enter("lincoln", 1) for _ in range(5)]
    other = [admission.enter("roosevelt", 1) for _ in range(2)]
    assert [ticket.position for ticket in many] == [1, 3, 5, 6, 7]
    assert [ticket.position for ticket in other] == [2, 4]
    served: list[Ticket] = []
    line = [*many, *other]
    while line:
        running.leave()
        [running] = [ticket for ticket in line if ticket.granted]
        line.remove(running)
        served.append(running)
    assert served == [many[0], other[0], many[1], other[1], *many[2:]]


async def test_a_position_is_the_order_in_which_people_are_really_served():
    admission = door(1)
    running = admission.enter("a", 1)
    names = "aaabacbbcad"
    line = [admission.enter(name, 1) for name in names]
    promised = sorted(line, key=lambda ticket: ticket.position)
    assert sorted(ticket.position for ticket in line) == list(range(1, len(names) + 1))
    for expected in promised:
        running.leave()
        assert expected.granted
        running = expected


async def test_whoever_leaves_the_line_holds_nobody_up():
    admission = door(1)
    running, first, second = (admission.enter("lincoln", 1) for _ in range(3))
    first.leave()
    assert second.position == 1
    running.leave()
    assert second.granted
    for ticket in (running, first, second, second):
        ticket.leave()
    assert (admission.running, admission.waiting) == (0, 0)


async def test_a_full_line_is_refused_with_a_time_to_retry():
    admission = door(1, waiting=2)
    for _ in range(3):
        admission.enter("lincoln", 1)
    with pytest.raises(Busy) as refused:
        admission.enter("lincoln", 1)
    assert refused.value.retry_after_seconds is not None
    assert refused.value.retry_after_seconds >= 1


async def test_a_crowd_that_fills_the_line_does_not_close_it_to_another_persona():
    admission = door(1, waiting=4)
    for _ in range(5):
        admission.enter("lincoln", 1)
    first, second = admission.enter("roosevelt", 1), admission.enter("roosevelt", 1)
    assert (first.position, second.position) == (2, 4)
    for persona in ("lincoln", "roosevelt"):
        with pytest.raises(Busy):
            admission.enter(persona, 1)


async def test_nobody_is_let_into_a_line_that_is_too_long_for_the_deadline():
    admission = door(1, seconds=12.0)  # an answer is taken to last five seconds
    admission.enter("lincoln", 1)
    admission.enter("lincoln", 1)
    admission.enter("lincoln", 1)
    with pytest.raises(Busy):
        admission.enter("lincoln", 1)
    assert not admission.enter("roosevelt", 1).granted, "its turn comes sooner"


async def test_a_turn_that_does_not_come_in_time_is_told_before_the_deadline():
    admission = door(1, seconds=0.4)
    admission.limits = AdmissionLimits(1, 10, 20.0, 4.0)
    admission.enter("lincoln", 1)
    late = admission.enter("lincoln", 1)
    admission.limits = AdmissionLimits(1, 10, 0.4, 4.0)
    with pytest.raises(Busy, match="did not come in time"):
        while not await late.wait(1.0):
            pass
    late.leave()
    assert admission.waiting == 0


async def test_what_the_line_took_is_missing_from_the_time_for_the_first_token():
    admission = door(1, seconds=60.0)
    admission.enter("lincoln", 1).leave()
    running, waiting = admission.enter("lincoln", 1), admission.enter("lincoln", 1)
    assert not await waiting.wait(0.05)
    running.leave()
    assert await waiting.wait(1.0)
    assert 6.0 <= waiting.first_token_seconds < 60.0
    assert waiting.waited_seconds > 0


async def test_tokens_of_those_admitted_fit_the_cache_and_a_large_one_is_not_overtaken():
    admission = door(8)
    admission.cache_tokens = 1000
    small = admission.enter("lincoln", 400)
    large, tiny = admission.enter("lincoln", 700), admission.enter("roosevelt", 10)
    assert small.granted and not large.granted and not tiny.granted
    small.leave()
    assert large.granted and tiny.granted
    large.leave()
    tiny.leave()
    assert admission.enter("lincoln", 5000).granted, "alone, it is the engine's to judge"


async def test_closing_sends_everybody_away():
    admission = door(1)
    running, waiting = admission.enter("lincoln", 1), admission.enter("lincoln", 1)
    told = asyncio.create_task(waiting.wait(30))
    await asyncio.sleep(0)
    admission.close(lambda: EngineUnavailable("Restarting.", retry_after_seconds=30))
    with pytest.raises(EngineUnavailable):
        await told
    with pytest.raises(EngineUnavailable):
        admission.enter("lincoln", 1)
    waiting.leave()
    running.leave()
    assert admission.running == 0


async def test_effort_falls_as_the_line_grows():
    admission = door(1, seconds=60.0)  # five seconds each
    running = admission.enter("lincoln", 1)
    line = [admission.enter("lincoln", 1) for _ in range(9)]
    assert running.effort is Effort.FULL
    for ticket in [running, *line][:-1]:
        ticket.leave()
    efforts = [ticket.effort for ticket in line]
    assert efforts[0] is Effort.SHORT
    assert efforts[-1] is Effort.FULL
    assert Effort.NO_RERANK in efforts
    assert efforts == sorted(efforts, reverse=True)


def test_the_line_is_a_line():
    line = _Line()
    assert line.at(3) is None
    for _ in range(20):
        for n in (1, 4, 8):
            line.see(n, 0.01 + 0.02 * n)
    assert line.at(2) == pytest.approx(0.05, rel=0.01)
    assert line.at(16) == pytest.approx(0.33, rel=0.01)


def test_what_was_seen_at_one_concurrency_says_nothing_about_more():
    line = _Line()
    for _ in range(20):
        line.see(4, 0.2)
    assert line.at(16) == pytest.approx(0.2)
    assert line.at(2) == pytest.approx(0.1)


def engine_of(admission: Admission, fixed: float, for_each: float) -> None:
    """Let it see answers of an engine whose step takes `fixed + for_each · n` seconds."""
    for _ in range(10):
        for n in (1, 4, 8, 16):
            admission._token_seconds.see(n, fixed + for_each * n)
            admission._first_token_seconds.see(n, 10 * (fixed + for_each * n))
    admission._answer_tokens = 50.0
    for _ in range(200):
        admission._stepped_at = 0.0
        admission._step(1e9)


@pytest.mark.parametrize(
    ("fixed", "for_each", "safe"),
    [
        (0.01, 0.001, 16),  # fast: all that the configuration allows
        (0.05, 0.0199, 10),  # 0.25 s a token, the pace of reading, at 10
        (1.0, 0.0001, 16),  # too slow even for one, and no better with fewer
        (0.01, 0.3, 1),  # every further stream is too much
    ],
)
async def test_the_safe_concurrency_follows_the_engine(fixed, for_each, safe):
    admission = door(16)
    assert admission.slots == 16
    engine_of(admission, fixed, for_each)
    assert admission.slots == safe


async def test_it_comes_back_when_the_engine_is_quick_again():
    admission = door(16)
    engine_of(admission, 0.01, 0.1)
    assert admission.slots < 8
    engine_of(admission, 0.01, 0.001)
    engine_of(admission, 0.01, 0.001)
    assert admission.slots == 16


async def test_it_learns_from_answers_how_long_they_take():
    admission = door(1)
    ticket = admission.enter("lincoln", 1)
    ticket.first_token()
    await asyncio.sleep(0.05)
    ticket.leave(completion_tokens=20)
    assert 0.0 < admission.answer_seconds < 5.0
    assert admission.running == 0
