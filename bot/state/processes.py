"""Which runs of a program are there: whether an open answer still has somebody who will end it.

Every State writes itself down when it opens, says regularly that it is there, and takes itself out when it
closes. One that was killed is known by its process id where it ran on this machine (in this container),
and by its silence elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import platform
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.state.tables import processes

SEEN_EVERY_SECONDS = 15.0
SILENT_SECONDS = 60.0


def this_host() -> str:
    """Equal for programs that see each other's process ids."""
    names = [platform.node()]
    for told in ("/proc/self/ns/pid", "/proc/sys/kernel/random/boot_id"):
        with contextlib.suppress(OSError):
            path = Path(told)
            names.append(str(path.readlink()) if path.is_symlink() else path.read_text().strip())
    return " ".join(names)


async def gone_processes(connection: AsyncConnection, asked: set[str], now: float) -> set[str]:
    """Those of `asked` that end no answer any more."""
    query = sa.select(processes).where(processes.c.id.in_(asked))
    rows = (await connection.execute(query)).all()
    there = {
        row.id
        for row in rows
        if now - row.seen_at < SILENT_SECONDS and not (row.host == this_host() and _ended(row.pid))
    }
    return asked - there


def _ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
