"""The engine as this gateway sees it: started and watched if it is ours, only watched if it is not.

`ready` is true exactly while the engine answers its health check and holds the adapters it should.
The engine of ours listens on a Unix socket in a private folder: its adapter endpoints ask for no key
(vLLM's `--api-key` does not cover them), so nothing but this process may reach it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path

from personae.config import EngineConfig
from personae.errors import EngineUnavailable, ModelError, PersonaeError
from serving.child_process import ChildProcess
from serving.engine_client import EngineClient

log = logging.getLogger(__name__)

_POLL_STARTING_SECONDS = 0.25
_POLL_READY_SECONDS = 2.0
_HEARTBEAT_SECONDS = 30.0

# What a model server has no business knowing.
_SECRET_PREFIXES = ("PERSONAE_", "DISCORD_", "SLACK_")


def engine_command(
    config: EngineConfig, *, model: Path, socket: Path, adapter_slots: int, adapters_in_memory: int
) -> list[str]:
    """vLLM's OpenAI server with adapters, on a Unix socket.

    The `vllm` console script of the CPU build looks for a distribution it does not have, hence
    `python -m`.
    """
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", str(model), "--served-model-name", config.base_model]
    command += ["--uds", str(socket), "--dtype", config.dtype]
    command += ["--max-model-len", str(config.max_model_tokens)]
    command += ["--max-num-seqs", str(config.max_sequences)]
    command += ["--enable-lora", "--max-lora-rank", str(config.max_adapter_rank)]
    command += ["--max-loras", str(adapter_slots), "--max-cpu-loras", str(adapters_in_memory)]
    # Backstops behind the gateway's own limits, which are lower: past them vLLM answers 503.
    command += ["--max-num-queued-reqs", str(max(64, 4 * config.max_sequences))]
    queued_tokens = config.max_sequences * config.max_model_tokens
    command += ["--max-num-queued-tokens", str(queued_tokens)]
    command += ["--shutdown-timeout", "20"]
    # Request logs and access logs would hold prompts.
    command += ["--no-enable-log-requests", "--disable-uvicorn-access-log"]
    # The persona file decides about sampling, not the model's generation_config.json.
    command += ["--generation-config", "vllm"]
    if config.gpu_memory_utilization is not None:
        command += ["--gpu-memory-utilization", str(config.gpu_memory_utilization)]
    if config.tensor_parallel_size > 1:
        command += ["--tensor-parallel-size", str(config.tensor_parallel_size)]
    return command + list(config.extra_args)


def engine_environment(
    config: EngineConfig, environment: Mapping[str, str], *, private_folder: Path
) -> dict[str, str]:
    """The engine's environment: ours without our secrets, offline, with adapters allowed.

    Args:
        private_folder: for the sockets between its processes, which it would leave in /tmp.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith(_SECRET_PREFIXES) and name not in ("HF_TOKEN", "VLLM_API_KEY")
    }
    kept |= {
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
        "VLLM_PLUGINS": "personae_cpu_lora",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_RPC_BASE_PATH": str(private_folder),
        "HF_HUB_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    return kept | cpu_variables(config)


def cpu_variables(config: EngineConfig) -> dict[str, str]:
    """What vLLM's CPU build is told by its environment; nothing for an engine on a GPU."""
    if config.kv_cache_gib is None:
        return {}
    return {
        "VLLM_CPU_KVCACHE_SPACE": str(config.kv_cache_gib),
        # PyTorch would compile a small kernel for the log-probabilities, also with --enforce-eager: four to
        # five seconds of the first canary, and a C++ compiler, for nothing that could be measured.
        "TORCHDYNAMO_DISABLE": "1",
    }


class EngineHost:
    """Keeps one engine usable.

    Args:
        client: how to talk to it; owned by the caller.
        child: the engine's process if it is ours; None for an external one.
        base_model: what the heartbeat asks.
        heartbeat_seconds: after so long without a token the engine is asked for one, and has this
            long to give it; one that does not is taken to hang, and if it is ours it is restarted.
        on_ready: awaited each time the engine has become healthy, before `ready` turns true.
    """

    def __init__(
        self,
        client: EngineClient,
        *,
        child: ChildProcess | None,
        base_model: str,
        start_seconds: float,
        heartbeat_seconds: float = _HEARTBEAT_SECONDS,
        on_ready: Callable[[], Awaitable[None]],
    ) -> None:
        self.client = client
        self.child = child
        self.ready = False
        self.cache_tokens: int | None = None
        """Tokens the engine's KV cache holds; None when it does not say."""
        self._base_model = base_model
        self._start_seconds = start_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._last_beat = 0.0
        self._on_ready = on_ready
        self._monitor: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._since = time.monotonic()
        self._ready_pid: int | None = None

    async def start(self) -> None:
        self._since = time.monotonic()
        if self.child is not None:
            await self.child.start()
        self._monitor = asyncio.create_task(self._watch(), name="engine-monitor")

    async def stop(self, *, grace_seconds: float) -> None:
        self.ready = False
        if self._monitor is not None:
            self._monitor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._monitor
        if self.child is not None:
            await self.child.stop(grace_seconds=grace_seconds)

    def require_ready(self) -> None:
        """Raises EngineUnavailable, with a time to retry, while the engine is not usable."""
        if self.ready:
            return
        waited = time.monotonic() - self._since
        raise EngineUnavailable(
            "The model is starting and not ready yet.",
            retry_after_seconds=max(5.0, 60.0 - waited),
        )

    async def wait_ready(self, *, tick: Callable[[float], None] = lambda seconds: None) -> None:
        """Wait for the first time it is ready.

        Args:
            tick: called now and then with the seconds waited.

        Raises:
            ModelError: the process of ours ended instead, or took too long; carries its last words.
        """
        started = time.monotonic()
        restarts = self.child.restarts if self.child else 0
        while not self.ready:
            waited = time.monotonic() - started
            tick(waited)
            if self.child is not None and (
                self.child.pid is None or self.child.restarts > restarts
            ):
                raise ModelError(
                    "The engine (vLLM) ended while it was starting. The end of "
                    f"{self.child.log_file}:\n{self.child.last_lines()}"
                )
            if waited > self._start_seconds:
                where = f" See {self.child.log_file}." if self.child else ""
                raise ModelError(
                    f"The engine was not ready after {self._start_seconds:.0f} s.{where} "
                    "A larger [engine] start_seconds in personae.toml waits longer."
                )
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), 0.5)

    async def _watch(self) -> None:
        while True:
            pid = self.child.pid if self.child else 0
            healthy = pid is not None and await self.client.is_healthy()
            if self.ready and (not healthy or pid != self._ready_pid or not await self._beats()):
                log.error("the engine is no longer healthy")
                self.ready = False
                self._since = time.monotonic()
            elif healthy and not self.ready:
                await self._set_up(pid)
            await asyncio.sleep(_POLL_READY_SECONDS if self.ready else _POLL_STARTING_SECONDS)

    async def _set_up(self, pid: int | None) -> None:
        """A healthy engine gets its adapters, and says a word, before it counts as ready."""
        try:
            await self._on_ready()
        except PersonaeError as err:
            log.error("the engine is healthy and can't be set up: %s", err)
            await asyncio.sleep(_POLL_READY_SECONDS)
            return
        if not await self._beats(now=True):
            return
        self.cache_tokens = await self.client.cache_tokens()
        self.ready, self._ready_pid = True, pid
        log.info("the engine is ready after %.1f s", time.monotonic() - self._since)
        self._changed.set()

    async def _beats(self, *, now: bool = False) -> bool:
        """Whether the engine still produces tokens. Restarts one of ours that does not."""
        alive_at = max(self._last_beat, self.client.last_token_at)
        if not now and time.monotonic() - alive_at < self._heartbeat_seconds:
            return True
        if await self.client.says_something(self._base_model, seconds=self._heartbeat_seconds):
            self._last_beat = time.monotonic()
            return True
        if time.monotonic() - self.client.last_token_at < self._heartbeat_seconds:
            return True  # busy with others, and getting on with them
        if self.child is not None:
            log.error("the engine hangs; restarting it")
            self.child.kill()
        return False


@contextlib.contextmanager
def engine_socket_folder() -> Iterator[Path]:
    """A private folder for the socket; short, because a socket's path holds 108 bytes at most."""
    folder = Path(tempfile.mkdtemp(prefix="personae-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def managed_engine_process(
    config: EngineConfig,
    *,
    model: Path,
    socket: Path,
    adapter_slots: int,
    adapters_in_memory: int,
    log_file: Path,
    log_level: str | None = None,
) -> ChildProcess:
    """The supervised vLLM process of a configuration.

    Args:
        log_level: "DEBUG" makes it name each module it puts an adapter on; its log then holds prompts.
    """

    async def remove_socket(code: int) -> None:
        # A killed vLLM leaves its socket behind, and the next one can't bind to it.
        socket.unlink(missing_ok=True)

    return ChildProcess(
        "engine",
        engine_command(
            config,
            model=model,
            socket=socket,
            adapter_slots=adapter_slots,
            adapters_in_memory=adapters_in_memory,
        ),
        environment=engine_environment(config, os.environ, private_folder=socket.parent)
        | ({"VLLM_LOGGING_LEVEL": log_level} if log_level else {}),
        log_file=log_file,
        on_exit=remove_socket,
    )
