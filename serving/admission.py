"""Who may use the engine now, who waits in line, and who is told to come back.

One `Admission` an engine. In: a persona and the tokens its answer may need. Out: a `Ticket`, granted
at once or in turn, or a `Busy` that says when to return. It holds no text and knows no person.

    slots     the smallest of what the configuration allows, what the engine holds in one batch, and
              the measured safe concurrency: the largest at which an answer still begins within half
              the deadline and runs no slower than people read
    tokens    prompt and answer of everybody admitted fit the engine's KV cache, if its size is known
    line      personas take turns; within a persona, first come, first served
    deadline  nobody is let into the line whose wait and first token are predicted to overrun it, and
              nobody is kept there once they can't make it any more

Predictions come from the answers themselves (`_Line`): there is nothing to calibrate by hand.
"""

from __future__ import annotations

import asyncio
import enum
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from personae.errors import Busy, PersonaeError

_ASSUMED_ANSWER_SECONDS = 5.0
"""How long an answer takes, before any was seen."""
_FEWEST_TOKENS = 8
"""Shorter answers say nothing about speed."""
_LONGEST_RETRY_SECONDS = 600.0
_LEAST_SHARE = 0.1
"""Of the deadline: what is kept for the engine, whatever the line took."""


class Effort(enum.IntEnum):
    """How much work an answer may be, by how long the others would have to wait for it."""

    FULL = 0
    NO_RERANK = 1
    """Search without the second, costly look at the passages."""
    SHORT = 2
    """Fewer passages and a shorter answer too."""


@dataclass(frozen=True)
class AdmissionLimits:
    """What the operator sets.

    Attributes:
        at_once: answers in the engine at a time, at most.
        waiting: people in line, at most; a persona with less than its share of them may go over.
        first_token_seconds: from arrival to the first word, the line included.
        min_tokens_per_second: what a stream should get at least; people read about five words a
            second at most.
    """

    at_once: int
    waiting: int
    first_token_seconds: float
    min_tokens_per_second: float


class _Line:
    """A quantity as a straight line over the concurrency, fitted to what was seen; old sights fade.

    A batch's step costs a fixed part and a part for each sequence, so a line fits well, and it
    says something about concurrencies that were not tried yet, which an average for each would not.
    """

    _FADE = 0.97

    def __init__(self) -> None:
        self._w = self._n = self._y = self._nn = self._ny = 0.0

    def see(self, n: float, y: float) -> None:
        for name, value in (("_w", 1.0), ("_n", n), ("_y", y), ("_nn", n * n), ("_ny", n * y)):
            setattr(self, name, getattr(self, name) * self._FADE + value)

    def at(self, n: float) -> float | None:
        """The value at a concurrency; None before anything was seen."""
        if self._w == 0.0:
            return None
        mean_n, mean_y = self._n / self._w, self._y / self._w
        spread = self._nn / self._w - mean_n * mean_n
        if spread < 0.05 * mean_n:
            # Seen at one concurrency only: fewer at once may help, more is tried until it hurts.
            return mean_y * min(1.0, n / mean_n)
        slope = max(0.0, (self._ny / self._w - mean_n * mean_y) / spread)
        return max(mean_y + slope * (n - mean_n), 0.05 * mean_y)


class Ticket:
    """One answer's place: in line, then in the engine, until `leave`."""

    def __init__(self, admission: Admission, persona: str, tokens: int, now: float) -> None:
        self.persona = persona
        self.tokens = tokens
        self.arrived = now
        self.effort = Effort.FULL
        self.waited_seconds = 0.0
        self._admission = admission
        self._turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._granted_at: float | None = None
        self._first_token_at: float | None = None
        self._area = 0.0
        self._predicted_wait = 0.0

    @property
    def granted(self) -> bool:
        return self._granted_at is not None

    @property
    def position(self) -> int:
        """Place in line, the first being 1."""
        return self._admission._position(self)

    @property
    def eta_seconds(self) -> float:
        """Predicted seconds until it is this ticket's turn."""
        return self._admission._wait_at(self.position)

    @property
    def first_token_seconds(self) -> float:
        """What is left of the deadline for the engine's first token."""
        limit = self._admission.limits.first_token_seconds
        return max(limit - (time.monotonic() - self.arrived), _LEAST_SHARE * limit)

    async def wait(self, seconds: float) -> bool:
        """Wait up to so long for the turn; whether it has come.

        Raises:
            Busy: the deadline can't be kept any more.
            PersonaeError: the line was closed.
        """
        left = self._admission._seconds_left(self)
        if not self._turn.done() and left > 0:
            await asyncio.wait({self._turn}, timeout=min(seconds, left))
        if self._turn.done():
            self._turn.result()
            return True
        if self._admission._seconds_left(self) <= 0:
            raise self._admission._too_late(self)
        return False

    def first_token(self) -> None:
        """The engine's first token has come."""
        self._admission._began(self)

    def leave(self, *, completion_tokens: int = 0) -> None:
        """Give the place back; in line or in the engine, and any number of times."""
        self._admission._leave(self, completion_tokens)


class Admission:
    """The door of one engine."""

    def __init__(self, limits: AdmissionLimits) -> None:
        self.limits = limits
        self.cache_tokens: int | None = None
        """Tokens the engine's KV cache holds; None when it does not say."""
        self.safe = limits.at_once
        """The measured safe concurrency."""
        self._in_engine: dict[Ticket, None] = {}
        """Longest there first."""
        self._tokens = 0
        self._lines: dict[str, deque[Ticket]] = {}
        self._turns: deque[str] = deque()
        """Personas with somebody in line; the next to be served first."""
        self._closed: Callable[[], PersonaeError] | None = None
        self._token_seconds = _Line()
        self._first_token_seconds = _Line()
        self._answer_tokens = 0.0
        self._answers_seen = 0
        self._bias = 1.0
        """How much longer people really waited than was predicted."""
        self._stepped_at = 0.0
        self._area = 0.0
        self._area_at = time.monotonic()
        """∫ running dt, for the mean concurrency of any stretch of time."""

    # -- coming and going --------------------------------------------------------------------------

    def enter(self, persona: str, tokens: int) -> Ticket:
        """A ticket, granted already or in line.

        Raises:
            Busy: the line is full, or too long for the deadline.
            PersonaeError: the door is closed, and this is why.
        """
        if self._closed is not None:
            raise self._closed()
        ticket = Ticket(self, persona, tokens, time.monotonic())
        if not self._turns and self._fits(ticket):
            self._start(ticket)
            return ticket
        wait = self._wait_at(self._position_of(persona, self.waiting_for(persona)))
        if self._full_for(persona) or wait > self._longest_wait:
            raise Busy(
                "Too many people are asking at the moment.", retry_after_seconds=self.retry_seconds
            )
        ticket._predicted_wait = wait
        if persona not in self._lines:
            self._lines[persona] = deque()
            self._turns.append(persona)
        self._lines[persona].append(ticket)
        return ticket

    def close(self, reason: Callable[[], PersonaeError]) -> None:
        """Let nobody in any more, and send those in line away with the same reason."""
        self._closed = reason
        for line in self._lines.values():
            for ticket in line:
                ticket._turn.set_exception(reason())
                ticket._turn.exception()  # told to whoever still waits; nobody else has to hear it
        self._lines.clear()
        self._turns.clear()

    # -- what can be known about it ----------------------------------------------------------------

    @property
    def running(self) -> int:
        """Answers in the engine."""
        return len(self._in_engine)

    @property
    def waiting(self) -> int:
        """Everybody in line."""
        return sum(len(line) for line in self._lines.values())

    def waiting_for(self, persona: str) -> int:
        return len(self._lines.get(persona, ()))

    @property
    def slots(self) -> int:
        """Answers that may be in the engine now."""
        return min(self.limits.at_once, self.safe)

    @property
    def answer_seconds(self) -> float:
        """How long an answer takes in the engine when all slots are taken."""
        token = self._token_seconds.at(self.slots)
        if token is None:
            oldest = next(iter(self._in_engine), None)
            age = time.monotonic() - oldest._granted_at if oldest and oldest._granted_at else 0.0
            return max(_ASSUMED_ANSWER_SECONDS, age)
        return self.first_token_now + self._answer_tokens * token

    @property
    def first_token_now(self) -> float:
        """From the engine's slot to the first token, when all slots are taken."""
        return self._first_token_seconds.at(self.slots) or 0.0

    @property
    def retry_seconds(self) -> float:
        """When one more would probably be let in, with some luck mixed in: no herd comes back."""
        over = self._wait_at(self.waiting + 1) - self._longest_wait
        soonest = max(1.0, self.answer_seconds / self.slots, over)
        return min(soonest * random.uniform(1.0, 1.3), _LONGEST_RETRY_SECONDS)  # noqa: S311

    @property
    def effort(self) -> Effort:
        """How much work the next answer may be, by how long a newcomer would have to wait."""
        if not self._turns:
            return Effort.FULL
        newcomer = self._wait_at(self.waiting + 1) + self.first_token_now
        share = newcomer / self.limits.first_token_seconds
        if share > 0.5:
            return Effort.SHORT
        return Effort.NO_RERANK if share > 0.2 else Effort.FULL

    # -- the line ----------------------------------------------------------------------------------

    def _fits(self, ticket: Ticket) -> bool:
        if self.running >= self.slots:
            return False
        # One that is too large for the cache alone is the engine's to refuse or to serve.
        fits = self.cache_tokens is None or self._tokens + ticket.tokens <= self.cache_tokens
        return fits or self.running == 0

    def _full_for(self, persona: str) -> bool:
        """A full line still has room for a persona that holds less than its share of it."""
        personas = len(self._turns) + (persona not in self._lines)
        share = self.limits.waiting // personas
        return self.waiting >= self.limits.waiting and self.waiting_for(persona) >= share

    def _start(self, ticket: Ticket) -> None:
        now = self._integrate()
        self._in_engine[ticket] = None
        self._tokens += ticket.tokens
        ticket.effort = self.effort
        ticket.waited_seconds = now - ticket.arrived
        ticket._granted_at = now
        ticket._area = self._area
        self._learn_wait(ticket)
        ticket._turn.set_result(None)

    def _serve(self) -> None:
        """Grant as many as fit, one persona after the other."""
        while self._turns:
            line = self._lines[self._turns[0]]
            if not self._fits(line[0]):
                return  # no smaller one may overtake: the large one would never have its turn
            persona = self._turns.popleft()
            ticket = line.popleft()
            if line:
                self._turns.append(persona)
            else:
                del self._lines[persona]
            self._start(ticket)

    def _leave(self, ticket: Ticket, completion_tokens: int) -> None:
        if ticket in self._in_engine:
            self._learn(ticket, completion_tokens)
            del self._in_engine[ticket]
            self._tokens -= ticket.tokens
        elif ticket in (line := self._lines.get(ticket.persona, deque())):
            line.remove(ticket)
            if not line:
                del self._lines[ticket.persona]
                self._turns.remove(ticket.persona)
        self._serve()

    def _position(self, ticket: Ticket) -> int:
        line = self._lines.get(ticket.persona, deque())
        return self._position_of(ticket.persona, line.index(ticket)) if ticket in line else 1

    def _position_of(self, persona: str, ahead: int) -> int:
        """Place in line of one with so many of the same persona ahead: in each round every persona
        with somebody in line is served once, those before this one in an extra round."""
        before, earlier = ahead, True
        for other in self._turns:
            if other == persona:
                earlier = False
                continue
            before += min(len(self._lines[other]), ahead + earlier)
        return before + 1

    def _wait_at(self, position: int) -> float:
        return self._bias * position * self.answer_seconds / self.slots

    @property
    def _longest_wait(self) -> float:
        """How long one may be in line and still have the first token in time, with a margin."""
        limit = self.limits.first_token_seconds
        return max((1 - _LEAST_SHARE) * limit - 1.2 * self.first_token_now, _LEAST_SHARE * limit)

    def _seconds_left(self, ticket: Ticket) -> float:
        return ticket.arrived + self._longest_wait - time.monotonic()

    def _too_late(self, ticket: Ticket) -> Busy:
        ticket.waited_seconds = time.monotonic() - ticket.arrived
        self._learn_wait(ticket)
        return Busy(
            "Too many people are asking at the moment, and your turn did not come in time.",
            retry_after_seconds=self.retry_seconds,
        )

    # -- learning ----------------------------------------------------------------------------------

    def _integrate(self) -> float:
        now = time.monotonic()
        self._area += self.running * (now - self._area_at)
        self._area_at = now
        return now

    def _concurrency(self, area: float, since: float, now: float) -> float:
        return max(1.0, (self._area - area) / max(now - since, 1e-6))

    def _began(self, ticket: Ticket) -> None:
        if ticket._granted_at is None or ticket._first_token_at is not None:
            return
        now = self._integrate()
        n = self._concurrency(ticket._area, ticket._granted_at, now)
        self._first_token_seconds.see(n, now - ticket._granted_at)
        ticket._first_token_at, ticket._area = now, self._area

    def _learn(self, ticket: Ticket, completion_tokens: int) -> None:
        now = self._integrate()
        assert ticket._granted_at is not None
        began = ticket._first_token_at
        if began is None:
            waited = now - ticket._granted_at
            if waited > 0.5 * self.limits.first_token_seconds:  # given up: at least so slow
                n = self._concurrency(ticket._area, ticket._granted_at, now)
                self._first_token_seconds.see(n, waited)
        elif completion_tokens >= _FEWEST_TOKENS:
            n = self._concurrency(ticket._area, began, now)
            self._token_seconds.see(n, (now - began) / (completion_tokens - 1))
            self._answers_seen += 1
            share = max(0.05, 1 / self._answers_seen)
            self._answer_tokens += share * (completion_tokens - self._answer_tokens)
        self._step(now)

    def _learn_wait(self, ticket: Ticket) -> None:
        if ticket._predicted_wait > 0.2:
            ratio = ticket.waited_seconds / ticket._predicted_wait
            self._bias = min(4.0, max(0.25, self._bias * max(ratio, 0.01) ** 0.1))

    def _step(self, now: float) -> None:
        """Move the safe concurrency a step towards what the measurements say, and not too often."""
        if now - self._stepped_at < min(10.0, 0.5 * self.answer_seconds):
            return
        self._stepped_at = now
        target = self._target()
        step = max(1, self.safe // 8)
        self.safe += max(-step, min(step, target - self.safe))
        self._serve()

    def _target(self) -> int:
        token, first = self._token_seconds, self._first_token_seconds
        # An engine that is too slow even for one does not get better by serving one at a time.
        slowest = max(1 / self.limits.min_tokens_per_second, 1.5 * (token.at(1) or 0.0))
        latest = max(0.5 * self.limits.first_token_seconds, 1.5 * (first.at(1) or 0.0))
        target = self.limits.at_once
        while target > 1 and (
            (token.at(target) or 0.0) > slowest or (first.at(target) or 0.0) > latest
        ):
            target -= 1
        return target
