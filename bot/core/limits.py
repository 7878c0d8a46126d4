"""Quotas: how much a person, the members of a role and a server may use in a day (UTC).

A request counts when it is taken, tokens when they were used. Counting and checking go together, one
request of a server at a time, so that a burst can't pass a limit (within one process). A person's quota
counts in each server by itself, and so do their direct messages. Somebody with several limited roles is
refused once all of them are used up.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from weakref import WeakValueDictionary

from bot.core.people import Person, Place
from bot.core.policy import Limit, PolicySettings
from bot.core.rules import Rules
from bot.core.sentences import Say
from bot.state.records import Usage, UsageKind
from bot.state.store import State


@dataclass(frozen=True)
class Quota:
    """What was used today of what may be."""

    kind: UsageKind
    key: str
    limit: Limit
    used: Usage

    @property
    def spent(self) -> str | None:
        """Which of the two is used up."""
        if self.limit.requests is not None and self.used.requests >= self.limit.requests:
            return "requests"
        if self.limit.tokens is not None and self.used.tokens >= self.limit.tokens:
            return "tokens"
        return None


class Limits:
    def __init__(self, state: State, policy: PolicySettings) -> None:
        self._state = state
        self._policy = policy
        self._taking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def take(self, person: Person, place: Place, rules: Rules, say: Say) -> str | None:
        """Count one request, or say which quota it would pass."""
        async with self._one_at_a_time(place):
            quotas = await self.quotas(person, place, rules)
            refused = _refusal(quotas)
            if refused is not None:
                limit = refused.limit
                most = limit.requests if refused.spent == "requests" else limit.tokens
                return say(f"quota-{refused.kind}-{refused.spent}", most=most or 0)
            await self._count(person, place, rules, requests=1)
            return None

    async def used(self, person: Person, place: Place, rules: Rules, tokens: int) -> None:
        """Count the tokens of an answer."""
        await self._count(person, place, rules, tokens=tokens)

    async def quotas(
        self, person: Person, place: Place, rules: Rules, *, limited_only: bool = True
    ) -> list[Quota]:
        """The person's, their roles' and the server's; without limits only where asked for."""
        asked: list[tuple[UsageKind, str, Limit]] = [
            ("person", person.key, rules.limit_of_person(person, self._policy))
        ]
        asked += [("role", role, limit) for role, limit in rules.limits_of_roles(person).items()]
        if place.server:
            asked.append(("server", place.server, rules.limit_of_server(self._policy)))
        found = []
        for kind, key, limit in asked:
            if limited_only and limit == Limit(requests=None, tokens=None):
                continue
            used = await self._state.usage(
                kind=kind,
                platform=place.platform,
                server=place.server,
                key=key,
                since_day=self._state.today(),
            )
            found.append(Quota(kind, key, limit, used))
        return found

    async def _count(
        self, person: Person, place: Place, rules: Rules, *, requests: int = 0, tokens: int = 0
    ) -> None:
        await self._state.count_usage(
            platform=place.platform,
            server=place.server,
            person_key=person.key,
            roles=rules.limits_of_roles(person),
            requests=requests,
            tokens=tokens,
        )

    @contextlib.asynccontextmanager
    async def _one_at_a_time(self, place: Place) -> AsyncIterator[None]:
        key = place.server or ""
        lock = self._taking.setdefault(key, asyncio.Lock())
        async with lock:
            yield


def _refusal(quotas: list[Quota]) -> Quota | None:
    """The quota that keeps a request from being taken."""
    for kind in ("person", "server"):
        for quota in quotas:
            if quota.kind == kind and quota.spent:
                return quota
    roles = [quota for quota in quotas if quota.kind == "role"]
    return roles[0] if roles and all(quota.spent for quota in roles) else None


def in_words(quotas: list[Quota], say: Say) -> str:
    """What was used and what is left, a line for each."""
    return "\n".join([say("usage-title"), *(f"- {_line(quota, say)}" for quota in quotas)])


def _line(quota: Quota, say: Say) -> str:
    who = {
        "person": say("usage-you"),
        "role": say("usage-role", role=quota.key),
        "server": say("usage-server"),
    }[quota.kind]

    def left(used: int, most: int | None) -> str:
        return "" if most is None else say("usage-left", left=max(0, most - used), most=most)

    return say(
        "usage-line",
        who=who,
        requests=quota.used.requests,
        requests_left=left(quota.used.requests, quota.limit.requests),
        tokens=quota.used.tokens,
        tokens_left=left(quota.used.tokens, quota.limit.tokens),
    )
