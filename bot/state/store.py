"""The bots' memory, settings and counts: one object, open while a bot runs.

    async with State.open("sqlite:////home/me/.personae/bots.db") as state:
        if await state.claim("discord:1234567890"): ...

Every method raises StateUnavailable or DiskFull when the database fails; nothing has changed then. None
holds the event loop, and each sees its work through, also when whoever waits for it is cancelled. What is
kept, and for how long, is in docs/privacy.md. It knows no platform and no gateway.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable, Collection

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.state.answers import Answers
from bot.state.conversations import Conversations
from bot.state.database import Database, parsed
from bot.state.people import People
from bot.state.processes import SEEN_EVERY_SECONDS, this_host
from bot.state.retention import CLAIM_SECONDS, Retention
from bot.state.schema import bring_up
from bot.state.settings import Settings
from bot.state.tables import claims, processes
from bot.state.usage import UsageCounts
from personae.errors import PersonaeError

log = logging.getLogger(__name__)

_WISH = "end:"
"""Before an answer's id, as a claim: no event of a platform begins so."""


class State(Answers, Conversations, Settings, People, UsageCounts, Retention):
    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, url: str, *, clock: Callable[[], float] = time.time
    ) -> AsyncIterator[State]:
        """Opens a database, and brings its tables up to date.

        Args:
            url: sqlite:///file or postgresql://…, with or without a driver's name.
            clock: UTC epoch seconds.

        Raises:
            ConfigError: the URL can't be used, or a newer personae made the tables.
            DiskFull, StateUnavailable: it can't be opened.
        """
        database_url = parsed(url)
        await asyncio.to_thread(bring_up, database_url)
        database = Database(database_url)
        state = cls(database, clock=clock, process=uuid.uuid4().hex)
        try:
            await state._say_there()
            seen = asyncio.create_task(state._keep_saying_there(), name="bot-state-seen")
            try:
                yield state
            finally:
                seen.cancel()
                await asyncio.wait([seen])
                await state._say_gone()
        finally:
            await database.close()

    async def claim(self, key: str) -> bool:
        """True once for a key (within a day), in whichever process or run: who gets it, does the work."""
        now = self.clock()
        statement = self._database.upsert(claims).values(key=key, at=now)
        once = statement.on_conflict_do_update(
            index_elements=["key"], set_={"at": now}, where=claims.c.at < now - CLAIM_SECONDS
        ).returning(claims.c.key)

        async def work(connection: AsyncConnection) -> bool:
            return (await connection.execute(once)).one_or_none() is not None

        return await self._database.write(work)

    async def wish_end(self, answer_id: str) -> None:
        """Ask the process that gives an answer to end it: see `ends_wished`."""
        await self.claim(_WISH + answer_id)

    async def ends_wished(self, answer_ids: Collection[str]) -> set[str]:
        """Those of these answers that somebody wants ended."""
        keys = [_WISH + answer_id for answer_id in answer_ids]
        query = sa.select(claims.c.key).where(claims.c.key.in_(keys))

        async def work(connection: AsyncConnection) -> set[str]:
            found = (await connection.execute(query)).scalars()
            return {key.removeprefix(_WISH) for key in found}

        return await self._database.read(work)

    async def _say_there(self) -> None:
        values = {"host": this_host(), "pid": os.getpid(), "seen_at": self.clock()}
        statement = self._database.upsert(processes).values(id=self.process, **values)

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(
                statement.on_conflict_do_update(index_elements=["id"], set_=values)
            )

        await self._database.write(work)

    async def _keep_saying_there(self) -> None:
        while True:
            await asyncio.sleep(SEEN_EVERY_SECONDS)
            try:
                await self._say_there()
            except PersonaeError as err:
                log.warning("others may take this process for gone: %s", err)

    async def _say_gone(self) -> None:
        async def work(connection: AsyncConnection) -> None:
            await connection.execute(processes.delete().where(processes.c.id == self.process))

        try:
            await self._database.write(work)
        except PersonaeError as err:
            log.warning("others will see only by this process's silence that it is gone: %s", err)
