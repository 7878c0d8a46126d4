"""A vLLM of one's own for the length of a block: configured like the server's, reachable by nobody else.

For checks before publishing. It is stopped however the block ends: by an error, by Ctrl-C (which asyncio
turns into a cancellation), or by the end of this process (Linux ends the child then).
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from personae.config import EngineConfig
from personae.progress import Progress, silent
from serving.adapter_slots import engine_arguments_for
from serving.engine_client import EngineClient
from serving.engine_host import EngineHost, engine_socket_folder, managed_engine_process

_GRACE_SECONDS = 20.0


@contextlib.asynccontextmanager
async def private_engine(
    engine: EngineConfig,
    *,
    model: Path,
    log_file: Path,
    log_level: str | None = None,
    progress: Progress = silent,
) -> AsyncIterator[EngineClient]:
    """The engine of a configuration, started and ready; `log_file` is begun anew.

    Raises:
        ModelError: it did not start; carries its last words.
    """
    log_file.unlink(missing_ok=True)
    sizes = engine_arguments_for(1, engine.adapter_slots)
    with engine_socket_folder() as folder:
        child = managed_engine_process(
            engine,
            model=model.absolute(),
            socket=folder / "engine.sock",
            adapter_slots=sizes["max_loras"],
            adapters_in_memory=sizes["max_cpu_loras"],
            log_file=log_file,
            log_level=log_level,
        )
        async with EngineClient("http://engine", socket=folder / "engine.sock") as client:
            host = EngineHost(
                client,
                child=child,
                base_model=engine.base_model,
                start_seconds=engine.start_seconds,
                heartbeat_seconds=engine.heartbeat_seconds,
                on_ready=_nothing,
            )
            try:
                await host.start()
                await host.wait_ready(tick=lambda waited: progress("starting vLLM", waited, None))
                yield client
            finally:
                await host.stop(grace_seconds=_GRACE_SECONDS)


async def _nothing() -> None:
    """There are no adapters to bring back."""
