"""A bot's frontend in a process of its own, with somebody who watches its event loop and its memory.

Run as: python -m tests.bot.watched_bot discord|slack   (the environment is that of the bot)

Each line on its standard input is answered with one line of JSON on its standard output: `look` with
the figures since the `forget` before it, `forget` with {}, `work` with the seconds of CPU since then. What the bot logs goes to standard error.
SIGTERM ends it as it ends the bot itself.
"""

from __future__ import annotations

import asyncio
import collections
import gc
import importlib
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from personae.errors import ConfigError

_EVERY_SECONDS = 0.002
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TYPES_TOLD = 400


class Watch:
    """How long the loop was kept from a task that wants to run every two milliseconds.

    `held_wall_seconds` holds what other processes took from us, too; `held_cpu_seconds` is the time
    that this thread really worked meanwhile, so a busy machine does not make it larger, and a wait
    that blocks the loop (a file, a lock) shows in the former only.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._worked_before = time.process_time()
        self.held_wall_seconds = 0.0
        self.held_cpu_seconds = 0.0
        self.over_50_ms = 0
        self.ticks = 0

    async def run(self) -> None:
        while True:
            wall, cpu = time.perf_counter(), time.thread_time()
            await asyncio.sleep(_EVERY_SECONDS)
            late = time.perf_counter() - wall - _EVERY_SECONDS
            worked = time.thread_time() - cpu
            self.held_wall_seconds = max(self.held_wall_seconds, late)
            self.held_cpu_seconds = max(self.held_cpu_seconds, min(worked, late))
            self.over_50_ms += late > 0.05
            self.ticks += 1

    def work(self) -> dict[str, Any]:
        return {"cpu_seconds": time.process_time() - self._worked_before}

    def figures(self) -> dict[str, Any]:
        told = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        told |= self.work()
        gc.collect()
        objects = gc.get_objects()
        types = collections.Counter(
            f"{type(one).__module__}.{type(one).__qualname__}" for one in objects
        )
        told |= {
            "rss_bytes": _rss_bytes(),
            "tasks": len(asyncio.all_tasks()),
            "task_names": collections.Counter(
                task.get_coro().__qualname__  # type: ignore[union-attr]
                for task in asyncio.all_tasks()
            ),
            "threads": threading.active_count(),
            "objects": len(objects),
            "types": dict(types.most_common(_TYPES_TOLD)),
        }
        return told


def _rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES


def _answer(watch: Watch, line: str) -> None:
    told: dict[str, Any] = {}
    if line == "work":
        told = watch.work()
    elif line == "look":
        told = watch.figures()
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    if line != "work":
        watch.forget()  # counting objects held the loop, which is our own doing


def _listen(loop: asyncio.AbstractEventLoop, watch: Watch) -> None:
    for line in sys.stdin:
        loop.call_soon_threadsafe(_answer, watch, line.strip())


async def _run(platform: str) -> None:
    frontend = importlib.import_module(f"bot.on_{platform}.frontend")
    settings = importlib.import_module(f"bot.on_{platform}.settings")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    watch = Watch()
    threading.Thread(target=_listen, args=(loop, watch), daemon=True).start()
    watching = asyncio.create_task(watch.run(), name="watch")
    try:
        await frontend.run(settings.settings_from(os.environ), stop=stop)
    finally:
        watching.cancel()


def main() -> int:
    platform = sys.argv[1]
    importlib.import_module(f"bot.on_{platform}.frontend").configure_logging()
    try:
        asyncio.run(_run(platform))
    except ConfigError as err:
        sys.stderr.write(f"{err}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
