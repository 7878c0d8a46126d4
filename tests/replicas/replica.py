"""A gateway process of a test with several: it finds everything prepared, as replicas on shared storage do.

Run as: python -m tests.replicas.replica HOME [--port N]     (PERSONAE_DATABASE_URL: what they share)

Prints its URL when it is ready, and ends at SIGTERM; what it logs goes to standard error.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from personae.config import load_config
from personae.persona import Cast
from personae.registry import RegisteredVersion, Registry
from serving.retrieval.build import build_index
from serving.service import running_service
from tests.bot.on_discord.burst import shipped_cast
from tests.conftest import REPOSITORY, gateway_config
from tests.fakes.artefacts import WordEmbedder, add_adapter, write_test_corpus

_PATIENCE_SECONDS = 60.0
_ENOUGH = """max_answers_at_once = 64
max_waiting = 1000
max_answers_per_user = 3
min_tokens_per_second = 0.01
quote_when_busy = false"""
_PATIENT = "first_token_seconds = 900\nbetween_tokens_seconds = 120\ndrain_seconds = 1"
"""A machine with other work is slow, and nobody is to be told that it is busy."""


class SharedHome:
    """What replicas share on disk: the registry, the indexes, the configuration.

    Lincoln and Roosevelt have v1.
    """

    def __init__(self, folder: Path, engine_url: str, *, extra: str = "") -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        config = gateway_config(
            folder,
            engine_url,
            gateway=_ENOUGH,
            deadlines=_PATIENT,
            extra=extra,
        )
        self.cast: Cast = shipped_cast()
        self.registry = Registry(config.adapters)
        for persona in ("lincoln", "roosevelt"):
            self.add(persona, 1)
            write_test_corpus(config.corpora / persona, persona)
            build_index(persona, config.corpora / persona, config.indexes, WordEmbedder())

    def add(self, persona: str, version: int) -> RegisteredVersion:
        return add_adapter(self.registry, self.cast[persona], version, self.folder / "scratch")


@dataclass(frozen=True)
class Replica:
    """A gateway process that said that it is ready."""

    url: str
    process: asyncio.subprocess.Process

    async def kill(self) -> None:
        """kill -9: no goodbye."""
        self.process.kill()
        await self.process.wait()


@contextlib.asynccontextmanager
async def replica(
    home: SharedHome, database_url: str, *, log: Path, port: int = 0
) -> AsyncIterator[Replica]:
    """A gateway from its readiness on; it is gone afterwards, whatever happened."""
    with log.open("ab") as written:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.replicas.replica", str(home.folder)),
            *("--port", str(port)),
            env={
                "PATH": os.environ["PATH"],
                "PERSONAE_DATABASE_URL": database_url,
                "PERSONAE_ADMIN_KEY": "test-admin-key",
            },
            cwd=REPOSITORY,
            stdout=asyncio.subprocess.PIPE,
            stderr=written,
        )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(_PATIENCE_SECONDS):
            line = (await process.stdout.readline()).decode().strip()
        assert line.startswith("http"), f"the gateway did not start:\n{log.read_text()}"
        yield Replica(line, process)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        await process.wait()


async def _run(home: Path, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    config = load_config(os.environ, folder=home)
    config = config.model_copy(update={"gateway": config.gateway.model_copy(update={"port": port})})
    async with running_service(config, shipped_cast(), embedder=WordEmbedder()) as service:
        await service.wait_ready()
        print(service.url, flush=True)
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    asyncio.run(_run(given.home, given.port))


if __name__ == "__main__":
    main()
