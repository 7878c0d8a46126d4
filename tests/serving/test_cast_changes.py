"""What follows when the cast changes at an awkward moment: adapters of personas that come, change and go."""

from __future__ import annotations

import asyncio
from typing import Any

from personae.errors import DiskFull
from personae.persona import Cast
from serving.adapters import Adapters
from serving.cast_changes import CastChanges
from serving.live_cast import CastChange, LiveCast


def live_cast_of(stage) -> LiveCast:
    """Lincoln and pg, of whom everything that the stage makes from now on takes notice."""
    stage.cast = cast = LiveCast(stage.cast)
    return cast


def members(cast: Cast, *names: str) -> dict[str, Any]:
    return {name: (cast[name], cast.folder(name)) for name in names}


async def lincoln_comes_late(stage) -> tuple[LiveCast, Adapters]:
    """He is in the cast, but was not when the adapters were made."""
    cast = live_cast_of(stage)
    both = members(cast, "lincoln", "pg")
    cast.replace(members(cast, "pg"))
    adapters = await stage.adapters()
    cast.replace(both)
    return cast, adapters


async def test_a_reconciliation_in_between_lets_nothing_speak_that_learnt_other_prompts(stage):
    """It may come before the persona's own task has looked again."""
    cast = live_cast_of(stage)
    adapters = await stage.adapters()
    assert adapters.live_version("lincoln") == "v1"
    before = cast["lincoln"]
    after = before.model_copy(update={"ask": before.ask.model_copy(update={"system": "Be brief."})})
    cast.replace(members(cast, "pg") | {"lincoln": (after, cast.folder("lincoln"))})
    adapters.silence("lincoln")
    await adapters.reconcile()
    assert adapters.live_version("lincoln") is None
    assert "other prompts" in (adapters.problem("lincoln") or "")


async def test_one_that_comes_while_the_engine_gets_ready_goes_live_afterwards(stage):
    """`restore` had its list of personas already."""
    _, adapters = await lincoln_comes_late(stage)
    await adapters.joined("lincoln", engine_ready=False)
    assert stage.loaded() == set()
    await adapters.reconcile()
    assert adapters.live_version("lincoln") == "v1"


async def test_one_that_is_gone_before_it_has_joined_leaves_nothing_in_the_engine(stage):
    """It came back and left again, while its adapters were being copied in."""
    cast = live_cast_of(stage)
    adapters = await stage.adapters()
    assert stage.loaded() == {"lincoln@v1"}
    cast.replace(members(cast, "pg"))
    await adapters.left("lincoln")
    await adapters.joined("lincoln")
    await adapters.reconcile()
    assert stage.loaded() == set()


class FullDisk:
    """A registry that takes nothing in."""

    def import_shipped(self, persona: str, folder: object) -> None:
        raise DiskFull("The disk is full.")


class OneBase:
    """Adapters on an engine that is ready, for everybody; and a retriever that has nothing to do."""

    ready = True

    def __init__(self, adapters: Adapters) -> None:
        self.adapters = adapters
        self.engine = self

    def of(self, persona: str) -> OneBase:
        return self

    async def refresh(self) -> None:
        pass


async def test_a_version_is_looked_for_though_another_could_not_be_copied_in(stage):
    cast, adapters = await lincoln_comes_late(stage)
    base: Any = OneBase(adapters)
    registry: Any = FullDisk()
    metrics: Any = None  # nobody leaves
    changes = CastChanges(cast=cast, bases=base, registry=registry, retriever=base, metrics=metrics)
    await changes.follow(CastChange(joined=["lincoln"], changed=[], left=[], before=Cast([])))
    async with asyncio.timeout(30):
        while adapters.live_version("lincoln") != "v1":
            await asyncio.sleep(0.01)
    await changes.close()
