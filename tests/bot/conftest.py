"""Databases for the bots' state: an SQLite file, and one in a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from bot.state.database import parsed
from bot.state.schema import bring_up
from bot.state.store import State
from bot.state.tables import VERSION_TABLE
from tests.fakes.postgres import PostgresServer


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'bots.db'}"


@pytest.fixture
def new_postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """A database without tables."""
    with postgres.database() as url:
        yield url


@pytest.fixture(scope="session")
def _migrated(postgres: PostgresServer) -> Iterator[str]:
    with postgres.database() as url:
        bring_up(parsed(url))
        yield url


@pytest.fixture
def postgres_url(postgres: PostgresServer, _migrated: str) -> Iterator[str]:
    """A database whose tables are there and empty: much sooner there than a new one."""
    yield _migrated
    postgres.empty(_migrated, but=VERSION_TABLE)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def state_url(request: pytest.FixtureRequest) -> str:
    """An empty database, of both kinds."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=["sqlite", pytest.param("new_postgres", marks=pytest.mark.postgres)])
def new_url(request: pytest.FixtureRequest) -> str:
    """A database without tables, of both kinds."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
async def state(state_url: str) -> AsyncIterator[State]:
    async with State.open(state_url) as state:
        yield state
