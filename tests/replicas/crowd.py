"""People who ask on a fake platform, each event delivered more than once, and how often each was answered."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from tests.bot.bot_process import BotProcess, bot_process
from tests.bot.on_discord import bench as discord_bench
from tests.bot.on_slack import bench as slack_bench
from tests.bot.on_slack import burst as slack_burst
from tests.fakes.discord_interaction import Interaction
from tests.fakes.discord_message import Message
from tests.fakes.discord_objects import CHANNEL_ID, MENTION
from tests.fakes.discord_platform import FakeDiscord
from tests.fakes.discord_world import Person
from tests.fakes.slack_platform import FakeSlack
from tests.fakes.slack_workspace import Delivery

DISCLOSED = "imitation of"
BEGUN_ANEW = "was begun anew"
PERSONAS = ("lincoln", "roosevelt", "pg", "wbw")
_PATIENCE_SECONDS = 300.0
_SERVERS = 10


class Platform(Protocol):
    """One of the two, as these tests use them."""

    name: Literal["discord", "slack"]

    def environment(self, gateways: str, home: Path) -> dict[str, str]: ...

    async def connected(self, bots: int) -> None: ...

    async def ask(self, number: int) -> None: ...

    def counts(self) -> dict[int, int]:
        """How many finished answers stand where each who asked looks for one."""
        ...

    def shown(self) -> str:
        """All that the bot says just now."""
        ...

    def complaints(self) -> list[str]: ...


@dataclass
class OnDiscord:
    """Two sessions of one shard: Discord sends every event to both, some of them twice."""

    discord: FakeDiscord
    name: Literal["discord", "slack"] = "discord"
    _asked: dict[int, Interaction | Message] = field(default_factory=dict)

    def environment(self, gateways: str, home: Path) -> dict[str, str]:
        return discord_bench.bot_environment(self.discord, gateways, home)

    async def connected(self, bots: int) -> None:
        socket = self.discord.socket
        await self.discord.until(lambda: len(socket.shards) == bots, f"{bots} connected bots")

    async def ask(self, number: int) -> None:
        person = Person(str(4100000000000000000 + number), f"reader{number}")
        persona, question = PERSONAS[number % 4], f"What holds a nation together, {number}?"
        if number % 10 == 0:
            self.discord.socket.repeat_next += 1
        if number % 5 == 0:
            channel = str(int(CHANNEL_ID) + (number // 5 % _SERVERS << 22))
            text = f"{MENTION} {persona}: {question}"
            self._asked[number] = await self.discord.say(text, channel=channel, person=person)
        else:
            self._asked[number] = await self.discord.slash(
                "ask", persona=persona, question=question, person=person
            )

    def counts(self) -> dict[int, int]:
        seen: Counter[str] = Counter()
        for message in list(self.discord.messages.values()):
            if not message.deleted and message.of_bot and DISCLOSED in message.text:
                question = message.reference.id if message.reference else None
                seen[message.token or question or ""] += 1
        return {
            number: seen[asked.token if isinstance(asked, Interaction) else asked.id]
            for number, asked in self._asked.items()
        }

    def shown(self) -> str:
        everything = list(self.discord.messages.values())
        return "\n".join(m.text for m in everything if m.of_bot and not m.deleted)

    def complaints(self) -> list[str]:
        # A 429 is told to one process, and the other can't know of it: Discord counts by bot, not by process.
        return list(self.discord.problems)


@dataclass
class OnSlack:
    """Slack gives each event to one of four connections, and what was late to another."""

    slack: FakeSlack
    name: Literal["discord", "slack"] = "slack"
    _asked: dict[int, Delivery] = field(default_factory=dict)

    def environment(self, gateways: str, home: Path) -> dict[str, str]:
        return slack_bench.bot_environment(self.slack, gateways, home)

    async def connected(self, bots: int) -> None:
        await self.slack.until(
            lambda: self.slack.open_sockets == 2 * bots, f"connections of {bots} bots", 60
        )

    async def ask(self, number: int) -> None:
        self._asked[number] = asked = slack_burst.ask(self.slack, number)
        for _ in range(4 if number % 5 == 0 else 0):  # to each of the connections
            self.slack.redeliver(asked)

    def counts(self) -> dict[int, int]:
        finished = [(m, m.shown) for m in list(self.slack.bot_messages) if not m.deleted]
        finished = [(m, shown) for m, shown in finished if DISCLOSED in shown]
        return {number: slack_burst.among(finished, asked) for number, asked in self._asked.items()}

    def shown(self) -> str:
        posted = [one.shown for one in self.slack.bot_messages if not one.deleted]
        return "\n".join(posted + [one.shown for one in self.slack.private if not one.deleted])

    def complaints(self) -> list[str]:
        # As on Discord: who was told to wait is one process, and who did not know of it the other.
        return list(self.slack.violations)


@contextlib.asynccontextmanager
async def platform_of(name: str, slow: float) -> AsyncIterator[Platform]:
    """The fake; its clock goes slower by `slow` where other work has the machine."""
    if name == "discord":
        async with FakeDiscord(
            ack_seconds=3.0 * slow, identify_seconds=0.0, guilds=_SERVERS
        ) as discord:
            yield OnDiscord(discord)
        return
    with FakeSlack(slack_bench.MANIFEST, ack_seconds=3.0 * slow, trigger_seconds=3.0 * slow) as it:
        yield OnSlack(it)


@contextlib.asynccontextmanager
async def bots(
    platform: Platform, gateways: str, database_url: str, home: Path, *, count: int = 2
) -> AsyncIterator[list[BotProcess]]:
    """Processes of one bot on one database, all of them connected."""
    async with contextlib.AsyncExitStack() as stack:
        running = []
        for number in range(count):
            environment = platform.environment(gateways, home / f"bot{number}")
            environment["PERSONAE_DATABASE_URL"] = database_url
            running.append(await stack.enter_async_context(bot_process(platform.name, environment)))
        try:
            await platform.connected(count)
            yield running
        finally:
            for number, bot in enumerate(running):
                (home / f"bot{number}.log").write_text("\n".join(bot.log))


@dataclass
class Outcome:
    """What became of a number of questions."""

    asked: int
    lost: list[int]
    answered_twice: list[int]
    begun_anew: int
    seconds: float
    complaints: list[str]


async def until_answered(
    platform: Platform, numbers: range, *, since: float, settle_seconds: float = 3.0
) -> Outcome:
    """Wait until all are answered, and a moment longer, in which a second answer would come."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    counts: dict[int, int] = {}
    while time.monotonic() < deadline and not all(counts.get(number) for number in numbers):
        await asyncio.sleep(1.0)
        counts = await asyncio.to_thread(platform.counts)
    seconds = time.monotonic() - since
    await asyncio.sleep(settle_seconds)
    counts = await asyncio.to_thread(platform.counts)
    counts = {number: counts[number] for number in numbers}
    return Outcome(
        asked=len(numbers),
        lost=[number for number, count in counts.items() if count == 0],
        answered_twice=[number for number, count in counts.items() if count > 1],
        begun_anew=platform.shown().count(BEGUN_ANEW),
        seconds=seconds,
        complaints=platform.complaints(),
    )
