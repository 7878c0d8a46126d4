"""The store under bad conditions: others that write, cancelled callers, databases that fail."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.state.database import default_url, parsed
from bot.state.records import Usage
from bot.state.store import State
from personae.errors import ConfigError, DiskFull, StateUnavailable
from tests.bot.state.conftest import an_answer, ended

ADA = {"platform": "discord", "server": "S", "person_key": "discord:ada"}


def test_urls_are_taken_with_any_driver_and_without():
    for given in ("postgres://u:p@h/d", "postgresql://u:p@h/d", "postgresql+asyncpg://u:p@h/d"):
        assert parsed(given).render_as_string(hide_password=False) == "postgresql+psycopg://u:p@h/d"
    for given in ("sqlite:////f/bots.db", "sqlite+aiosqlite:////f/bots.db"):
        assert str(parsed(given)) == "sqlite:////f/bots.db"
    assert default_url(Path("/home/me/.personae")) == "sqlite:////home/me/.personae/bots.db"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("my database, password secret", "Write it like postgresql://"),
        ("mysql://me:secret@host/db", "SQLite or PostgreSQL, not in mysql"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
    ],
)
def test_a_url_that_cannot_be_used_is_told_how_to_be(url, sentence):
    with pytest.raises(ConfigError, match=sentence) as caught:
        parsed(url)
    assert "secret" not in str(caught.value)


async def test_two_processes_that_write_lose_nothing(state, state_url):
    program = (
        "import asyncio, sys\n"
        "from bot.state.store import State\n"
        "from tests.bot.state.conftest import Clock\n"
        "from tests.bot.state.test_database import ADA\n"
        "async def main():\n"
        "    async with State.open(sys.argv[1], clock=Clock()) as state:\n"
        "        print('there', flush=True)\n"
        "        sys.stdin.readline()\n"
        "        for _ in range(40):\n"
        "            await state.count_usage(**ADA, requests=1)\n"
        "asyncio.run(main())\n"
    )
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, state_url, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdin is not None and other.stdout is not None
    assert await other.stdout.readline() == b"there\n"
    other.stdin.write(b"go\n")
    await asyncio.gather(*(state.count_usage(**ADA, requests=1) for _ in range(40)))
    await other.communicate()
    assert other.returncode == 0
    used = await state.usage(
        kind="server", platform="discord", server="S", key="S", since_day=state.today()
    )
    assert used == Usage(80, 0)


async def test_a_lock_of_another_program_holds_nothing_up(sqlite_url):
    """While it lasts, writing waits, reading does not, and the event loop runs."""
    async with State.open(sqlite_url) as state:
        another = sqlite3.connect(str(parsed(sqlite_url).database), isolation_level=None)
        another.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(state.claim("discord:1"))
        for _ in range(20):
            assert await state.setting("discord", "S", "", "persona", "pg") == "pg"
        assert not writing.done()
        another.execute("COMMIT")
        another.close()
        assert await writing


async def test_a_caller_that_is_cancelled_leaves_no_half_work(sqlite_url):
    async with State.open(sqlite_url) as state:
        another = sqlite3.connect(str(parsed(sqlite_url).database), isolation_level=None)
        another.execute("BEGIN IMMEDIATE")
        writing = [asyncio.create_task(state.claim(f"discord:{n}")) for n in range(3)]
        await state.setting("discord", "S", "", "persona")
        for task in writing:
            task.cancel()
        assert await asyncio.gather(*writing, return_exceptions=True) != [True] * 3
        another.execute("ROLLBACK")
        another.close()
    async with State.open(sqlite_url) as state:  # closing waited for them
        assert [await state.claim(f"discord:{n}") for n in range(4)] == [False] * 3 + [True]


async def test_connections_and_memory_stay_bounded(state):
    async def objects_after(rounds: int) -> int:
        for number in range(rounds):
            await state.claim(f"discord:{number % 3}")
            await ended(state, an_answer(f"{number}-{state.clock.now}"))
            await state.turns("discord:S:C:T", limit=12)
        state.clock.now += 1
        gc.collect()
        return len(gc.get_objects())

    many = (state.setting("discord", "S", "", "persona") for _ in range(50))
    await asyncio.gather(*many)
    assert state._database._engine.pool.checkedin() <= 5
    await objects_after(20)
    seen = [await objects_after(60) for _ in range(4)]
    # asyncio keeps up to a hundred timers that were cancelled, and weak references to them; threads and
    # caches are made when they are first needed. What is kept of every answer shows in every round.
    assert min(after - before for before, after in pairwise(seen)) < 500
    assert not state._database._running


async def test_a_file_of_the_bots_is_for_its_owner_alone(tmp_path):
    path = tmp_path / "new folder" / "bots.db"
    async with State.open(f"sqlite:///{path}") as state:
        await state.claim("discord:1")
        files = list(path.parent.iterdir())
        assert len(files) == 3  # with SQLite's own two
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


async def test_a_damaged_file_is_told(tmp_path):
    path = tmp_path / "bots.db"
    path.write_bytes(b"these are no tables" * 1000)
    with pytest.raises(StateUnavailable, match="damaged"):
        async with State.open(f"sqlite:///{path}"):
            pass


async def test_a_folder_in_the_place_of_the_file_is_told(tmp_path):
    with pytest.raises(StateUnavailable, match="PERSONAE_HOME"):
        async with State.open(f"sqlite:///{tmp_path}"):
            pass


async def test_a_full_disk_is_told_and_nothing_has_changed(sqlite_url):
    async with State.open(sqlite_url) as state:

        async def no_more_pages(connection: AsyncConnection) -> None:
            await connection.execute(sa.text("PRAGMA max_page_count = 1"))

        await state._database.write(no_more_pages)
        with pytest.raises(DiskFull, match="Free some space"):
            await state.begin_answer(an_answer(1, question="long " * 100_000))
        assert await state.answer("a1") is None


async def test_a_full_disk_of_postgresql_is_told(state):
    async def full(_connection: AsyncConnection) -> None:
        raise sa.exc.OperationalError("INSERT", {}, psycopg.errors.DiskFull("no space"))

    with pytest.raises(DiskFull, match="Free some space"):
        await state._database.write(full)
    assert await state.claim("discord:1")


async def test_a_server_that_is_not_there_is_told_without_its_password():
    with pytest.raises(StateUnavailable, match="PERSONAE_DATABASE_URL") as caught:
        async with State.open("postgresql://me:secret@127.0.0.1:1/db"):
            pass
    assert "secret" not in str(caught.value)


@pytest.mark.postgres
async def test_connections_that_the_server_dropped_are_made_anew(postgres, postgres_url):
    async with State.open(postgres_url) as state:
        assert await state.claim("discord:1")
        postgres.disconnect(postgres_url)
        assert not await state.claim("discord:1")


@pytest.mark.postgres
async def test_a_server_that_goes_away_is_told_and_may_come_back(postgres, new_postgres_url):
    async with State.open(new_postgres_url) as state:
        with (
            postgres.refusing(new_postgres_url),
            pytest.raises(StateUnavailable, match="try again"),
        ):
            await state.claim("discord:1")
        assert await state.claim("discord:1")
