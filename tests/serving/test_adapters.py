"""Adapter life cycle on a gateway: what is refused, what is kept warm, what a restart brings back."""

from __future__ import annotations

import pytest

from bot.gateway_client import GatewayClient
from personae.errors import AdapterError, UnknownPersona
from personae.manifest import BaseModelRef
from personae.wire import AdapterChange
from serving.adapters import Adapters
from serving.ledger import Ledger
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


async def test_the_version_before_last_is_unloaded_and_a_leased_one_is_kept(
    gateway: RunningGateway,
):
    adapters = gateway.service.bases.of("lincoln").adapters
    add_adapter(gateway.registry, gateway.cast["lincoln"], 3, gateway.config.home / "scratch")
    with adapters.lease("lincoln") as lease:
        assert lease.version == "v1"
        await adapters.reload("lincoln", AdapterChange(version="v2"))
        await adapters.reload("lincoln", AdapterChange(version="v3"))
        assert "lincoln@v1" in gateway.engine.adapters, "an answer still speaks with it"
        assert lease.engine_model == "lincoln@v1"
    await adapters.rollback("lincoln", CHANGE)
    assert adapters.live_version("lincoln") == "v2"
    assert set(gateway.engine.adapters) & {"lincoln@v1", "lincoln@v2", "lincoln@v3"} == {
        "lincoln@v2",
        "lincoln@v3",
    }


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
