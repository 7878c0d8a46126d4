"""A child process that is kept running: started, watched, restarted with back-off, ended for good.

Used for the engine and for the bots. It deliberately knows nothing of what the child does; whoever
needs to know when the child is usable asks the child itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
_FIRST_BACKOFF_SECONDS = 1.0
_MAX_BACKOFF_SECONDS = 60.0
_MAX_LOG_BYTES = 10 << 20
"""A log this large is set aside (one generation is kept) at the next start."""
_STABLE_SECONDS = 60.0
"""A child that ran this long is taken to be sound: the next restart is quick again."""


def _die_with_parent() -> None:
    """Runs in the child before exec: Linux ends it when we are gone, however we went."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class ChildProcess:
    """One supervised command in a process group of its own.

    Args:
        name: for logs, for example "engine".
        command: program and arguments.
        environment: the child's whole environment.
        log_file: where its output goes (appended).
        fatal_exit_codes: exit codes after which a restart is pointless (bad configuration).
        on_exit: awaited after each unexpected end, before the restart.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        log_file: Path,
        fatal_exit_codes: Sequence[int] = (),
        on_exit: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        self.name = name
        self.restarts = 0
        self._command = list(command)
        self._environment = dict(environment)
        self.log_file = log_file
        self._fatal_exit_codes = frozenset(fatal_exit_codes)
        self._on_exit = on_exit
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._stopping = False
        self.gave_up = asyncio.Event()
        """Set when the child ended with a fatal exit code and will not be restarted."""

    @property
    def pid(self) -> int | None:
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process is not None else None

    async def start(self) -> None:
        """Start the child and the task that watches it."""
        await self._spawn()
        self._watcher = asyncio.create_task(self._watch(), name=f"watch-{self.name}")

    async def stop(self, *, grace_seconds: float) -> None:
        """Ask the child to end (SIGTERM), then make it (SIGKILL, the whole process group)."""
        self._stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), grace_seconds)
            except TimeoutError:
                log.warning("%s did not end within %.0f s; killing it", self.name, grace_seconds)
        self._kill_group()
        if process is not None:
            await process.wait()
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher

    def kill(self) -> None:
        """End the child at once; the watcher starts it again. For a child that hangs."""
        self._kill_group()

    def last_lines(self, count: int = 15) -> str:
        """The end of the child's output, for an error message."""
        try:
            with self.log_file.open("rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - 16_384))
                lines = file.read().decode("utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-count:])

    async def _spawn(self) -> None:
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        if self.log_file.exists() and self.log_file.stat().st_size > _MAX_LOG_BYTES:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        with self.log_file.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        log.info("%s started (pid %d)", self.name, self._process.pid)

    async def _watch(self) -> None:
        backoff = _FIRST_BACKOFF_SECONDS
        while True:
            process = self._process
            assert process is not None
            started = time.monotonic()
            code = await process.wait()
            if self._stopping:
                return
            self._kill_group()  # helpers of the dead child must not outlive it
            log.error("%s ended with exit code %d", self.name, code)
            if self._on_exit is not None:
                await self._on_exit(code)
            if code in self._fatal_exit_codes:
                self.gave_up.set()
                return
            if time.monotonic() - started > _STABLE_SECONDS:
                backoff = _FIRST_BACKOFF_SECONDS
            log.info("%s starts again in %.0f s", self.name, backoff)
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, _MAX_BACKOFF_SECONDS)
            self.restarts += 1
            await self._spawn()

    def _kill_group(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
