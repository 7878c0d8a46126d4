"""How many questions so many engines answer in time, by simulation from what one engine was measured to do.

In: an `EngineSpeed` (seconds a step of a batch costs, by its streams and by the prompt tokens read in it), a
`Demand` (how long prompts and answers are), a `Promise` (what people are to get), a seed. Out: the largest
load that keeps the promise, for each number of engines. No clock, no network, no engine.

The engine is the one that vLLM is: all streams of its batch advance by one token a step, prompts are read
in pieces beside them, and a step takes `fixed + each · streams + prompt · tokens read`. Questions arrive at
random (Poisson). Each goes to the engine with the fewest questions, or waits in one line when all are full,
which is what the gateway's admission does; those whose wait is too long are refused.

What is left out makes real numbers worse: voices that a replica has to fetch first, machines that are not
alike, an engine that starts anew. Or better: beginnings of prompts that the engine's cache holds.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, linear_regression

from serving.bench.figures import percentile

_MOST_PROMPT_TOKENS_A_STEP = 2048
_NEAR_ENOUGH = 0.03
"""Relative width at which the search for the largest load stops."""
_FEWEST_QUESTIONS = 5
"""Of a run that says anything."""


@dataclass(frozen=True)
class EngineSpeed:
    """What a step of one engine's batch costs, in seconds."""

    fixed: float
    each: float
    """For each stream in the batch."""
    prompt: float
    """For each token of a prompt that is read in it."""
    at_once: int = 16
    """Answers in the batch, at most."""

    @classmethod
    def measured(
        cls,
        *,
        first_token_seconds: float,
        prompt_tokens: int,
        tokens_per_second: dict[int, float],
        at_once: int,
    ) -> EngineSpeed:
        """From the first token of a prompt alone, and the throughput at some numbers of streams.

        A step of n streams takes n / (tokens a second) seconds; a line is laid through these.

        >>> EngineSpeed.measured(
        ...     first_token_seconds=0.5, prompt_tokens=1000,
        ...     tokens_per_second={1: 50.0, 16: 320.0}, at_once=16,
        ... )
        EngineSpeed(fixed=0.018, each=0.002, prompt=0.00048, at_once=16)
        """
        steps = {streams: streams / speed for streams, speed in tokens_per_second.items()}
        line = linear_regression(list(steps), list(steps.values()))
        each = round(max(0.0, line.slope), 6)
        fixed = round(max(1e-6, fmean(steps.values()) - each * fmean(steps)), 6)
        prompt = max(1e-9, (first_token_seconds - fixed - each) / prompt_tokens)
        return cls(fixed, each, round(prompt, 8), at_once)


@dataclass(frozen=True)
class Demand:
    """What people ask for. Lengths vary around their medians by a log-normal distribution."""

    prompt_tokens: float = 840.0
    answer_tokens: float = 160.0
    spread: float = 0.4
    """Standard deviation of the logarithm: 0.4 puts two in three between .67 and 1.5 of the median."""


@dataclass(frozen=True)
class Promise:
    """What counts as enough."""

    first_token_seconds: float = 10.0
    """For all but one in twenty of the answered."""
    tokens_per_second: float = 4.0
    """That an answer grows at, for all but one in twenty; people read about five words a second."""
    refused: float = 0.01
    """Share of the questions."""
    longest_wait_seconds: float = 30.0
    """Whoever has waited so long is refused."""


@dataclass
class _Question:
    arrived: float
    prompt_left: int
    answer_left: int
    answer: int
    first: float = 0.0
    last: float = 0.0


@dataclass
class _Engine:
    free_at: float = 0.0
    """When the step under way ends."""
    reading: deque[_Question] = field(default_factory=deque)
    writing: list[_Question] = field(default_factory=list)

    @property
    def load(self) -> int:
        return len(self.reading) + len(self.writing)


@dataclass(frozen=True)
class Outcome:
    """What a load led to."""

    questions: int
    refused: float
    first_token_p50: float
    first_token_p95: float
    tokens_per_second_p5: float
    """All but one in twenty answers grew at least so fast."""
    busy: float
    """Share of the time that the engines worked."""

    def keeps(self, promise: Promise) -> bool:
        return (
            self.refused <= promise.refused
            and self.first_token_p95 <= promise.first_token_seconds
            and self.tokens_per_second_p5 >= promise.tokens_per_second
        )


def simulate(
    speed: EngineSpeed,
    *,
    engines: int,
    questions_per_minute: float,
    minutes: float = 60.0,
    demand: Demand | None = None,
    promise: Promise | None = None,
    seed: int = 1,
) -> Outcome:
    """One run of so many minutes; the first tenth, when the engines were idle, does not count."""
    demand, promise = demand or Demand(), promise or Promise()
    arrivals = _arrivals(demand, questions_per_minute, minutes, seed)
    fleet = [_Engine() for _ in range(engines)]
    line: deque[_Question] = deque()
    done: list[_Question] = []
    refused: list[_Question] = []
    worked = now = 0.0
    coming = deque(arrivals)
    while coming or line or any(engine.load for engine in fleet):
        while coming and coming[0].arrived <= now:
            line.append(coming.popleft())
        while line and now - line[0].arrived > promise.longest_wait_seconds:
            refused.append(line.popleft())
        while line:
            idlest = min(fleet, key=lambda engine: engine.load)
            if idlest.load >= speed.at_once:
                break
            idlest.reading.append(line.popleft())
        for engine in fleet:
            if engine.load and engine.free_at <= now:
                took = _step(engine, speed, now, done)
                engine.free_at = now + took
                worked += took
        ends = [engine.free_at for engine in fleet if engine.load]
        if coming:
            ends.append(coming[0].arrived)
        now = max(now, min(ends, default=now))
    begin = minutes * 6.0
    counted = [question for question in done if question.arrived >= begin]
    turned_away = sum(question.arrived >= begin for question in refused)
    firsts = [question.first - question.arrived for question in counted] or [0.0]
    speeds = [
        question.answer / max(1e-9, question.last - question.first)
        for question in counted
        if question.answer > 1
    ] or [float("inf")]
    total = len(counted) + turned_away
    return Outcome(
        questions=total,
        refused=turned_away / max(1, total),
        first_token_p50=percentile(firsts, 0.5),
        first_token_p95=percentile(firsts, 0.95),
        tokens_per_second_p5=percentile(speeds, 0.05),
        busy=min(1.0, worked / max(1e-9, now * engines)),
    )


def largest_load(
    speed: EngineSpeed,
    *,
    engines: int,
    demand: Demand | None = None,
    promise: Promise | None = None,
    minutes: float = 60.0,
    seeds: Sequence[int] = (1, 2, 3),
) -> float:
    """Questions a minute, the most at which every one of the runs keeps the promise; 0 if none does."""
    promise = promise or Promise()

    def kept(load: float) -> bool:
        runs = (
            simulate(
                speed,
                engines=engines,
                questions_per_minute=load,
                minutes=minutes,
                demand=demand,
                promise=promise,
                seed=seed,
            )
            for seed in seeds
        )
        return all(run.questions >= _FEWEST_QUESTIONS and run.keeps(promise) for run in runs)

    low, high = 0.0, max(1.0, 4 * _FEWEST_QUESTIONS / minutes)
    while kept(high):
        low, high = high, high * 2
    while high - low > _NEAR_ENOUGH * high and high * minutes > _FEWEST_QUESTIONS / 2:
        middle = (low + high) / 2
        if kept(middle):
            low = middle
        else:
            high = middle
    return low


def _arrivals(
    demand: Demand, questions_per_minute: float, minutes: float, seed: int
) -> list[_Question]:
    chance = random.Random(seed)  # noqa: S311 - a simulation that can be repeated
    found = []
    now = chance.expovariate(questions_per_minute / 60.0)
    while now < minutes * 60.0:
        prompt = round(demand.prompt_tokens * chance.lognormvariate(0.0, demand.spread))
        answer = max(1, round(demand.answer_tokens * chance.lognormvariate(0.0, demand.spread)))
        found.append(_Question(now, max(1, prompt), answer, answer))
        now += chance.expovariate(questions_per_minute / 60.0)
    return found


def _step(engine: _Engine, speed: EngineSpeed, now: float, done: list[_Question]) -> float:
    """Advance a batch by one step; gives the seconds it took."""
    budget = _MOST_PROMPT_TOKENS_A_STEP - len(engine.writing)
    read = 0
    finished: list[_Question] = []
    while engine.reading and budget > 0:
        question = engine.reading[0]
        piece = min(budget, question.prompt_left)
        question.prompt_left -= piece
        budget -= piece
        read += piece
        if question.prompt_left:
            break
        finished.append(engine.reading.popleft())
    streams = len(engine.writing) + len(finished)
    took = speed.fixed + speed.each * streams + speed.prompt * read
    for question in finished:
        question.first = now + took
    engine.writing += finished
    for question in engine.writing:
        question.answer_left -= 1
        question.last = now + took
    done += [question for question in engine.writing if not question.answer_left]
    engine.writing = [question for question in engine.writing if question.answer_left]
    return took
