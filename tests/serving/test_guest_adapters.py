"""Voices beside the live ones: a conversation goes on with the version it began with, while it can be had."""

from __future__ import annotations

import asyncio
import contextlib
import shutil

import pytest

from personae.errors import EngineUnavailable
from personae.wire import AdapterChange
from serving.adapters import Adapters, Lease
from serving.wishes import Wish

CHANGE = AdapterChange(actor="me", surface="cli", reason="test")


async def lease_of(adapters: Adapters, wish: Wish, persona: str = "lincoln") -> Lease:
    """What a request with this wish speaks with."""
    async with adapters.prepared(persona, wish) as choice:
        with adapters.lease(persona, choice) as lease:
            return lease


async def reloaded(adapters: Adapters, *versions: str) -> None:
    for version in versions:
        await adapters.reload("lincoln", AdapterChange(version=version))


# -- what can be had -----------------------------------------------------------------------------------


async def test_a_wish_for_the_live_version_asks_nothing_of_the_engine(stage):
    adapters = await stage.adapters()
    asked, loads = len(stage.engine.requests), len(stage.engine.loads)
    for version in (None, "v1", "1"):
        lease = await lease_of(adapters, Wish(version))
        assert (lease.engine_model, lease.version, lease.notice) == ("lincoln@v1", "v1", None)
    assert (len(stage.engine.requests), len(stage.engine.loads)) == (asked, loads)


async def test_a_version_that_is_loaded_goes_on_after_a_reload_and_after_a_rollback(stage):
    adapters = await stage.adapters()
    stage.add(2)
    await reloaded(adapters, "v2")
    loads = len(stage.engine.loads)
    assert (await lease_of(adapters, Wish("v1"))).version == "v1"
    await adapters.rollback("lincoln", CHANGE)
    assert (await lease_of(adapters, Wish("v2"))).version == "v2"
    assert (await lease_of(adapters, Wish())).version == "v1"
    assert len(stage.engine.loads) == loads


async def test_a_version_that_was_unloaded_is_loaded_again_and_goes_when_it_is_idle(stage):
    adapters = await stage.adapters()
    stage.add(2)
    stage.add(3)
    await reloaded(adapters, "v2", "v3")
    await adapters.reconcile()
    assert stage.loaded() == {"lincoln@v2", "lincoln@v3"}
    async with adapters.prepared("lincoln", Wish("v1")) as choice:
        await adapters.reconcile()
        with adapters.lease("lincoln", choice) as lease:
            assert (lease.engine_model, lease.notice) == ("lincoln@v1", None)
            await adapters.reconcile()
            assert "lincoln@v1" in stage.loaded()
    await adapters.reconcile()
    assert stage.loaded() == {"lincoln@v2", "lincoln@v3"}
    assert adapters.live_version("lincoln") == "v3"


async def test_a_guest_gets_a_grace_as_any_version(stage):
    adapters = await stage.adapters(unload_grace_seconds=3600)
    stage.add(2)
    await lease_of(adapters, Wish("v2"))
    for _ in range(3):
        await adapters.reconcile()
    assert "lincoln@v2" in stage.loaded()


async def test_a_guest_is_asked_by_the_canary_once_for_each_engine(stage):
    """One that this engine has applied rightly need not prove it again, while its files are the same."""
    adapters = await stage.adapters()
    stage.add(2)

    async def questions() -> int:
        before = len(stage.engine.requests)
        assert (await lease_of(adapters, Wish("v2"))).version == "v2"
        await adapters.reconcile()
        assert "lincoln@v2" not in stage.loaded()
        return len(stage.engine.requests) - before

    first = await questions()
    assert first > 0
    assert await questions() == 0
    stage.engine.restart()
    await adapters.reconcile()
    assert await questions() == first, "the engine may be another one now"


async def test_a_persona_by_prompt_only_can_go_on_with_a_version(stage):
    """Nothing is live, and a version that a conversation began with is still there."""
    adapters = await stage.adapters()
    folder = stage.add(2).folder
    await reloaded(adapters, "v2")
    shutil.rmtree(stage.registry.find("lincoln", 1).folder)
    folder.rename(stage.folder / "aside")
    stage.engine.restart()
    await adapters.restore()
    assert adapters.live_version("lincoln") is None
    stage.add(3)
    assert (await lease_of(adapters, Wish("v3"))).version == "v3"
    lease = await lease_of(adapters, Wish("v1"))
    assert lease.version is None and "v1" in (lease.notice or "")
    assert (lease.notice or "").endswith("so the model answers by prompt only.")


# -- what can't ----------------------------------------------------------------------------------------


async def test_what_cannot_be_had_is_told_and_the_live_version_speaks(stage):
    adapters = await stage.adapters()
    weights = stage.add(2).folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    stage.add(3, prompt_fingerprint="00" * 32)
    stage.add(4)
    shutil.rmtree(stage.registry.find("lincoln", 4).folder)
    expected = {
        "v2": "This conversation began with v2, which can't be used any more, so v1 answers.",
        "v3": "This conversation began with v3, which can't be used any more, so v1 answers.",
        "v4": "This conversation began with v4, which is not there any more, so v1 answers.",
        "?": "This conversation began with a version that is not known here, so v1 answers.",
    }
    for version, notice in expected.items():
        lease = await lease_of(adapters, Wish(version))
        assert (lease.engine_model, lease.notice) == ("lincoln@v1", notice)
    assert stage.loaded() == {"lincoln@v1"}


async def test_one_that_failed_is_not_read_again_for_every_question(stage):
    adapters = await stage.adapters()
    stage.add(2)
    stage.engine.refuse_next_load = "rank 8 is greater than max_lora_rank 4"
    loads = len(stage.engine.loads)
    for _ in range(3):
        assert (await lease_of(adapters, Wish("v2"))).version == "v1"
    assert len(stage.engine.loads) == loads + 1


async def test_an_engine_that_is_away_leaves_the_live_version_to_speak(stage):
    adapters = await stage.adapters()
    stage.add(2)
    await stage.engine.__aexit__()
    lease = await lease_of(adapters, Wish("v2"))
    assert (lease.version, "not loaded yet" in (lease.notice or "")) == ("v1", True)


async def test_versions_that_never_were_leave_no_trace(stage):
    """A client may name as many as it likes."""
    adapters = await stage.adapters()
    for number in range(100, 110):
        assert (await lease_of(adapters, Wish(f"v{number}"))).version == "v1"
    loaded = adapters._loaded
    held = (
        loaded._last_held,
        loaded._leases,
        loaded._turns,
        loaded._failures,
        adapters._guests._loads,
    )
    assert not [
        name
        for kept in held
        for name in kept
        if name.startswith("lincoln@v1") and name != "lincoln@v1"
    ]


# -- how many ------------------------------------------------------------------------------------------


async def test_there_are_so_many_guests_and_no_more(stage):
    adapters = await stage.adapters(guests=1)
    stage.add(2)
    stage.add(3)
    async with adapters.prepared("lincoln", Wish("v2")) as first:
        lease = await lease_of(adapters, Wish("v3"))
        assert lease.version == "v1"
        assert lease.notice == (
            "This conversation began with v3. Too many other versions are in use just now, so v1 "
            "answers this time."
        )
        with adapters.lease("lincoln", first) as held:
            assert held.version == "v2"
    assert (await lease_of(adapters, Wish("v3"))).version == "v3"
    assert stage.loaded() == {"lincoln@v1", "lincoln@v3"}, "an idle guest gives way"


async def test_versions_that_pointers_need_never_give_way(stage):
    adapters = await stage.adapters(guests=1, unload_grace_seconds=3600)
    for version in (2, 3, 4):
        stage.add(version)
    await reloaded(adapters, "v2")
    for version in ("v3", "v4", "v3"):
        assert (await lease_of(adapters, Wish(version))).version == version
        assert stage.loaded() == {"lincoln@v1", "lincoln@v2", f"lincoln@{version}"}
    assert adapters.live_version("lincoln") == "v2"


async def test_without_places_the_live_version_speaks(stage):
    adapters = await stage.adapters(guests=0)
    stage.add(2)
    assert (await lease_of(adapters, Wish("v2"))).version == "v1"
    await reloaded(adapters, "v2")
    assert (await lease_of(adapters, Wish("v1"))).version == "v1", "it is loaded"


async def test_the_guest_idle_for_longest_gives_way(stage):
    adapters = await stage.adapters(guests=2, unload_grace_seconds=3600)
    for version in (2, 3, 4):
        stage.add(version)
    for version in ("v2", "v3", "v2", "v4"):
        assert (await lease_of(adapters, Wish(version))).version == version
    assert stage.loaded() == {"lincoln@v1", "lincoln@v2", "lincoln@v4"}


# -- waiting -------------------------------------------------------------------------------------------


async def test_a_request_waits_so_long_and_the_load_goes_on_without_it(stage):
    adapters = await stage.adapters(guest_wait_seconds=0.05)
    stage.add(2)
    stage.engine.may_load.clear()
    lease = await lease_of(adapters, Wish("v2"))
    assert lease.version == "v1"
    assert (lease.notice or "").endswith("which is not loaded yet, so v1 answers this time.")
    stage.engine.may_load.set()
    async with asyncio.timeout(30):
        while (await lease_of(adapters, Wish("v2"))).version != "v2":
            await asyncio.sleep(0.01)
    assert stage.engine.loads.count("lincoln@v2") == 1


async def test_those_who_wish_for_the_same_version_share_one_load(stage):
    adapters = await stage.adapters()
    stage.add(2)
    leases = await asyncio.gather(*(lease_of(adapters, Wish("v2")) for _ in range(5)))
    assert {lease.version for lease in leases} == {"v2"}
    assert stage.engine.loads.count("lincoln@v2") == 1


async def test_one_guest_is_loaded_at_a_time(stage):
    adapters = await stage.adapters()
    stage.add(2)
    stage.add(3)
    stage.engine.may_load.clear()
    wishes = [asyncio.create_task(lease_of(adapters, Wish(version))) for version in ("v2", "v3")]
    while len(stage.engine.loads) < 2:  # v1 was the first
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert len(stage.engine.loads) == 2
    stage.engine.may_load.set()
    assert [lease.version for lease in await asyncio.gather(*wishes)] == ["v2", "v3"]


async def test_an_admin_s_rollback_does_not_wait_for_a_guest(stage):
    adapters = await stage.adapters()
    stage.add(2)
    stage.add(3)
    await reloaded(adapters, "v2")
    stage.engine.may_load.clear()
    guest = asyncio.create_task(lease_of(adapters, Wish("v3")))
    while "lincoln@v3" not in stage.engine.loads:
        await asyncio.sleep(0.01)
    async with asyncio.timeout(30):
        await adapters.rollback("lincoln", CHANGE)
        await adapters.reconcile()
    stage.engine.may_load.set()
    assert (await guest).version == "v3"


async def test_a_reload_of_a_version_that_is_on_its_way_takes_it_up(stage):
    adapters = await stage.adapters()
    stage.add(2)
    stage.engine.may_load.clear()
    guest = asyncio.create_task(lease_of(adapters, Wish("v2")))
    while "lincoln@v2" not in stage.engine.loads:
        await asyncio.sleep(0.01)
    change = asyncio.create_task(adapters.reload("lincoln", CHANGE))
    stage.engine.may_load.set()
    assert (await change).live == "v2"
    assert (await guest).version == "v2"
    assert stage.engine.loads.count("lincoln@v2") == 1


async def test_who_leaves_while_waiting_leaves_nothing_behind(stage):
    adapters = await stage.adapters()
    stage.add(2)
    stage.engine.may_load.clear()
    waiting = asyncio.create_task(lease_of(adapters, Wish("v2")))
    while "lincoln@v2" not in stage.engine.loads:
        await asyncio.sleep(0.01)
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    await adapters.close()
    await adapters.reconcile()
    assert stage.loaded() == {"lincoln@v1"}
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("load ")]


# -- engines that lose or mix --------------------------------------------------------------------------


async def test_a_guest_that_the_engine_lost_is_brought_back_for_who_holds_it(stage):
    adapters = await stage.adapters()
    client = stage.client
    stage.add(2)
    async with adapters.prepared("lincoln", Wish("v2", "strong")) as choice:
        with adapters.lease("lincoln", choice) as lease:
            stage.engine.restart()
            stream = client.stream(
                lease.engine_model,
                [{"role": "user", "content": "Who?"}],
                {},
                first_token_seconds=5,
                between_tokens_seconds=5,
            )
            async with stream:
                assert (await stream.read()).startswith("[lincoln@v2~strong]")


async def test_where_voices_would_mix_a_guest_speaks_though_the_base_may_not(stage):
    adapters = await stage.adapters(no_base_traffic="Install requirements/cpu.txt.")
    shutil.rmtree(stage.registry.find("lincoln", 1).folder)
    stage.engine.adapters = {"lincoln@v9": "/nowhere"}
    await adapters.restore()
    stage.add(2)
    with pytest.raises(EngineUnavailable), adapters.lease("lincoln"):
        pass
    assert (await lease_of(adapters, Wish("v2"))).version == "v2"
