"""Two gateways, real processes on one PostgreSQL and one engine: a change at one is seen by the other."""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path

import pytest

from bot.core.gateway_client import GatewayClient
from personae.wire import AdapterChange, AskRequest, Done, ErrorEvent, Meta
from tests.bot.bot_process import slowness
from tests.fakes.engine import FakeEngine
from tests.replicas.replica import Replica, SharedHome, replica

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(900)]

KEY = "test-admin-key"
QUICKLY_GONE = "[adapters]\nunload_grace_seconds = 1\nreconcile_seconds = 0.5\n"
_PATIENCE_SECONDS = 60.0


def client_of(gateway: Replica) -> GatewayClient:
    return GatewayClient(gateway.url, admin_key=KEY)


async def speaks_with(client: GatewayClient, persona: str, version: str) -> float:
    """How long it took until this is the version that speaks."""
    began = time.monotonic()
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            cards = (await client.personas()).personas
            if any(its.id == persona and its.adapter_version == version for its in cards):
                return time.monotonic() - began
            await asyncio.sleep(0.02)


async def test_reload_and_rollback_are_seen_by_both(tmp_path: Path, database_url: str) -> None:
    slow = await slowness()
    async with FakeEngine() as engine:
        home = SharedHome(tmp_path / "home", engine.url)
        async with (
            replica(home, database_url, log=tmp_path / "one.log") as one,
            replica(home, database_url, log=tmp_path / "two.log") as two,
            client_of(one) as here,
            client_of(two) as there,
        ):
            home.add("lincoln", 2)
            seconds = []
            for _ in range(5):
                assert (await here.reload("lincoln", AdapterChange(version="v2"))).live == "v2"
                seconds.append(await speaks_with(there, "lincoln", "v2"))
                assert (await there.rollback("lincoln", AdapterChange())).live == "v1"
                seconds.append(await speaks_with(here, "lincoln", "v1"))
            history = (await here.history("lincoln")).entries
    told = f"median {statistics.median(seconds):.2f} s, largest {max(seconds):.2f} s"
    print(f"\nseen by the other gateway after: {told}; machine {slow:.1f} times slower than idle")
    assert [entry.outcome for entry in history] == ["done"] * 11, "adopted once, changed ten times"


async def test_nobody_s_answer_suffers_from_what_the_other_unloads(
    tmp_path: Path, database_url: str
) -> None:
    """People ask both all the time, while versions come and go in the engine that both use."""
    async with FakeEngine() as engine:
        engine.words, engine.seconds_between = ["Labor "] * 20, 0.02
        home = SharedHome(tmp_path / "home", engine.url, extra=QUICKLY_GONE)
        async with (
            replica(home, database_url, log=tmp_path / "one.log") as one,
            replica(home, database_url, log=tmp_path / "two.log") as two,
            client_of(one) as here,
            client_of(two) as there,
        ):
            spoke: list[str | None] = []
            stop = asyncio.Event()

            async def asks(client: GatewayClient) -> None:
                request = AskRequest(persona="lincoln", question="What of labor?")
                while not stop.is_set():
                    got = [event async for event in client.stream(request)]
                    assert isinstance(got[-1], Done), got[-1]
                    spoke.extend(its.adapter_version for its in got if isinstance(its, Meta))

            asking = [asyncio.create_task(asks(client)) for client in (here, there) * 2]
            for version in (2, 3, 4):
                home.add("lincoln", version)
                await here.reload("lincoln", AdapterChange(version=f"v{version}"))
                await speaks_with(there, "lincoln", f"v{version}")
                await asyncio.sleep(1.0)
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while {"lincoln@v1", "lincoln@v2"} & set(engine.adapters):
                    await asyncio.sleep(0.1)
            stop.set()
            await asyncio.gather(*asking)
            assert {"lincoln@v3", "lincoln@v4"} <= set(engine.adapters)
            assert {"v1", "v2", "v3", "v4"} <= set(spoke) and None not in spoke

            # A gateway that is killed says nothing; what it held goes once it has been silent.
            await two.kill()
            home.add("lincoln", 5)
            await here.reload("lincoln", AdapterChange(version="v5"))
            async with asyncio.timeout(2 * _PATIENCE_SECONDS):
                while "lincoln@v3" in engine.adapters:
                    await asyncio.sleep(0.2)
            assert {"lincoln@v4", "lincoln@v5"} <= set(engine.adapters)


async def test_the_only_gateway_restarts_amid_an_answer(tmp_path: Path, database_url: str) -> None:
    """Killed, and started again at the same address: whoever waits gets the whole answer."""
    async with FakeEngine() as engine:
        engine.words, engine.seconds_between = ["Labor "] * 40, 0.1
        home = SharedHome(tmp_path / "home", engine.url)
        log = tmp_path / "gateway.log"
        async with replica(home, database_url, log=log) as first:
            port = int(first.url.rpartition(":")[2])
            async with GatewayClient(first.url, restart_seconds=60) as client:
                request = AskRequest(persona="lincoln", question="What of labor?")
                answering = asyncio.create_task(_all_of(client, request))
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    while not engine.running:
                        await asyncio.sleep(0.01)
                await first.kill()
                async with replica(home, database_url, log=log, port=port):
                    got = await answering
    assert isinstance(got[-1], Done) and not any(isinstance(its, ErrorEvent) for its in got)


async def _all_of(client: GatewayClient, request: AskRequest) -> list[object]:
    return [event async for event in client.stream(request)]
