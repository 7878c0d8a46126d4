"""The engine's process: reachable by us alone, told no secrets, and honest when it can't start."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from personae.config import load_config
from personae.errors import EngineUnavailable, ModelError
from serving.adapter_slots import engine_arguments_for, room_for_guests
from serving.child_process import ChildProcess
from serving.engine_client import EngineClient
from serving.engine_host import (
    EngineHost,
    engine_command,
    engine_environment,
    engine_socket_folder,
)


def test_it_listens_on_a_private_socket_and_takes_adapters(tmp_path):
    engine = load_config({}, folder=tmp_path).engine
    command = engine_command(
        engine, model=tmp_path, socket=tmp_path / "e.sock", adapter_slots=6, adapters_in_memory=14
    )
    said = " ".join(command)
    assert f"--uds {tmp_path / 'e.sock'}" in said
    assert "--host" not in command and "--port" not in command
    assert "--enable-lora --max-lora-rank 16 --max-loras 6 --max-cpu-loras 14" in said
    assert "--no-enable-log-requests" in command
    # vLLM's own limits stand behind the gateway's, which lets 16 in at a time.
    assert "--max-num-queued-reqs 64 --max-num-queued-tokens 65536" in said
    with engine_socket_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert len(str(folder / "engine.sock")) < 100
    assert not folder.exists()


def test_it_is_told_no_secrets(tmp_path):
    engine = load_config({}, folder=tmp_path).engine
    secrets = {
        "DISCORD_TOKEN": "s",
        "SLACK_BOT_TOKEN": "s",
        "PERSONAE_ADMIN_KEY": "s",
        "HF_TOKEN": "s",
    }
    given = engine_environment(engine, secrets | {"PATH": "/bin"}, private_folder=tmp_path)
    assert not set(secrets) & set(given)
    assert given["PATH"] == "/bin"
    assert given["HF_HUB_OFFLINE"] == "1"
    assert given["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"


def test_an_engine_on_the_cpu_needs_no_compiler(tmp_path):
    engine = load_config({}, folder=tmp_path).engine

    on_gpu = load_config({}, profile="gpu-24g", folder=tmp_path).engine
    for config, compiles_nothing in ((engine, True), (on_gpu, False)):
        given = engine_environment(config, {}, private_folder=tmp_path)
        assert (given.get("TORCHDYNAMO_DISABLE") == "1") == compiles_nothing


def test_slots_leave_room_for_a_change():
    assert engine_arguments_for(cast_size=2, slots=6) == {"max_loras": 6, "max_cpu_loras": 14}
    assert engine_arguments_for(cast_size=10, slots=6) == {"max_loras": 12, "max_cpu_loras": 26}
    with_guests = engine_arguments_for(cast_size=4, slots=6, guests=4)
    assert with_guests == {"max_loras": 10, "max_cpu_loras": 22}, "guests take nobody's slot"


def test_personas_that_join_a_running_engine_take_the_places_of_guests():
    """It was started for four of them and four guests; none is turned away when there are more."""
    assert [room_for_guests(size, 4, slots=10) for size in (4, 5, 8, 12)] == [4, 3, 0, 0]
    assert room_for_guests(12, 4, slots=None) == 4  # not ours: it knows its sizes itself


async def nothing() -> None:
    pass


async def test_an_engine_that_ends_while_starting_is_told_with_its_last_words(tmp_path):
    child = ChildProcess(
        "engine",
        [sys.executable, "-c", "print('Not enough memory for the KV cache'); raise SystemExit(1)"],
        environment=dict(os.environ),
        log_file=tmp_path / "engine.log",
    )
    async with EngineClient("http://engine", socket=tmp_path / "none.sock") as client:
        host = EngineHost(client, child=child, base_model="m", start_seconds=30, on_ready=nothing)
        await host.start()
        with pytest.raises(ModelError, match="Not enough memory for the KV cache"):
            await host.wait_ready()
        with pytest.raises(EngineUnavailable) as caught:
            host.require_ready()
        assert caught.value.retry_after_seconds > 0
        await host.stop(grace_seconds=1)


async def test_an_engine_that_never_becomes_ready_is_given_up(tmp_path: Path):
    async with EngineClient("http://engine", socket=tmp_path / "none.sock") as client:
        host = EngineHost(client, child=None, base_model="m", start_seconds=0.1, on_ready=nothing)
        await host.start()
        async with asyncio.timeout(30):
            with pytest.raises(ModelError, match="start_seconds"):
                await host.wait_ready()
        await host.stop(grace_seconds=1)


async def test_a_hung_engine_is_not_ready_and_is_again_when_it_speaks(engine):
    """`/health` stays green while the model is silent; the heartbeat notices."""
    async with EngineClient(engine.url) as client:
        host = EngineHost(
            client,
            child=None,
            base_model=engine.base_model,
            start_seconds=10,
            heartbeat_seconds=0.3,
            on_ready=nothing,
        )
        await host.start()
        await host.wait_ready()
        engine.hang_after = 0
        async with asyncio.timeout(15):
            while host.ready:
                await asyncio.sleep(0.05)
        assert await client.is_healthy()
        engine.hang_after = None
        await host.wait_ready()
        await host.stop(grace_seconds=1)


async def test_a_hung_child_is_killed_and_started_again(engine, tmp_path):
    child = ChildProcess(
        "engine",
        [sys.executable, "-c", "import time; time.sleep(60)"],
        environment=dict(os.environ),
        log_file=tmp_path / "engine.log",
    )
    async with EngineClient(engine.url) as client:
        host = EngineHost(
            client,
            child=child,
            base_model=engine.base_model,
            start_seconds=10,
            heartbeat_seconds=0.3,
            on_ready=nothing,
        )
        await host.start()
        await host.wait_ready()
        first = child.pid
        engine.hang_after = 0
        async with asyncio.timeout(15):
            while child.restarts == 0 or child.pid is None:
                await asyncio.sleep(0.05)
        assert child.pid != first
        await host.stop(grace_seconds=1)
