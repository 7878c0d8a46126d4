"""What a synthesis would cost, before anything is asked.

In: the requests, the answers already paid for, prices and limits. Out: a `Price`. It sends nothing.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

from pydantic import BaseModel, ConfigDict

from personae.config import SynthesisConfig
from training.synthesize.budget import NOTHING, Cost, Prices
from training.synthesize.cache import Spent
from training.synthesize.prompts import KINDS, Request


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KindPrice(_Frozen):
    requests: int
    """To be asked now."""
    stored: int
    """Paid before; they cost nothing."""
    tokens: int
    money: float


class Price(_Frozen):
    """Likely figures, and what can't be passed."""

    model: str
    kinds: dict[str, KindPrice]
    requests: int
    stored: int
    tokens: int
    money: float
    most_tokens: int
    """If every text had a token a byte and every answer were as long as it may be."""
    most_money: float
    minutes: float
    """At the rate limits of the configuration."""
    spent_tokens: int
    spent_money: float
    """In earlier runs; the budget counts them."""
    budget_tokens: int
    budget_money: float
    prices_known: bool

    @property
    def within_budget(self) -> bool:
        """Whether the likely cost fits into what the budget has left."""
        return (
            self.spent_tokens + self.tokens <= self.budget_tokens
            and self.spent_money + self.money <= self.budget_money
        )


def price(
    requests: Sequence[Request], *, config: SynthesisConfig, stored: Set[str], spent: Spent
) -> Price:
    """
    Args:
        stored: keys of the answers that are there.
    """
    prices = Prices.of(config)
    model = config.model or ""
    kinds: dict[str, KindPrice] = {}
    total, most = NOTHING, NOTHING
    for kind in KINDS:
        own = [request for request in requests if request.kind == kind]
        if not own:
            continue
        asked = [request for request in own if request.key(model) not in stored]
        likely = NOTHING
        for request in asked:
            likely = likely.plus(prices.likely(request))
            most = most.plus(prices.worst(request))
        kinds[kind] = KindPrice(
            requests=len(asked),
            stored=len(own) - len(asked),
            tokens=likely.tokens,
            money=likely.money,
        )
        total = total.plus(likely)
    to_ask = sum(kind.requests for kind in kinds.values())
    return Price(
        model=model,
        kinds=kinds,
        requests=to_ask,
        stored=sum(kind.stored for kind in kinds.values()),
        tokens=total.tokens,
        money=total.money,
        most_tokens=most.tokens,
        most_money=most.money,
        minutes=_minutes(to_ask, total, config),
        spent_tokens=spent.all.tokens,
        spent_money=spent.all.money,
        budget_tokens=config.token_budget,
        budget_money=config.budget,
        prices_known=prices.read > 0 or prices.written > 0,
    )


def _minutes(requests: int, likely: Cost, config: SynthesisConfig) -> float:
    return max(requests / config.requests_per_minute, likely.tokens / config.tokens_per_minute)
