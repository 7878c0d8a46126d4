"""Two processes of one bot on one PostgreSQL, and one of them is killed amid its answers."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import psycopg
import pytest

from tests.bot.bot_process import slowness
from tests.fakes.engine import FakeEngine
from tests.replicas.crowd import bots, platform_of, until_answered
from tests.replicas.replica import SharedHome, replica

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(900)]

QUESTIONS = 16


@pytest.mark.parametrize("name", ["discord", "slack"])
async def test_the_other_gives_the_answers_that_were_cut_off(
    name: str, tmp_path: Path, database_url: str
) -> None:
    slow = await slowness()
    async with FakeEngine() as engine:
        engine.words, engine.seconds_between = ["Labor "] * 20, 1.0
        home = SharedHome(tmp_path / "home", engine.url)
        async with (
            replica(home, database_url, log=tmp_path / "one.log") as one,
            platform_of(name, slow) as platform,
            bots(platform, one.url, database_url, tmp_path) as (first, second),
        ):
            began = time.monotonic()
            for number in range(1, QUESTIONS + 1):
                await platform.ask(number)
            async with asyncio.timeout(
                120
            ):  # all are in the engine: their answers are written down
                while engine.running < QUESTIONS:
                    await asyncio.sleep(0.02)
            # Of two that hear every event, one may have been the first to claim them all.
            await max(
                (first, second), key=lambda bot: _open_answers(database_url, bot.process.pid)
            ).kill()
            numbers = range(1, QUESTIONS + 1)
            outcome = await until_answered(platform, numbers, since=began)
    print(f"\n{name}: {outcome}, machine {slow:.1f} times slower than idle")
    assert outcome.lost == [] and outcome.answered_twice == []
    assert outcome.begun_anew > 0, "the killed one gave no answer"


def _open_answers(database_url: str, pid: int) -> int:
    query = (
        "SELECT count(*) FROM bot_answers JOIN bot_processes ON bot_processes.id = bot_answers.process "
        "WHERE bot_answers.state = 'open' AND bot_processes.pid = %s"
    )
    with psycopg.connect(database_url) as connection:
        row = connection.execute(query, (pid,)).fetchone()
    assert row is not None
    return int(row[0])
