"""Adapter life cycle on a gateway: what is refused, what is kept warm, what a restart brings back."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import sqlite3

import pytest

from bot.core.gateway_client import GatewayClient
from personae.errors import (
    AdapterError,
    DiskFull,
    EngineUnavailable,
    LedgerUnavailable,
    UnknownPersona,
)
from personae.manifest import BaseModelRef
from personae.wire import AdapterChange
from serving.adapters import Adapters
from serving.ledger import Change, Ledger, Pointer
from serving.service import running_service
from tests.conftest import RunningGateway
from tests.fakes.artefacts import BASE, WordEmbedder, add_adapter

CHANGE = AdapterChange(actor="me", surface="cli", reason="test")


async def test_a_damaged_version_is_refused_and_told(gateway: RunningGateway):
    weights = gateway.registry.find("lincoln", 2).folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(AdapterError, match="damaged or edited"):
        await gateway.service.bases.of("lincoln").adapters.reload("lincoln", CHANGE)
    assert gateway.service.bases.of("lincoln").adapters.live_version("lincoln") == "v1"
    assert "lincoln@v2" not in gateway.engine.adapters
    async with GatewayClient(gateway.url, admin_key=gateway.admin_key) as client:
        listed = {p.persona: p for p in (await client.adapters()).personas}["lincoln"]
    assert [v.state for v in listed.versions] == ["live", "unusable"]


async def test_an_engine_that_refuses_leaves_the_live_version(gateway: RunningGateway):
    gateway.engine.refuse_next_load = "rank 8 is greater than max_lora_rank 4"
    with pytest.raises(AdapterError, match="max_lora_rank"):
        await gateway.service.bases.of("lincoln").adapters.reload("lincoln", CHANGE)
    assert gateway.service.bases.of("lincoln").adapters.live_version("lincoln") == "v1"


async def test_a_version_that_says_nothing_is_not_put_in_charge(gateway: RunningGateway):
    gateway.engine.words, gateway.engine.tag = [], False
    with pytest.raises(AdapterError, match="said nothing"):
        await gateway.service.bases.of("lincoln").adapters.reload("lincoln", CHANGE)
    assert "lincoln@v2" not in gateway.engine.adapters


async def test_every_change_is_in_the_history(gateway: RunningGateway):
    adapters = gateway.service.bases.of("lincoln").adapters
    await adapters.reload("lincoln", CHANGE)
    await adapters.rollback("lincoln", CHANGE)
    with pytest.raises(AdapterError):
        await adapters.reload("lincoln", AdapterChange(version="v77", actor="you"))
    with pytest.raises(UnknownPersona):
        await adapters.reload("nobody", CHANGE)
    ledger = Ledger(f"sqlite:///{gateway.config.home / 'state.db'}")
    lines = [(c.action, c.before, c.after, c.actor, c.outcome) for c in ledger.history("lincoln")]
    ledger.close()
    assert lines == [
        ("reload", 1, 1, "you", "refused"),
        ("rollback", 2, 1, "me", "done"),
        ("reload", 1, 2, "me", "done"),
        ("adopt", None, 1, "personae", "done"),
    ]


async def test_a_gateway_that_starts_again_finds_the_pointer(gateway: RunningGateway):
    """What is live is in the ledger, not in the process: v1 after a rollback stays v1."""
    await gateway.service.bases.of("lincoln").adapters.reload("lincoln", CHANGE)
    gateway.engine.restart()
    async with running_service(gateway.config, gateway.cast, embedder=WordEmbedder()) as again:
        await again.wait_ready()
        assert again.bases.of("lincoln").adapters.live_version("lincoln") == "v2"
        assert {"lincoln@v1", "lincoln@v2"} <= set(gateway.engine.adapters)


async def test_a_version_for_another_base_is_not_adopted_and_the_reason_is_kept(
    tmp_path, cast, engine
):
    from personae.registry import Registry
    from serving.engine_client import EngineClient

    registry = Registry(tmp_path / "adapters")
    other = BaseModelRef(id="another-base", weights_sha256="00" * 32)
    add_adapter(registry, cast["lincoln"], 1, tmp_path / "scratch", base=other)
    ledger = Ledger(f"sqlite:///{tmp_path / 'state.db'}")
    async with EngineClient(engine.url) as client:
        adapters = Adapters(
            cast=cast, registry=registry, ledger=ledger, engine=client, base_model=BASE
        )
        await adapters.restore()
        assert adapters.live_version("lincoln") is None
        assert "personae train run lincoln" in (adapters.problem("lincoln") or "")
        with adapters.lease("lincoln") as lease:
            assert (lease.engine_model, lease.version) == (BASE.id, None)
    ledger.close()


# -- changes that can't be recorded --------------------------------------------------------------------


def fill(ledger: Ledger) -> None:
    """Take the last free byte of the database, at the place where a full disk shows: its pages."""
    with ledger._engine.begin() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    line = Change("nobody", "b", "reload", None, None, "me", "cli", "", "refused", "")
    for message in ("x" * 2000, "x"):
        with pytest.raises(DiskFull):
            for _ in range(1000):
                ledger.record(dataclasses.replace(line, message=message))


async def test_a_full_disk_refuses_the_change_and_nothing_moves(stage):
    adapters = await stage.adapters()
    stage.add(2)
    fill(stage.ledger)
    with pytest.raises(DiskFull, match="so the change was not made"):
        await adapters.reload("lincoln", CHANGE)
    assert adapters.live_version("lincoln") == "v1"
    assert adapters.pointer("lincoln") == Pointer(live=1)
    assert stage.ledger.pointer("lincoln", BASE.id) == Pointer(live=1)
    with adapters.lease("lincoln") as lease:
        assert lease.engine_model == "lincoln@v1"


async def test_a_refusal_that_cannot_be_written_down_is_told_all_the_same(stage):
    """The admin hears why the version was refused, not that the history is full."""
    adapters = await stage.adapters()
    weights = stage.add(2).folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    fill(stage.ledger)
    with pytest.raises(AdapterError, match="damaged or edited"):
        await adapters.reload("lincoln", CHANGE)
    assert len(stage.history()) == 1


async def test_a_locked_database_refuses_the_change_and_lets_it_through_later(stage):
    adapters = await stage.adapters()
    stage.add(2)
    with contextlib.closing(sqlite3.connect(stage.folder / "state.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnavailable, match="another program is writing"):
            await adapters.reload("lincoln", CHANGE)
        assert adapters.live_version("lincoln") == "v1"
        other.rollback()
    assert (await adapters.reload("lincoln", CHANGE)).live == "v2"


async def test_a_read_only_database_refuses_the_change_and_still_serves(stage):
    """A gateway whose database may only be read speaks with what is live, and can't change it."""
    await stage.adapters()
    stage.add(2)
    ledger = Ledger(f"sqlite:///file:{stage.folder / 'state.db'}?mode=ro&uri=true")
    adapters = await stage.adapters(ledger=ledger)
    assert adapters.live_version("lincoln") == "v1"
    with pytest.raises(LedgerUnavailable, match="its database is read-only"):
        await adapters.reload("lincoln", CHANGE)
    assert adapters.live_version("lincoln") == "v1"
    ledger.close()


async def test_a_first_version_that_cannot_be_recorded_waits_and_says_so(stage):
    with contextlib.closing(sqlite3.connect(stage.folder / "state.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        adapters = await stage.adapters()
        assert adapters.live_version("lincoln") is None
        assert "another program is writing" in (adapters.problem("lincoln") or "")
        other.rollback()
    await adapters.reconcile()
    assert (adapters.live_version("lincoln"), adapters.problem("lincoln")) == ("v1", None)


# -- an engine that would mix voices -------------------------------------------------------------------


async def test_where_voices_would_mix_the_base_does_not_answer_beside_adapters(stage):
    """pg has no adapter: asking the base while lincoln's is loaded is refused, with what to do."""
    adapters = await stage.adapters(no_base_traffic="Install requirements/cpu.txt.")
    with adapters.lease("lincoln") as lease:
        assert lease.version == "v1"
    with (
        pytest.raises(EngineUnavailable, match="Paul Graham can't answer now"),
        adapters.lease("pg"),
    ):
        pass


async def test_where_voices_would_mix_and_no_adapter_is_loaded_the_base_answers(stage):
    shutil.rmtree(stage.registry.root)
    adapters = await stage.adapters(no_base_traffic="Install requirements/cpu.txt.")
    with adapters.lease("pg") as lease:
        assert lease.version is None
