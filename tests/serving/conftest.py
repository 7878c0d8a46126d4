"""A stage for adapter life cycles: registry, ledger and engine, and as many gateways' worth of
`Adapters` over them as a test wants."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from personae.persona import Cast
from personae.registry import RegisteredVersion, Registry
from serving.adapters import Adapters
from serving.engine_client import EngineClient
from serving.ledger import Ledger
from tests.fakes.artefacts import BASE, add_adapter
from tests.fakes.engine import FakeEngine
from tests.fakes.postgres import PostgresServer


@dataclass
class Stage:
    cast: Cast
    """lincoln and pg."""
    registry: Registry
    ledger: Ledger
    engine: FakeEngine
    folder: Path
    stack: AsyncExitStack
    client: EngineClient | None = None
    """Of the `Adapters` made last."""

    def add(self, version: int, **options: Any) -> RegisteredVersion:
        """A version of lincoln in the registry."""
        return add_adapter(
            self.registry, self.cast["lincoln"], version, self.folder / "scratch", **options
        )

    async def adapters(self, **options: Any) -> Adapters:
        """Those of one gateway process, restored; without a grace, so that a test need not wait."""
        self.client = client = await self.stack.enter_async_context(EngineClient(self.engine.url))
        settings = {"ledger": self.ledger, "unload_grace_seconds": 0.0} | options
        adapters = Adapters(
            cast=self.cast, registry=self.registry, engine=client, base_model=BASE, **settings
        )
        await adapters.restore()
        return adapters

    def history(self) -> list[tuple[Any, ...]]:
        """Oldest first: action, from, to, by whom, outcome."""
        lines = reversed(self.ledger.history("lincoln"))
        return [(line.action, line.before, line.after, line.actor, line.outcome) for line in lines]

    def loaded(self) -> set[str]:
        return set(self.engine.adapters)


@pytest.fixture
async def stage(tmp_path: Path, cast: Cast, engine: FakeEngine) -> AsyncIterator[Stage]:
    """Lincoln has v1 in the registry."""
    async with AsyncExitStack() as stack:
        ledger = Ledger(f"sqlite:///{tmp_path / 'state.db'}", busy_seconds=0.1)
        stack.callback(ledger.close)
        stage = Stage(
            cast=cast.only(["lincoln", "pg"]),
            registry=Registry(tmp_path / "adapters"),
            ledger=ledger,
            engine=engine,
            folder=tmp_path,
            stack=stack,
        )
        stage.add(1)
        yield stage


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'state.db'}"


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """A database without tables."""
    with postgres.database() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database, of both kinds."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def ledger(database: str) -> Iterator[Ledger]:
    ledger = Ledger(database, busy_seconds=0.1)
    yield ledger
    ledger.close()


@pytest.fixture
def sqlite_ledger(sqlite_url: str) -> Iterator[Ledger]:
    ledger = Ledger(sqlite_url, busy_seconds=0.1)
    yield ledger
    ledger.close()
