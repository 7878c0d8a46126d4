"""How long things are kept: what is over goes, in small portions, now and then.

A server may keep less than everywhere (the setting `RETENTION_DAYS`), never more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import fields
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.state.part import DAY_SECONDS, Part
from bot.state.records import RETENTION_DAYS, Pruned
from bot.state.tables import (
    answers,
    claims,
    conversations,
    processes,
    ratings,
    settings,
    turns,
    usage,
)
from personae.errors import PersonaeError

log = logging.getLogger(__name__)

MEMORY_SECONDS = 1.0 * DAY_SECONDS
ANSWERS_SECONDS = 30.0 * DAY_SECONDS
USAGE_DAYS = 35
"""What docs/privacy.md promises where the operator sets nothing else."""
CLAIM_SECONDS = DAY_SECONDS
_PROCESS_SECONDS = DAY_SECONDS
PORTION = 500
"""Rows deleted at once: who wants to write meanwhile waits for no more."""

Over = tuple[str, sa.Table, sa.Column[int] | sa.Column[str], sa.ColumnElement[bool]]
"""What it counts as, where, by which key, and which rows."""


class Retention(Part):
    async def prune(
        self, *, memory_seconds: float, answers_seconds: float, usage_days: int
    ) -> Pruned:
        """Delete what is older than that: turns, answers and what hangs on them, counts.

        What a conversation holds on to goes when nothing was said in it for `answers_seconds`.
        """
        now = self.clock()
        counts = dict.fromkeys((field.name for field in fields(Pruned)), 0)
        over = list(self._over(now, memory_seconds, answers_seconds, usage_days))
        for platform, server, days in await self._shorter():
            over.extend(_over_in_server(now, platform, server, days * DAY_SECONDS))
        for what, table, key, rows in over:
            counts[what] += await self._delete(table, key, rows)
        await self._drop_lost_ratings()
        return Pruned(**counts)

    def _over(
        self, now: float, memory_seconds: float, answers_seconds: float, usage_days: int
    ) -> Iterator[Over]:
        yield "claims", claims, claims.c.key, claims.c.at < now - CLAIM_SECONDS
        yield "turns", turns, turns.c.id, turns.c.at < now - memory_seconds
        yield "answers", answers, answers.c.id, answers.c.begun_at < now - answers_seconds
        yield "usage", usage, usage.c.key, usage.c.day < self.today() - usage_days
        forgotten = conversations.c.updated_at < now - answers_seconds
        yield "conversations", conversations, conversations.c.key, forgotten
        silent = (processes.c.seen_at < now - _PROCESS_SECONDS) & (processes.c.id != self.process)
        yield "processes", processes, processes.c.id, silent

    async def _shorter(self) -> list[tuple[str, str, float]]:
        """(platform, server, days) of the servers that keep less."""
        query = sa.select(settings.c.platform, settings.c.server, settings.c.value).where(
            settings.c.name == RETENTION_DAYS, settings.c.channel == ""
        )

        async def work(connection: AsyncConnection) -> list[tuple[str, str, float]]:
            rows = (await connection.execute(query)).all()
            return [
                (row.platform, row.server, float(row.value))
                for row in rows
                if isinstance(row.value, int | float) and not isinstance(row.value, bool)
            ]

        return await self._database.read(work)

    async def _delete(
        self,
        table: sa.Table,
        key: sa.Column[int] | sa.Column[str],
        rows: sa.ColumnElement[bool],
    ) -> int:
        portion = table.delete().where(rows, key.in_(sa.select(key).where(rows).limit(PORTION)))

        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(portion)).rowcount

        total = 0
        while gone := await self._database.write(work):
            total += gone
        return total

    async def _drop_lost_ratings(self) -> None:
        async def work(connection: AsyncConnection) -> None:
            await connection.execute(
                ratings.delete().where(ratings.c.answer_id.not_in(sa.select(answers.c.id)))
            )

        await self._database.write(work)


def _over_in_server(now: float, platform: str, server: str, seconds: float) -> Iterator[Over]:
    # A turn names its conversation only, whose key begins with platform and server (`Place.conversation`).
    there = turns.c.conversation.startswith(f"{platform}:{server}:", autoescape=True)
    yield "turns", turns, turns.c.id, there & (turns.c.at < now - seconds)
    here = (answers.c.platform == platform) & (answers.c.server == server)
    yield "answers", answers, answers.c.id, here & (answers.c.begun_at < now - seconds)


class Prunes(Protocol):
    """What `keep_pruned` needs of the State."""

    async def prune(
        self, *, memory_seconds: float, answers_seconds: float, usage_days: int
    ) -> Pruned: ...


async def keep_pruned(
    state: Prunes,
    *,
    memory_seconds: float,
    answers_seconds: float,
    usage_days: int,
    every_seconds: float = 3600.0,
) -> None:
    """Prune now and regularly, until cancelled. A database that fails is tried again the next time."""
    while True:
        try:
            pruned = await state.prune(
                memory_seconds=memory_seconds,
                answers_seconds=answers_seconds,
                usage_days=usage_days,
            )
            if pruned.total:
                log.info("no longer kept: %s", pruned)
        except PersonaeError as err:
            log.warning("what is over could not be deleted: %s", err)
        await asyncio.sleep(every_seconds)
