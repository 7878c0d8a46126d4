"""What every part of the state stands on: the database, the clock, and which process this is."""

from __future__ import annotations

from collections.abc import Callable

from bot.state.database import Database

DAY_SECONDS = 86400


class Part:
    """Base of the parts that `State` is made of.

    Args:
        clock: UTC epoch seconds.
        process: id of this run of a program.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float], process: str) -> None:
        self._database = database
        self.clock = clock
        self.process = process

    def today(self) -> int:
        """The UTC day, counted from the epoch."""
        return int(self.clock() // DAY_SECONDS)
