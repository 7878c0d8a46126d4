"""The engine follows the ledger: after losses, after other gateways' changes, after damage."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from personae.errors import AdapterError, NothingToRollBack
from personae.wire import AdapterChange
from serving.engine_client import EngineClient
from serving.engine_host import EngineHost
from serving.ledger import Pointer
from serving.reconciler import keep_reconciled
from tests.conftest import gateway_config
from tests.fakes.artefacts import BASE, WordEmbedder

CHANGE = AdapterChange(actor="me", surface="cli", reason="test")


# -- what goes -----------------------------------------------------------------------------------------


async def test_a_version_nobody_needs_is_unloaded_when_its_last_answer_ended(stage):
    adapters = await stage.adapters()
    stage.add(2)
    stage.add(3)
    with adapters.lease("lincoln") as lease:
        await adapters.reload("lincoln", AdapterChange(version="v2"))
        await adapters.reload("lincoln", AdapterChange(version="v3"))
        await adapters.reconcile()
        assert lease.engine_model == "lincoln@v1"
        assert stage.loaded() == {"lincoln@v1", "lincoln@v2", "lincoln@v3"}
    await adapters.reconcile()
    assert stage.loaded() == {"lincoln@v2", "lincoln@v3"}, "live, and the one before"


async def test_a_grace_is_given_first(stage):
    adapters = await stage.adapters(unload_grace_seconds=3600)
    stage.add(2)
    stage.add(3)
    await adapters.reload("lincoln", AdapterChange(version="v2"))
    await adapters.reload("lincoln", AdapterChange(version="v3"))
    for _ in range(3):
        await adapters.reconcile()
    assert "lincoln@v1" in stage.loaded()


async def test_what_a_failed_change_left_in_the_engine_goes_too(stage):
    """Names of our personas that no pointer needs; those of others are not ours to touch."""
    adapters = await stage.adapters()
    stage.engine.adapters |= {"lincoln@v9": "/nowhere", "somebody@v1": "/nowhere"}
    await adapters.reconcile()
    assert stage.loaded() == {"lincoln@v1", "somebody@v1"}


# -- what comes back -----------------------------------------------------------------------------------


async def test_adapters_the_engine_lost_are_loaded_again(stage):
    adapters = await stage.adapters()
    stage.add(2)
    await adapters.reload("lincoln", CHANGE)
    stage.engine.restart()
    await adapters.reconcile()
    assert stage.loaded() == {"lincoln@v1", "lincoln@v2"}


async def test_a_question_that_meets_the_loss_first_is_answered_all_the_same(stage):
    """The engine says 404; the version is loaded again and the question asked again, once for all."""
    adapters = await stage.adapters()
    client = stage.client
    stage.engine.restart()

    async def ask() -> str:
        with adapters.lease("lincoln") as lease:
            stream = client.stream(
                lease.engine_model,
                [{"role": "user", "content": "Who?"}],
                {},
                first_token_seconds=5,
                between_tokens_seconds=5,
            )
            async with stream:
                return await stream.read()

    said = await asyncio.gather(*(ask() for _ in range(4)))
    assert all(text.startswith("[lincoln@v1]") for text in said)
    assert stage.loaded() == {"lincoln@v1"}


async def test_a_fallback_is_told_and_ends_when_the_folder_comes_back(stage):
    """The pointer is the wish and stays; the problem tells what is."""
    adapters = await stage.adapters()
    folder = stage.add(2).folder
    await adapters.reload("lincoln", CHANGE)
    folder.rename(stage.folder / "aside")
    stage.engine.restart()
    await adapters.restore()
    assert adapters.live_version("lincoln") == "v1"
    assert adapters.pointer("lincoln") == Pointer(live=2, previous=1)
    problem = adapters.problem("lincoln") or ""
    assert "should speak with v2" in problem and "There are: v1" in problem
    assert problem.endswith("Until then it speaks with v1.")
    await adapters.reconcile()
    await adapters.reconcile()
    (stage.folder / "aside").rename(folder)
    await adapters.reconcile()
    assert (adapters.live_version("lincoln"), adapters.problem("lincoln")) == ("v2", None)
    assert stage.history()[2:] == [
        ("fallback", 2, 1, "personae", "done"),
        ("restore", 1, 2, "personae", "done"),
    ]


async def test_a_damaged_live_version_without_another_leaves_the_base_and_a_reason(stage):
    adapters = await stage.adapters()
    weights = stage.registry.find("lincoln", 1).folder / "adapter_model.safetensors"
    sound = weights.read_bytes()
    weights.write_bytes(sound[:-4])
    stage.engine.restart()
    await adapters.restore()
    assert adapters.live_version("lincoln") is None
    problem = adapters.problem("lincoln") or ""
    assert "damaged or edited" in problem and "by prompt only" in problem
    with adapters.lease("lincoln") as lease:
        assert lease.engine_model == BASE.id
    weights.write_bytes(sound)
    await adapters.reconcile()
    assert (adapters.live_version("lincoln"), adapters.problem("lincoln")) == ("v1", None)


async def test_rollback_from_a_broken_version_makes_the_fallback_official(stage):
    adapters = await stage.adapters()
    folder = stage.add(2).folder
    await adapters.reload("lincoln", CHANGE)
    shutil.rmtree(folder)
    stage.engine.restart()
    await adapters.restore()
    outcome = await adapters.rollback("lincoln", CHANGE)
    assert (outcome.live, adapters.problem("lincoln")) == ("v1", None)


# -- rollback ------------------------------------------------------------------------------------------


async def test_rollback_to_a_loaded_version_reads_and_asks_nothing(stage):
    adapters = await stage.adapters()
    folder = stage.registry.find("lincoln", 1).folder
    stage.add(2)
    await adapters.reload("lincoln", CHANGE)
    shutil.rmtree(folder)
    asked = len(stage.engine.requests)
    assert (await adapters.rollback("lincoln", CHANGE)).live == "v1"
    assert len(stage.engine.requests) == asked
    with adapters.lease("lincoln") as lease:
        assert lease.engine_model == "lincoln@v1"


async def test_rollback_does_not_go_to_a_version_that_is_gone_from_engine_and_disk(stage):
    adapters = await stage.adapters()
    folder = stage.registry.find("lincoln", 1).folder
    stage.add(2)
    await adapters.reload("lincoln", CHANGE)
    shutil.rmtree(folder)
    del stage.engine.adapters["lincoln@v1"]
    with pytest.raises(AdapterError, match="no version v1"):
        await adapters.rollback("lincoln", CHANGE)
    assert adapters.live_version("lincoln") == "v2"


async def test_rollback_of_the_first_version_is_refused(stage):
    adapters = await stage.adapters()
    with pytest.raises(NothingToRollBack):
        await adapters.rollback("lincoln", CHANGE)


# -- two gateways on one ledger ------------------------------------------------------------------------


async def test_another_gateway_s_change_is_followed(stage):
    one, two = await stage.adapters(), await stage.adapters()
    stage.add(2)
    await one.reload("lincoln", CHANGE)
    assert two.live_version("lincoln") == "v1"
    await two.reconcile()
    assert two.live_version("lincoln") == "v2"
    await two.rollback("lincoln", CHANGE)
    await one.reconcile()
    assert one.live_version("lincoln") == "v1"
    actions = [line[0] for line in stage.history()]
    assert actions == ["adopt", "reload", "rollback"], "who follows writes no history"


async def test_who_has_not_seen_the_other_s_change_does_not_overwrite_it(stage):
    one, two = await stage.adapters(), await stage.adapters()
    stage.add(2)
    stage.add(3)
    await one.reload("lincoln", AdapterChange(version="v2"))
    with pytest.raises(AdapterError, match="Somebody else changed lincoln"):
        await two.reload("lincoln", AdapterChange(version="v3"))
    assert stage.ledger.pointer("lincoln", BASE.id) == Pointer(live=2, previous=1)
    await two.reconcile()
    await two.reconcile()
    assert two.live_version("lincoln") == "v2" and "lincoln@v3" not in stage.loaded()


async def test_a_persona_that_is_being_changed_is_left_alone(stage):
    """Reconciling during a reload neither waits for it nor takes its version away."""
    adapters = await stage.adapters()
    stage.add(2)
    stage.engine.hang_after = 0
    reload = asyncio.create_task(adapters.reload("lincoln", CHANGE))
    while "lincoln@v2" not in stage.loaded():
        await asyncio.sleep(0.01)
    async with asyncio.timeout(30):
        await adapters.reconcile()
    assert "lincoln@v2" in stage.loaded() and not reload.done()
    reload.cancel()
    await asyncio.wait([reload])
    await adapters.reconcile()
    assert stage.loaded() == {"lincoln@v1"}


# -- watch mode ----------------------------------------------------------------------------------------


async def test_a_new_version_goes_live_by_itself_only_when_wanted(stage):
    plain, watching = await stage.adapters(), await stage.adapters(watch=True)
    stage.add(2)
    await plain.reconcile()
    assert plain.live_version("lincoln") == "v1"
    await watching.reconcile()
    assert watching.live_version("lincoln") == "v2"
    assert stage.history()[-1] == ("reload", 1, 2, "watch", "done")


async def test_watching_does_not_undo_a_rollback(stage):
    adapters = await stage.adapters(watch=True)
    stage.add(2)
    await adapters.reconcile()
    await adapters.rollback("lincoln", CHANGE)
    await adapters.reconcile()
    assert adapters.live_version("lincoln") == "v1"
    again = await stage.adapters(watch=True)
    await again.reconcile()
    assert again.live_version("lincoln") == "v1", "nor does a gateway that starts again"


async def test_a_refused_version_is_tried_again_when_its_folder_changes(stage):
    adapters = await stage.adapters(watch=True)
    weights = stage.add(2).folder / "adapter_model.safetensors"
    sound = weights.read_bytes()
    weights.write_bytes(sound[:-4])
    for _ in range(3):
        await adapters.reconcile()
    assert [line for line in stage.history() if line[4] == "refused"] == [
        ("reload", 1, 1, "watch", "refused")
    ]
    weights.write_bytes(sound)
    await adapters.reconcile()
    assert adapters.live_version("lincoln") == "v2"


# -- the task ------------------------------------------------------------------------------------------


async def test_the_gateway_reconciles_by_itself(tmp_path, cast, engine):
    """Through the configuration, in a running service: what the engine lost comes back."""
    from personae.registry import Registry
    from serving.service import running_service
    from tests.fakes.artefacts import add_adapter

    extra = "[adapters]\nreconcile_seconds = 0.05\nunload_grace_seconds = 0\nwatch = true\n"
    config = gateway_config(tmp_path, engine.url, extra=extra)
    add_adapter(Registry(config.adapters), cast["lincoln"], 1, tmp_path / "scratch")
    async with running_service(config, cast, embedder=WordEmbedder()) as service:
        await service.wait_ready()
        engine.restart()
        add_adapter(Registry(config.adapters), cast["lincoln"], 2, tmp_path / "scratch")
        adapters = service.bases.of("lincoln").adapters
        async with asyncio.timeout(20):
            while adapters.live_version("lincoln") != "v2":
                await asyncio.sleep(0.02)
            while not {"lincoln@v1", "lincoln@v2"} <= set(engine.adapters):
                await asyncio.sleep(0.02)


async def test_an_engine_that_is_away_does_not_end_the_task(stage):
    adapters = await stage.adapters()

    async def nothing() -> None:
        pass

    async with EngineClient("http://127.0.0.1:9") as client:
        host = EngineHost(client, child=None, base_model="m", start_seconds=1, on_ready=nothing)
        host.ready = True
        await stage.stack.aclose()  # the client of `adapters` too
        task = asyncio.create_task(keep_reconciled(adapters, host, every_seconds=0.01))
        await asyncio.sleep(0.1)
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])
