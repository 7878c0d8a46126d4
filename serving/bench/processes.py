"""The processes under measurement: a gateway with its engine, and vLLM without our plugin.

The gateway is a `personae up` of its own, because the clients' load must not share its event loop. The
stock engine is started with the very arguments and environment of the gateway's, but no plugin; they
are read from the running engine (Linux: /proc).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from personae.errors import ModelError
from personae.progress import Progress
from serving.bench.home import BenchHome
from serving.bench.load import Engine, Gateway, Target
from serving.child_process import ChildProcess
from serving.engine_host import engine_socket_folder

_SOCKET_ARGUMENT = "--uds"
_START_SECONDS = 600.0
_GRACE_SECONDS = 40.0
_NEVER_AGAIN = tuple(range(-64, 256))
"""Every exit code is fatal here: what a bench measures is not restarted behind its back."""


@dataclass(frozen=True)
class EngineStart:
    """How an engine was started."""

    command: tuple[str, ...]
    environment: Mapping[str, str]

    @property
    def socket(self) -> Path:
        return Path(self.argument(_SOCKET_ARGUMENT))

    def argument(self, name: str) -> str:
        """The value after an argument's name. Raises ValueError where it is not given."""
        return self.command[self.command.index(name) + 1]


@dataclass(frozen=True)
class RunningGateway:
    gateway: Gateway
    engine: Engine
    """The gateway's own engine, asked directly on its Unix socket."""
    start: EngineStart
    pid: int


@contextlib.asynccontextmanager
async def running_gateway(home: BenchHome, *, progress: Progress) -> AsyncIterator[RunningGateway]:
    """`personae up` over a bench home until the block ends.

    Raises:
        ModelError: it ended, or was not ready in time; carries its last words.
    """
    command = [sys.executable, "-m", "personae.cli", "--config", str(home.config_file)]
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PERSONAE_", "DISCORD_", "SLACK_"))
    }
    child = ChildProcess(
        "gateway",
        [*command, "up", "--no-bots"],
        environment=environment | {"PERSONAE_ADMIN_KEY": home.admin_key},
        log_file=home.logs / "up.log",
        fatal_exit_codes=_NEVER_AGAIN,
    )
    async with Gateway(home.url, admin_key=home.admin_key) as gateway:
        await child.start()
        try:
            await _until_it_answers(child, gateway, "/readyz", progress)
            assert child.pid is not None
            start = _engine_of(child.pid)
            async with Engine("http://engine", socket=start.socket) as engine:
                yield RunningGateway(gateway, engine, start, child.pid)
        finally:
            await child.stop(grace_seconds=_GRACE_SECONDS)


@contextlib.asynccontextmanager
async def stock_engine(
    start: EngineStart, *, log_file: Path, progress: Progress
) -> AsyncIterator[Engine]:
    """vLLM as it comes, with the arguments of an engine that has ended.

    Raises:
        ModelError: it ended, or was not ready in time; carries its last words.
    """
    with engine_socket_folder() as folder:
        socket = folder / "stock.sock"
        command = list(start.command)
        command[command.index(_SOCKET_ARGUMENT) + 1] = str(socket)
        child = ChildProcess(
            "stock engine",
            command,
            environment={
                **start.environment,
                "VLLM_PLUGINS": "",
                "VLLM_RPC_BASE_PATH": str(folder),
            },
            log_file=log_file,
            fatal_exit_codes=_NEVER_AGAIN,
        )
        async with Engine("http://engine", socket=socket) as engine:
            await child.start()
            try:
                await _until_it_answers(child, engine, "/health", progress)
                yield engine
            finally:
                await child.stop(grace_seconds=_GRACE_SECONDS)


async def _until_it_answers(
    child: ChildProcess, target: Target, path: str, progress: Progress
) -> None:
    started = time.monotonic()
    while not await target.answers(path):
        waited = time.monotonic() - started
        progress(f"starting the {child.name}", waited, None)
        if child.pid is None:
            raise ModelError(
                f"The {child.name} of the bench ended while it was starting. Its last words:\n"
                f"{child.last_lines()}"
            )
        if waited > _START_SECONDS:
            raise ModelError(
                f"The {child.name} of the bench was not ready after {waited:.0f} s. Its last words:"
                f"\n{child.last_lines()}"
            )
        await asyncio.sleep(0.25)


def _engine_of(gateway_pid: int) -> EngineStart:
    """The engine among the gateway's children, by the Unix socket it was told to listen on."""
    for child in children_of(gateway_pid):
        with contextlib.suppress(OSError):
            command = _strings(Path("/proc", str(child), "cmdline"))
            if _SOCKET_ARGUMENT in command:
                pairs = _strings(Path("/proc", str(child), "environ"))
                environment = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
                return EngineStart(tuple(command), environment)
    raise ModelError(f"The gateway (process {gateway_pid}) has no engine among its children.")


def children_of(pid: int) -> Sequence[int]:
    found: list[int] = []
    for task in Path("/proc", str(pid), "task").glob("*/children"):
        found += [int(child) for child in task.read_text(encoding="ascii").split()]
    return found


def memory_bytes(pid: int) -> int:
    """Resident memory of a process."""
    pages = int(Path("/proc", str(pid), "statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _strings(file: Path) -> list[str]:
    text = file.read_bytes().decode("utf-8", errors="surrogateescape")
    return text.rstrip("\0").split("\0")
