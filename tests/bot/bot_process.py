"""A bot in a process of its own, as a test starts, asks, stops and kills it.

The fakes of the platforms then run in another process than the bot, so that neither can slow the
other's event loop or share an object with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

REPOSITORY = Path(__file__).parents[2]
_PATIENCE_SECONDS = 60.0


@dataclass
class BotProcess:
    process: asyncio.subprocess.Process
    log: list[str] = field(default_factory=list)
    """Lines that it logged."""

    async def look(self) -> dict[str, Any]:
        """Figures since `forget`: see `tests.bot.watched_bot`."""
        return await self._ask("look")

    async def forget(self) -> None:
        await self._ask("forget")

    async def work(self) -> float:
        """Seconds of CPU since `forget`."""
        return float((await self._ask("work"))["cpu_seconds"])

    async def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), _PATIENCE_SECONDS)

    async def kill(self) -> None:
        """kill -9: no goodbye."""
        self.process.kill()
        await self.process.wait()

    async def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    async def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    async def _ask(self, what: str) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{what}\n".encode())
        line = await asyncio.wait_for(self.process.stdout.readline(), _PATIENCE_SECONDS)
        assert line, f"the bot is gone:\n{self.told()}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def told(self) -> str:
        return "\n".join(self.log[-40:])

    async def listen(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.log.append(line.decode(errors="replace").rstrip())


async def slowness(seconds: float = 1.0) -> float:
    """How many times longer than alone a process takes on this machine just now; 1.0 on an idle one.

    A second process does nothing but count: what it gets of a CPU is what a bot would get.
    """
    code = (
        f"import time; end = time.perf_counter() + {seconds!r}\n"
        "while time.perf_counter() < end: pass\n"
        "print(time.process_time())"
    )
    counting = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await counting.communicate()
    return max(1.0, seconds / max(float(printed), 0.01))


@contextlib.asynccontextmanager
async def bot_process(
    platform: Literal["discord", "slack"], environment: Mapping[str, str]
) -> AsyncIterator[BotProcess]:
    """A bot that has been started, connected or not; it is gone afterwards, whatever happened."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-W", "error", "-W", "ignore:'audioop' is deprecated:DeprecationWarning"),
        *("-m", "tests.bot.watched_bot", platform),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), **environment},
        cwd=REPOSITORY,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 24,
    )
    bot = BotProcess(process)
    listening = asyncio.create_task(bot.listen(), name="bot-log")
    try:
        yield bot
    finally:
        if process.returncode is None:
            with contextlib.suppress(TimeoutError):
                await bot.stop()
        if process.returncode is None:
            await bot.kill()
        await listening
