"""Gateways that share an engine: what one of them needs no other unloads, and what nobody needs goes."""

from __future__ import annotations

import asyncio
import threading

import pytest
import sqlalchemy as sa

from personae.errors import AdapterError
from personae.wire import AdapterChange
from serving.engine_client import EngineClient
from serving.engine_host import EngineHost
from serving.holders import Holders, sharing
from serving.ledger import Ledger
from serving.reconciler import keep_followed
from tests.fakes.artefacts import BASE

CHANGE = AdapterChange(actor="me", surface="cli")
NAME = "lincoln@v1"


def two(ledger: Ledger) -> tuple[Holders, Holders]:
    """Of two gateways on one engine."""
    return (
        Holders(ledger.database, base_model=BASE.id),
        Holders(ledger.database, base_model=BASE.id),
    )


async def test_who_lets_go_last_unloads(ledger):
    one, other = two(ledger)
    await one.hold(NAME)
    await other.hold(NAME)
    assert not await one.let_go(NAME)
    assert await other.let_go(NAME)
    await other.unloaded(NAME)


async def test_another_base_model_is_another_engine(ledger):
    one = Holders(ledger.database, base_model=BASE.id)
    other = Holders(ledger.database, base_model="another")
    await other.hold(NAME)
    assert await one.let_go(NAME)


async def test_who_wants_it_waits_while_another_unloads_it(ledger):
    one, other = two(ledger)
    assert await one.let_go(NAME)
    holding = asyncio.create_task(other.hold(NAME))
    await asyncio.sleep(0.3)
    assert not holding.done()
    await one.unloaded(NAME)
    await holding
    assert not await one.let_go(NAME)


async def test_of_two_that_let_go_at_once_one_unloads(ledger):
    one, other = two(ledger)
    await one.hold(NAME)
    await other.hold(NAME)
    went = await asyncio.gather(one.let_go(NAME), other.let_go(NAME))
    assert any(went), "or it would stay for ever"


async def test_a_gateway_that_died_holds_nothing_after_a_while(ledger):
    one, dead = two(ledger)
    await dead.hold(NAME)
    with ledger.database.begin() as connection:
        connection.execute(sa.text("UPDATE adapter_holders SET seen_at = seen_at - 31"))
    assert await one.let_go(NAME)


async def test_one_that_ends_in_order_holds_nothing_at_once(ledger):
    one = Holders(ledger.database, base_model=BASE.id)
    async with sharing(ledger.database, base_model=BASE.id) as ending:
        await ending.hold(NAME)
        assert not await one.let_go(NAME)
    assert await one.let_go(NAME)


async def test_signs_of_life_bring_back_what_was_lost(ledger):
    """A database that was away, or a long pause: what is held is told again."""
    one = Holders(ledger.database, base_model=BASE.id)
    async with sharing(ledger.database, base_model=BASE.id, every_seconds=0.02) as living:
        await living.hold(NAME)
        with ledger.database.begin() as connection:
            connection.execute(sa.text("DELETE FROM adapter_holders"))
        async with asyncio.timeout(30):
            while await one.let_go(NAME):
                await one.unloaded(NAME)
                await asyncio.sleep(0.02)


class SlowToSign(Holders):
    """The database takes its time over a sign of life; the rows to write are known by then."""

    def __init__(self, database: sa.Engine) -> None:
        super().__init__(database, base_model=BASE.id)
        self.signing, self.may_sign = threading.Event(), threading.Event()

    def _sign(self, names: list[str]) -> None:
        self.signing.set()
        assert self.may_sign.wait(20)
        super()._sign(names)


async def test_a_slow_sign_of_life_does_not_hold_what_was_let_go_meanwhile(ledger):
    one, slow = Holders(ledger.database, base_model=BASE.id), SlowToSign(ledger.database)
    await slow.hold(NAME)
    living = asyncio.create_task(slow.keep(every_seconds=0.01))
    await asyncio.to_thread(slow.signing.wait, 20)

    async def unload() -> None:
        assert await slow.let_go(NAME)
        await slow.unloaded(NAME)

    unloading = asyncio.create_task(unload())
    await asyncio.wait({unloading}, timeout=0.4)
    slow.may_sign.set()
    await unloading
    living.cancel()
    await asyncio.wait({living})
    assert await one.let_go(NAME), "or it would stay loaded, held by nobody"


async def test_a_database_that_fails_keeps_everything_loaded(sqlite_ledger):
    holders = Holders(sqlite_ledger.database, base_model=BASE.id)
    with sqlite_ledger.database.begin() as connection:
        connection.execute(sa.text("DROP TABLE adapter_holders"))
    await holders.hold(NAME)
    assert not await holders.let_go(NAME)


# -- the life cycle over a shared engine ---------------------------------------------------------------


async def shared_adapters(stage, **options):
    """Those of a gateway that shares its engine."""
    return await stage.adapters(
        holders=Holders(stage.ledger.database, base_model=BASE.id), **options
    )


async def test_what_another_gateway_still_speaks_with_stays(stage):
    one, other = await shared_adapters(stage), await shared_adapters(stage)
    for version in (2, 3):
        stage.add(version)
        await one.reload("lincoln", AdapterChange(version=f"v{version}"))
    await one.reconcile()
    assert NAME in stage.loaded(), "the other has not seen the change and speaks with it"
    await other.follow("lincoln")
    await other.reconcile()
    await one.reconcile()
    assert stage.loaded() == {"lincoln@v2", "lincoln@v3"}


async def test_a_version_that_fails_at_one_gateway_is_not_taken_from_the_other(stage):
    one = await shared_adapters(stage)
    stage.engine.deaf_to_adapters = True
    client = stage.client
    other = await shared_adapters(stage)
    assert other.live_version("lincoln") is None, "its canary failed"
    assert client is not None and NAME in await client.models()
    assert one.live_version("lincoln") == "v1"
    with pytest.raises(AdapterError):
        await other.reload("lincoln", CHANGE)
    assert NAME in stage.loaded()


# -- the pointer is followed ---------------------------------------------------------------------------


async def test_a_change_elsewhere_is_seen_by_itself(stage):
    one, other = await stage.adapters(), await stage.adapters()
    assert await other.changed_elsewhere() == []
    async with following(other):
        stage.add(2)
        await one.reload("lincoln", CHANGE)
        async with asyncio.timeout(30):
            while other.live_version("lincoln") != "v2":
                await asyncio.sleep(0.01)
        await one.rollback("lincoln", CHANGE)
        async with asyncio.timeout(30):
            while other.live_version("lincoln") != "v1":
                await asyncio.sleep(0.01)
    assert [line[0] for line in stage.history()] == ["adopt", "reload", "rollback"]


async def test_a_version_that_can_t_be_had_is_asked_for_once_not_twice_a_second(stage):
    """The reconciliation tries again; following tells of changes only."""
    one, other = await stage.adapters(), await stage.adapters()
    folder = stage.add(2).folder
    await one.reload("lincoln", CHANGE)
    folder.rename(stage.folder / "aside")
    stage.engine.restart()
    await other.follow("lincoln")
    assert other.live_version("lincoln") == "v1" and other.problem("lincoln")
    assert await other.changed_elsewhere() == []


async def test_two_that_watch_take_up_a_new_version_once(stage):
    one, other = await stage.adapters(watch=True), await stage.adapters(watch=True)
    stage.add(2)
    await asyncio.gather(one.reconcile(), other.reconcile())
    for gateway in (one, other):  # who found it taken up already learns of it twice a second
        await gateway.follow("lincoln")
    assert (one.live_version("lincoln"), other.live_version("lincoln")) == ("v2", "v2")
    assert [(line[0], line[4]) for line in stage.history()] == [
        ("adopt", "done"),
        ("reload", "done"),
    ]


class following:
    """`keep_followed` at work, on an engine that is ready."""

    def __init__(self, adapters):
        self._adapters = adapters

    async def __aenter__(self):
        async def nothing() -> None:
            pass

        self._client = EngineClient("http://127.0.0.1:9")
        host = EngineHost(
            self._client, child=None, base_model="m", start_seconds=1, on_ready=nothing
        )
        host.ready = True
        self._task = asyncio.create_task(keep_followed(self._adapters, host, every_seconds=0.02))

    async def __aexit__(self, *_):
        self._task.cancel()
        await asyncio.wait({self._task})
