"""A desk over a scripted gateway, with a state of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.core.desk import Desk
from bot.state.store import State
from tests.bot.core.bench import FakeClock, ScriptedGateway, running_desk, said, scripted_gateway


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def state(tmp_path: Path, clock: FakeClock) -> AsyncIterator[State]:
    async with State.open(f"sqlite:///{tmp_path / 'bots.db'}", clock=clock) as state:
        yield state


@pytest.fixture
async def script() -> AsyncIterator[ScriptedGateway]:
    async with scripted_gateway(said("We must ", "think ", "anew.")) as gateway:
        yield gateway


@pytest.fixture
async def desk(script: ScriptedGateway, state: State, clock: FakeClock) -> AsyncIterator[Desk]:
    async with running_desk(script.url, state, clock=clock) as desk:
        yield desk
