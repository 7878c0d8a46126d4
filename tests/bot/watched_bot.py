"""A bot's frontend in a process of its own, with somebody who watches its event loop and its memory.

Run as: python -m tests.bot.watched_bot discord|slack   (the environment is that of the bot)

Each line on its standard input is answered with one line of JSON on its standard output: `look` with
the figures since the `forget` before it, `forget` with {}, `work` with the seconds of CPU since then.
What the bot logs goes to standard error. SIGTERM ends it as it ends the bot itself.
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
import weakref
from pathlib import Path
from typing import Any

from bot.core.garbage import spare_what_is_loaded
from personae.errors import ConfigError

_EVERY_SECONDS = 0.002
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TYPES_TOLD = 400


class Watch:
    """How long the loop was kept from a task that wants to run every two milliseconds.

    `held_wall_seconds` holds what other processes took from us, too; `held_cpu_seconds` is the time
    that this thread really worked meanwhile, so a busy machine does not make it larger, and a wait
    that blocks the loop (a file, a lock) shows in the former only. Both hold many short callbacks that
    were ready at once; `longest_step_cpu_seconds` is the longest single one, which nothing can interrupt,
    and `longest_collection_seconds` what the garbage collector took at most of one.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._worked_before = time.process_time()
        self.held_wall_seconds = 0.0
        self.held_cpu_seconds = 0.0
        self.over_50_ms = 0
        self.longest_step_cpu_seconds = 0.0
        self.longest_step = ""
        self.longest_collection_seconds = 0.0
        self._collecting = 0.0
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

    def time_steps(self) -> None:
        """Take the time of every single callback and step of a task in this process."""
        plain = asyncio.Handle._run  # type: ignore[attr-defined]

        def timed(handle: Any) -> None:
            owner = getattr(handle._callback, "__self__", None)
            cpu = time.thread_time()
            plain(handle)
            worked = time.thread_time() - cpu
            if worked > self.longest_step_cpu_seconds:
                self.longest_step_cpu_seconds = worked
                self.longest_step = _name(owner) or repr(handle)[:200]

        asyncio.Handle._run = timed  # type: ignore[attr-defined]
        gc.callbacks.append(self._collected)

    def _collected(self, phase: str, told: dict[str, int]) -> None:
        if phase == "start":
            self._collecting = time.thread_time()
        else:
            seconds = time.thread_time() - self._collecting
            self.longest_collection_seconds = max(self.longest_collection_seconds, seconds)

    def work(self) -> dict[str, Any]:
        return {"cpu_seconds": time.process_time() - self._worked_before}

    def figures(self) -> dict[str, Any]:
        told = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        told |= self.work()
        gc.collect()
        objects = gc.get_objects()
        types = collections.Counter(_kind(one) for one in objects)
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


def _kind(one: object) -> str:
    name = f"{type(one).__module__}.{type(one).__qualname__}"
    if isinstance(one, weakref.ReferenceType):
        name += f" of {type(one()).__qualname__}"
    return name


def _name(owner: object) -> str:
    """Of a task, where it is: the coroutines from the outermost to the one that was resumed."""
    if not isinstance(owner, asyncio.Task):
        return ""
    inner: Any = owner.get_coro()
    names = []
    while inner is not None and hasattr(inner, "cr_await"):
        names.append(inner.__qualname__)
        inner = inner.cr_await
    return " > ".join(names)[:400]


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
    watch.time_steps()
    threading.Thread(target=_listen, args=(loop, watch), daemon=True).start()
    watching = asyncio.create_task(watch.run(), name="watch")
    try:
        options = _paces(frontend) if "FAKE_SPEED" in os.environ else {}
        if platform == "discord":
            options["settled"] = spare_what_is_loaded
        await frontend.run(settings.settings_from(os.environ), stop=stop, **options)
    finally:
        watching.cancel()


def _paces(frontend: Any) -> dict[str, Any]:
    """Those of a Slack whose clock runs FAKE_SPEED times faster."""
    speed = float(os.environ["FAKE_SPEED"])
    paced = importlib.import_module("bot.on_slack.paced_client")
    return {
        "rates": paced.faster(paced.RATES, speed),
        "edit_seconds": frontend.EDIT_SECONDS / speed,
        "post_seconds": 1.0 / speed,
    }


def main() -> int:
    platform = sys.argv[1]
    importlib.import_module(f"bot.on_{platform}.frontend").configure_logging()
    spare_what_is_loaded()
    try:
        asyncio.run(_run(platform))
    except ConfigError as err:
        sys.stderr.write(f"{err}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
