"""Load on a gateway: many people at once, some of whom lose patience; and what became of each.

For the test beside this file, over a fake engine and for seconds, and for the bench, over a real
one and for minutes:

    report = await overload(url, people=64, seconds=300, personas=["lincoln", "roosevelt"])
    assert not report.unanswered and not report.without_retry
"""

from __future__ import annotations

import asyncio
import collections
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp

from personae.wire import sse_messages

QUESTION = "What of the Union and its laws?"
TEXT = "We should try harder, and the great firms must obey the law."


@dataclass
class Load:
    """What became of every request. Times are in seconds, from the request."""

    outcomes: collections.Counter[str] = field(default_factory=collections.Counter)
    """By finish reason, error code, or "left" for those who lost patience."""
    asked: collections.Counter[str] = field(default_factory=collections.Counter)
    """Requests by persona."""
    answered: collections.Counter[str] = field(default_factory=collections.Counter)
    """Answers of the model by persona."""
    first_words: list[float] = field(default_factory=list)
    """Of answers of the model."""
    queued: int = 0
    """Requests that were told their place in line."""
    unanswered: list[str] = field(default_factory=list)
    """Requests without an end: neither an answer nor a sentence."""
    without_retry: list[str] = field(default_factory=list)
    """Refusals without a time to come back."""

    @property
    def requests(self) -> int:
        return sum(self.outcomes.values()) + len(self.unanswered)


async def overload(
    url: str,
    *,
    people: int,
    seconds: float,
    personas: Sequence[str],
    share_of_rewrites: float = 0.3,
    share_of_impatient: float = 0.05,
    most_seconds: float = 120.0,
    seed: int = 0,
) -> Load:
    """So many people ask, one question after the other, for so long; then all are let finish.

    Args:
        people: each has one request under way at any time. Who is refused waits at most a second,
            whatever it was told: worse than people are.
        personas: taken with falling weight, so that the first is asked far more than the last.
        most_seconds: after this a request counts as unanswered.
    """
    load = Load()
    until = time.monotonic() + seconds
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, connector=connector) as session:

        async def person(number: int) -> None:
            chance = random.Random(f"{seed}/{number}")
            weights = [1 / (place + 1) ** 2 for place in range(len(personas))]
            while time.monotonic() < until:
                persona = chance.choices(personas, weights)[0]
                rewrite = chance.random() < share_of_rewrites
                body = {"persona": persona, "user": f"u{number}"}
                body |= {"text": TEXT} if rewrite else {"question": QUESTION}
                patience = most_seconds
                if chance.random() < share_of_impatient:
                    patience = chance.uniform(0.0, 1.0)
                path = "/v1/rewrite" if rewrite else "/v1/ask"
                outcome = await _one(session, path, body, load, patience, most_seconds)
                if outcome not in ("stop", "length"):
                    await asyncio.sleep(chance.uniform(0.1, 1.0))

        await asyncio.gather(*(person(number) for number in range(people)))
    return load


async def _one(
    session: aiohttp.ClientSession,
    path: str,
    body: dict[str, str],
    load: Load,
    patience: float,
    most_seconds: float,
) -> str:
    try:
        async with asyncio.timeout(patience):
            outcome = await _answer(session, path, body, load)
    except TimeoutError:
        outcome = "left" if patience < most_seconds else f"nothing in {most_seconds:.0f} s"
    except aiohttp.ClientError as err:
        outcome = repr(err)
    if outcome is None or " " in outcome or "(" in outcome:
        load.unanswered.append(f"{path} {body['persona']}: {outcome or 'a stream without an end'}")
        return "unanswered"
    load.outcomes[outcome] += 1
    return outcome


async def _answer(
    session: aiohttp.ClientSession, path: str, body: dict[str, str], load: Load
) -> str | None:
    """How it ended; None if it just stopped."""
    load.asked[body["persona"]] += 1
    began = time.monotonic()
    first_words: float | None = None
    waited = False
    async with session.post(path, json=body) as response:
        if response.status != 200:
            error = (await response.json())["error"]
            if "Retry-After" not in response.headers or not error["retry_after_seconds"]:
                load.without_retry.append(json.dumps(error))
            return str(error["code"])
        async for name, data in sse_messages(response.content):
            if name == "queued" and not waited:
                waited = True
                load.queued += 1
            elif name == "delta" and first_words is None:
                first_words = time.monotonic() - began
            elif name == "error":
                error = json.loads(data)
                if not error["retry_after_seconds"]:
                    load.without_retry.append(data)
                return str(error["code"])
            elif name == "done":
                reason = str(json.loads(data)["finish_reason"])
                if reason != "quoted" and first_words is not None:
                    load.first_words.append(first_words)
                    load.answered[body["persona"]] += 1
                return reason
    return None
