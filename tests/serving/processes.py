"""An engine that is a fake on the wire, and a gateway over it, each in a process of its own.

For what only a process shows: signals, memory, CPU time, load that does not share our event loop.
Run as: python -m tests.serving.processes engine --seconds-between 0.01
        python -m tests.serving.processes gateway HOME ENGINE_URL
Both print their URL when they are ready, and end at SIGTERM; the engine says nothing more after
SIGUSR1.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from personae.persona import load_cast
from personae.registry import Registry
from serving.retrieval.build import build_index
from serving.service import running_service
from tests.conftest import REPOSITORY, gateway_config
from tests.fakes.artefacts import WordEmbedder, add_adapter, write_test_corpus
from tests.fakes.engine import FakeEngine


@dataclass(frozen=True)
class Running:
    """A process that said its URL."""

    url: str
    process: asyncio.subprocess.Process

    def cpu_seconds(self) -> float:
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    def memory_bytes(self) -> int:
        return psutil.Process(self.process.pid).memory_info().rss


@contextlib.asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[Running]:
    """This module as a process, from its URL to its end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.serving.processes", *arguments),
        stdout=asyncio.subprocess.PIPE,
        cwd=REPOSITORY,
    )
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode().strip()
        assert line.startswith("http"), f"{arguments} did not start: {line!r}"
        yield Running(line, process)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        await process.wait()


async def _stopped() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()


async def _engine(options: argparse.Namespace) -> None:
    async with FakeEngine() as engine:
        engine.tag = False
        engine.words = ["token "] * options.tokens
        engine.seconds_between = options.seconds_between
        engine.seconds_per_stream = options.seconds_per_stream
        engine.keep_requests = False
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, setattr, engine, "hang_after", 0)
        print(engine.url, flush=True)
        await _stopped()


async def _gateway(options: argparse.Namespace) -> None:
    home = options.home
    config = gateway_config(
        home,
        options.engine,
        dict(os.environ),
        gateway=options.gateway,
        deadlines=options.deadlines,
        extra=options.extra,
    )
    cast = load_cast([REPOSITORY / "cast"])
    registry, embedder = Registry(config.adapters), WordEmbedder()
    for persona in ("lincoln", "roosevelt"):
        add_adapter(registry, cast[persona], 1, home / "scratch")
        write_test_corpus(config.corpora / persona, persona)
        build_index(persona, config.corpora / persona, config.indexes, embedder)
    async with running_service(config, cast, embedder=embedder) as service:
        await service.wait_ready()
        print(service.url, flush=True)
        await _stopped()


def main() -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    engine = commands.add_parser("engine")
    engine.add_argument("--tokens", type=int, default=40)
    engine.add_argument("--seconds-between", type=float, default=0.0)
    engine.add_argument("--seconds-per-stream", type=float, default=0.0)
    engine.set_defaults(run=_engine)
    gateway = commands.add_parser("gateway")
    gateway.add_argument("home", type=Path)
    gateway.add_argument("engine")
    gateway.add_argument("--gateway", default="max_answers_per_user = 1000")
    gateway.add_argument("--deadlines", default="first_token_seconds = 60")
    gateway.add_argument("--extra", default="")
    gateway.set_defaults(run=_gateway)
    options = parser.parse_args()
    asyncio.run(options.run(options))


if __name__ == "__main__":
    main()
