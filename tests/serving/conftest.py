"""A stage for adapter life cycles: registry, ledger and engine, and as many gateways' worth of
`Adapters` over them as a test wants."""

from __future__ import annotations

from collections.abc import AsyncIterator
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
