"""Two gateways and two bots, real processes on one PostgreSQL: each question is answered, and once.

The engine is one for both gateways and a fake on the wire; so are the platforms. How many ask:
PERSONAE_TEST_EVENTS (500).
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from pathlib import Path

import aiohttp
import pytest

from tests.bot.bot_process import slowness
from tests.replicas.crowd import bots, platform_of, until_answered
from tests.replicas.replica import Replica, SharedHome, replica
from tests.serving.processes import running

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(1200)]

EVENTS = int(os.environ.get("PERSONAE_TEST_EVENTS", "500"))


async def killed_amid_answers(gateway: Replica, *, at_least: int = 4) -> int:
    """kill -9 as soon as so many answers are under way there; gives how many were."""
    under_way = re.compile(r"^personae_answers_in_engine\{.*\} (\d+)", re.MULTILINE)
    async with asyncio.timeout(120), aiohttp.ClientSession(gateway.url) as http:
        while True:
            async with http.get("/metrics") as response:
                found = under_way.search(await response.text())
            if found is not None and int(found[1]) >= at_least:
                await gateway.kill()
                return int(found[1])
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("name", ["discord", "slack"])
async def test_a_crowd_is_answered_once_though_a_gateway_is_killed(
    name: str, tmp_path: Path, database_url: str
) -> None:
    slow = await slowness()
    async with running("engine", "--tokens=6", "--seconds-between=0.5") as engine:
        home = SharedHome(tmp_path / "home", engine.url)
        async with (
            replica(home, database_url, log=tmp_path / "one.log") as one,
            replica(home, database_url, log=tmp_path / "two.log") as two,
            platform_of(name, slow) as platform,
            bots(platform, f"{one.url},{two.url}", database_url, tmp_path),
        ):
            await platform.ask(0)  # the bots have to learn first which personas there are
            assert (await until_answered(platform, range(1), since=time.monotonic())).lost == []
            began = time.monotonic()
            for number in range(1, EVENTS):
                await platform.ask(number)
                if number == EVENTS // 2:
                    killing = asyncio.create_task(killed_amid_answers(one))
            under_way = await killing
            outcome = await until_answered(platform, range(EVENTS), since=began)
    print(f"\n{name}: {outcome}; {under_way} answers under way in the gateway that was killed;")
    print(f"machine {slow:.1f} times slower than idle")
    assert outcome.lost == [] and outcome.answered_twice == []
    assert outcome.complaints == []
    assert outcome.begun_anew > 0, "none was amid its answer when the gateway was killed"
