"""A supervised child: restarted when it dies, left alone when that is pointless, ended with its brood."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from serving.child_process import ChildProcess


def child(tmp_path: Path, code: str, **keywords) -> ChildProcess:
    return ChildProcess(
        "child",
        [sys.executable, "-c", code],
        environment=dict(os.environ),
        log_file=tmp_path / "logs" / "child.log",
        **keywords,
    )


async def until(condition) -> None:
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.02)


async def test_killed_it_comes_back_and_its_end_is_told(tmp_path):
    codes: list[int] = []

    async def on_exit(code: int) -> None:
        codes.append(code)

    process = child(tmp_path, "import time; time.sleep(60)", on_exit=on_exit)
    await process.start()
    first = process.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: process.pid not in (None, first))
    assert codes == [-signal.SIGKILL]
    assert process.restarts == 1
    await process.stop(grace_seconds=5)
    assert process.pid is None


async def test_a_fatal_exit_code_is_not_retried_and_its_words_are_kept(tmp_path):
    process = child(tmp_path, "print('no token'); raise SystemExit(2)", fatal_exit_codes=(2,))
    await process.start()
    await asyncio.wait_for(process.gave_up.wait(), 15)
    assert process.restarts == 0
    assert process.last_lines() == "no token"
    await process.stop(grace_seconds=1)


async def test_stop_ends_grandchildren_and_those_who_ignore_sigterm(tmp_path):
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "inner = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(inner.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    process = child(tmp_path, code)
    await process.start()
    await until(lambda: process.last_lines().isdigit())
    grandchild = Path(f"/proc/{process.last_lines()}")
    assert grandchild.exists()
    await process.stop(grace_seconds=0.2)
    await until(lambda: not grandchild.exists() or "Z" in (grandchild / "stat").read_text())
    assert process.pid is None
