"""How much may be spent, and that no request is sent that could pass it.

In: prices, limits, what was spent before. Out: leave to send, or `BudgetReached`. A request holds its
worst-case cost from before it is sent until its true cost is known. Knows neither the API nor the disk.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import NamedTuple

from personae.config import SynthesisConfig
from personae.prompt import Message
from training.synthesize.prompts import Request

# A token of any tokenizer covers at least one byte, and a chat template adds a few tokens a message; some
# servers put a system text of their own before it.
_TEMPLATE_TOKENS = 256
_ROUNDING = 1e-9


class BudgetReached(Exception):
    """The next request could pass the budget. Caught in this folder: it is an end, not an error."""


class Cost(NamedTuple):
    tokens: int
    money: float

    def plus(self, other: Cost) -> Cost:
        return Cost(self.tokens + other.tokens, self.money + other.money)

    def minus(self, other: Cost) -> Cost:
        return Cost(self.tokens - other.tokens, self.money - other.money)


NOTHING = Cost(0, 0.0)


@dataclass(frozen=True)
class Prices:
    """Money for a million tokens."""

    read: float
    written: float

    @classmethod
    def of(cls, config: SynthesisConfig) -> Prices:
        return cls(config.input_price, config.output_price)

    def cost(self, prompt_tokens: int, completion_tokens: int) -> Cost:
        money = (prompt_tokens * self.read + completion_tokens * self.written) / 1e6
        return Cost(prompt_tokens + completion_tokens, money)

    def worst(self, request: Request) -> Cost:
        """What the request costs at most, whatever tokenizer reads it."""
        return self.cost(most_prompt_tokens(request.messages), request.max_tokens)

    def likely(self, request: Request) -> Cost:
        return self.cost(likely_prompt_tokens(request.messages), request.likely_tokens)


def most_tokens(text: str) -> int:
    """No tokenizer makes more of it: one a byte."""
    return len(text.encode())


def most_prompt_tokens(messages: list[Message]) -> int:
    return _TEMPLATE_TOKENS + sum(most_tokens(message["content"]) for message in messages)


def likely_tokens(text: str) -> int:
    """About four Latin letters a token; other scripts about one."""
    plain = sum(1 for character in text if character < "\u0250")
    return math.ceil(plain / 4 + (len(text) - plain))


def likely_prompt_tokens(messages: list[Message]) -> int:
    return sum(likely_tokens(message["content"]) + 8 for message in messages)


class Budget:
    """Spent, held and left, for the requests of one event loop."""

    def __init__(self, limit: Cost, spent: Cost) -> None:
        self.limit = limit
        self.spent = spent
        self._held = NOTHING
        self._changed = asyncio.Condition()

    @property
    def left(self) -> Cost:
        return self.limit.minus(self.spent)

    async def hold(self, worst: Cost) -> None:
        """Set the worst case aside, after waiting for others' true costs where that may help.

        Raises:
            BudgetReached: nothing is under way, and the request still could pass the limit.
        """
        async with self._changed:
            while not self._fits(worst):
                if self._held.tokens <= 0:
                    raise BudgetReached
                await self._changed.wait()
            self._held = self._held.plus(worst)

    async def settle(self, worst: Cost, true: Cost) -> None:
        """Give back what was held, and count what it cost in truth."""
        async with self._changed:
            self._held = self._held.minus(worst)
            self.spent = self.spent.plus(true)
            self._changed.notify_all()

    def _fits(self, worst: Cost) -> bool:
        after = self.spent.plus(self._held).plus(worst)
        return after.tokens <= self.limit.tokens and after.money <= self.limit.money + _ROUNDING
