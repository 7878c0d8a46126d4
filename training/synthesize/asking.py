"""Asks many requests under limits, and stores every answer before anybody uses it.

In: requests that no answer is stored for. Out: answers in the store. It keeps the pace, the budget and the
patience, tries again where that can help, and when it is stopped (Ctrl-C, an error, the budget) sends
nothing new and stores what is on its way, because that is paid for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from personae.errors import EngineUnavailable
from personae.progress import Progress
from training.synthesize.budget import NOTHING, Budget, BudgetReached, Prices
from training.synthesize.cache import Answer, AnswerStore
from training.synthesize.client import Completions, MaybeBilled, NotBilled, Patience, Refused
from training.synthesize.pace import Limits, Pace
from training.synthesize.prompts import Request

log = logging.getLogger(__name__)

T = TypeVar("T")


class _Stopped(Exception):
    """The run is ending: this request is not sent."""


@dataclass
class Asked:
    """How a run over some requests ended."""

    answered: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    """Key → why the API will never answer it."""
    ended: Literal["all asked", "budget"] = "all asked"


class Asker:
    """
    Args:
        store: used from one thread of its own, so that flushing to the disk holds up no connection.
    """

    def __init__(
        self,
        api: Completions,
        *,
        model: str,
        store: AnswerStore,
        budget: Budget,
        prices: Prices,
        pace: Pace,
        patience: Patience,
    ) -> None:
        self._api = api
        self._model = model
        self._store = store
        self._budget = budget
        self._prices = prices
        self._pace = pace
        self._patience = patience
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="answers")
        self._stopping = asyncio.Event()
        self.asked = Asked()

    async def ask_all(
        self, requests: Sequence[Request], *, at_once: int, progress: Progress
    ) -> Asked:
        """
        Raises:
            ConfigError: the API refuses what the configuration says.
            EngineUnavailable: it did not answer in all the tries.
        """
        waiting = iter(requests)
        doing = f"asking {self._model}"
        progress(doing, 0, len(requests))

        async def worker() -> None:
            for request in waiting:
                try:
                    await self._answered(request)
                except _Stopped:
                    return
                except BudgetReached:
                    self.asked.ended = "budget"
                    self._stopping.set()
                    return
                done = self.asked.answered + len(self.asked.refused)
                progress(doing, done, len(requests))

        async with self._ending(
            [asyncio.create_task(worker()) for _ in range(min(at_once, len(requests)))]
        ) as tasks:
            if tasks:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks:
            task.result()
        return self.asked

    @contextlib.asynccontextmanager
    async def _ending(
        self, tasks: list[asyncio.Task[None]]
    ) -> AsyncIterator[list[asyncio.Task[None]]]:
        """However the body ends, what is on its way is stored first."""
        try:
            yield tasks
        finally:
            self._stopping.set()
            if tasks:
                await asyncio.wait(tasks, timeout=self._patience.ending_seconds)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._disk.shutdown(wait=True)

    async def _answered(self, request: Request) -> None:
        """Ask until there is an answer; store it.

        Raises:
            BudgetReached, _Stopped, ConfigError, EngineUnavailable.
        """
        failed_tries = billed = pauses = 0
        while True:
            try:
                await self._try(request)
                self.asked.answered += 1
                return
            except Refused as failed:
                self.asked.refused[request.key(self._model)] = failed.what
                return
            except (NotBilled, MaybeBilled) as failed:
                billed += isinstance(failed, MaybeBilled)
                # Being told when to come back is no failure, but may not go on for ever.
                told = failed.limits.retry_after_seconds is not None
                pauses, failed_tries = pauses + told, failed_tries + (not told)
                log.info("a %s request has no answer yet: %s", request.kind, failed.what)
                if (
                    failed_tries >= self._patience.tries
                    or billed >= self._patience.billed_tries
                    or pauses >= self._patience.pauses
                ):
                    raise EngineUnavailable(
                        f"{self._api.host} gave no answer in several tries: {failed.what}. Answers "
                        "that came in are kept; run this again to go on."
                    ) from failed
                await self._sleep(self._wait_after(failed_tries, failed.limits))

    async def _try(self, request: Request) -> None:
        """One attempt, from its turn to its answer on the disk."""
        key, worst = request.key(self._model), self._prices.worst(request)
        likely = self._prices.likely(request)
        await self._budget.hold(worst)
        cost = NOTHING
        try:
            await self._turn(likely.tokens)
            row = await self._on_disk(lambda: self._store.begin(key, self._model, worst))
            try:
                answer, limits = await self._api.ask(request)
            except MaybeBilled:
                cost = worst
                await self._on_disk(lambda: self._store.lose(row))
                raise
            except asyncio.CancelledError:
                cost = worst  # the row stays open, and is counted as lost
                raise
            except BaseException:
                await self._on_disk(lambda: self._store.free(row))
                raise
            cost = self._prices.cost(answer.prompt_tokens, answer.completion_tokens)
            await self._keep(row, request, answer)
            self._pace.correct(likely.tokens, cost.tokens)
            self._obey(limits)
        finally:
            await self._budget.settle(worst, cost)

    async def _keep(self, row: int, request: Request, answer: Answer) -> None:
        cost = self._prices.cost(answer.prompt_tokens, answer.completion_tokens)
        key = request.key(self._model)
        await self._on_disk(
            lambda: self._store.store(row, key, request.kind, self._model, answer, cost)
        )

    async def _on_disk(self, call: Callable[[], T]) -> T:
        """In the store's thread; once begun it ends, even if the caller is cancelled."""
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._disk, call))

    async def _turn(self, tokens: int) -> None:
        await self._sleep(self._pace.take(tokens))
        while (left := self._pace.pause_left) > 0:
            await self._sleep(left)

    def _obey(self, limits: Limits) -> None:
        if limits.exhausted_seconds is not None:
            self._pause(limits.exhausted_seconds)

    def _wait_after(self, tries: int, limits: Limits) -> float:
        """Twice as long each time, with chance in it, so that clients do not come back together."""
        asked_for = limits.retry_after_seconds or limits.exhausted_seconds
        if asked_for is not None:
            self._pause(asked_for)
            return 0.0
        longest = min(
            self._patience.longest_wait_seconds,
            self._patience.first_wait_seconds * 2.0 ** (tries - 1),
        )
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret

    def _pause(self, seconds: float) -> None:
        """
        Raises:
            EngineUnavailable: the API wants a break too long to sit through.
        """
        if seconds > self._patience.longest_pause_seconds:
            raise EngineUnavailable(
                f"{self._api.host} asks for a break of {seconds / 60:.0f} minutes. Answers that "
                "came in are kept; run this again then.",
                retry_after_seconds=seconds,
            )
        self._pace.pause(seconds)

    async def _sleep(self, seconds: float) -> None:
        """
        Raises:
            _Stopped: the run is ending.
        """
        if seconds > 0 and not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)
        if self._stopping.is_set():
            raise _Stopped
