"""A refresh token is good for one use: however many processes and moments, a workspace keeps a token."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from slack_sdk.oauth.installation_store import Installation

from bot.on_slack.installs import Clients, InstalledWorkspaces, Installs, UnknownWorkspace
from bot.on_slack.token_renewal import RenewalTurns
from bot.state.database import parsed, pooled_engine
from tests.bot.on_slack.bench import MANIFEST
from tests.bot.on_slack.test_installs import keep_installation
from tests.fakes import slack_payloads as world
from tests.fakes.slack_platform import FakeSlack


@dataclass
class Process:
    """What one process of the bot has of the installations."""

    installs: Installs
    workspaces: InstalledWorkspaces

    async def token(self) -> str | None:
        return (await self.workspaces.of(world.TEAM)).client.token

    def before_saving(
        self, monkeypatch: pytest.MonkeyPatch, do: Callable[[], Awaitable[Any]]
    ) -> None:
        save = self.installs.store.async_save

        async def slow(installation: Installation) -> None:
            await do()
            await save(installation)

        monkeypatch.setattr(self.workspaces._renewal, "_save", slow)


@asynccontextmanager
async def started(url: str, slack: FakeSlack, count: int) -> AsyncIterator[list[Process]]:
    """Processes of the bot, each with connections of its own to the same database."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        processes = []
        for _ in range(count):
            engine = pooled_engine(parsed(url))
            stack.push_async_callback(engine.dispose)
            installs = Installs(engine, slack.client_id)
            await installs.create_tables()
            workspaces = InstalledWorkspaces(
                installs,
                Clients(session, api_base=slack.api_base),
                client_id=slack.client_id,
                client_secret=slack.client_secret,
            )
            stack.push_async_callback(workspaces.finish, grace_seconds=10)
            processes.append(Process(installs, workspaces))
        yield processes


async def keep_token(process: Process, slack: FakeSlack, *, expires_in: int = 3600) -> str:
    token = slack.new_grant(world.TEAM, rotates=True)
    await keep_installation(process.installs, token, slack, expires_in=expires_in)
    return token


def renewals(slack: FakeSlack) -> int:
    calls = slack.calls_of("oauth.v2.access")
    return sum(call.arguments.get("grant_type") == "refresh_token" for call in calls)


async def test_a_second_process_waits_until_the_first_one_kept_the_new_token(
    state_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeSlack(MANIFEST, token_seconds=43_200) as slack:
        async with started(state_url, slack, 2) as (first, second):
            token = await keep_token(first, slack)
            saving = asyncio.Event()

            async def slowly() -> None:
                saving.set()
                await asyncio.sleep(0.5)

            first.before_saving(monkeypatch, slowly)
            firsts = asyncio.create_task(first.token())
            await saving.wait()
            assert await second.token() == await firsts != token
            assert renewals(slack) == 1


async def test_whoever_asks_may_give_up_and_the_new_token_is_kept(
    state_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeSlack(MANIFEST, token_seconds=43_200) as slack:
        async with started(state_url, slack, 1) as (bot,):
            token = await keep_token(bot, slack)
            saving, go_on = asyncio.Event(), asyncio.Event()

            async def held() -> None:
                saving.set()
                await go_on.wait()

            bot.before_saving(monkeypatch, held)
            asking = asyncio.create_task(bot.token())
            await saving.wait()
            asking.cancel()
            await asyncio.wait({asking})
            go_on.set()
            assert await bot.token() != token
            assert renewals(slack) == 1


async def test_a_stop_waits_until_the_new_token_is_kept(
    state_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeSlack(MANIFEST, token_seconds=43_200) as slack:
        async with started(state_url, slack, 1) as (bot,):
            token = await keep_token(bot, slack)
            saving = asyncio.Event()

            async def slowly() -> None:
                saving.set()
                await asyncio.sleep(0.3)

            bot.before_saving(monkeypatch, slowly)
            asking = asyncio.create_task(bot.token())
            await saving.wait()
            asking.cancel()
            await bot.workspaces.finish(grace_seconds=60)
            kept = await bot.installs.find(world.TEAM)
            assert kept is not None and kept.bot_token != token


async def test_a_workspace_that_removes_the_app_while_a_renewal_waits_is_unknown(
    state_url: str,
) -> None:
    with FakeSlack(MANIFEST, token_seconds=43_200) as slack:
        async with started(state_url, slack, 1) as (bot,):
            await keep_token(bot, slack)
            assert await bot.installs.turns._begin(world.TEAM, "another process's")
            asking = asyncio.create_task(bot.token())
            while not bot.workspaces._renewal._running:
                await asyncio.sleep(0.01)
            await bot.workspaces.forget(world.TEAM)
            with pytest.raises(UnknownWorkspace):
                await asking
            assert renewals(slack) == 0


async def test_a_process_that_was_killed_amid_its_turn_holds_nobody_up_for_longer_than_a_minute(
    state_url: str,
) -> None:
    engine = pooled_engine(parsed(state_url))
    now = 1000.0
    turns = RenewalTurns(engine, "client", clock=lambda: now)
    await turns.create_table()
    assert await turns._begin("T1", "killed")
    now += 59
    assert not await turns._begin("T1", "next")
    assert await turns._begin("T2", "another workspace's")
    now += 2
    async with turns.turn("T1"):
        assert not await turns._begin("T1", "a third")
        await turns._end("T1", "killed")  # it was not killed after all: the turn is not its own now
        assert not await turns._begin("T1", "a third")
    assert await turns._begin("T1", "a third")
    await turns.forget("T1")
    assert await turns._begin("T1", "a fourth")
    await engine.dispose()


async def test_a_refused_renewal_is_logged_and_the_old_token_is_used_while_it_lives(
    state_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with FakeSlack(MANIFEST, token_seconds=43_200) as slack:
        async with started(state_url, slack, 1) as (bot,):
            token = await keep_token(bot, slack)
            slack.grants[token].refresh_token = "another"
            with caplog.at_level(logging.WARNING):
                assert await bot.token() == token
            assert "can't be renewed (invalid_refresh_token)" in caplog.text
            assert token not in caplog.text


async def test_a_token_that_lives_long_enough_takes_no_turn(state_url: str) -> None:
    with FakeSlack(MANIFEST, token_seconds=43_200) as slack:
        async with started(state_url, slack, 1) as (bot,):
            token = await keep_token(bot, slack, expires_in=43_200)
            assert await bot.installs.turns._begin(world.TEAM, "somebody else")
            assert await bot.token() == token
            assert renewals(slack) == 0
