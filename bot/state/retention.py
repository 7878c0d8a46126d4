"""How long things are kept: what is over goes, in small portions, now and then.

A server may keep its answers for another time than others do (the setting `RETENTION_DAYS`); what was said
is never remembered for longer than everywhere.
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

        What a conversation holds on to goes like an answer, when nothing was said in it for so long.
        """
        now = self.clock()
        counts = dict.fromkeys((field.name for field in fields(Pruned)), 0)
        over = list(self._over(now, memory_seconds, answers_seconds, usage_days))
        for platform, server, days in await self._own_days():
            seconds = answers_seconds if days is None else days * DAY_SECONDS
            over.extend(_over_in_server(now, platform, server, seconds))
        for what, table, key, rows in over:
            counts[what] += await self._delete(table, key, rows)
        await self._drop_lost_ratings()
        await self._database.overwrite_deleted()
        return Pruned(**counts)

    def _over(
        self, now: float, memory_seconds: float, answers_seconds: float, usage_days: int
    ) -> Iterator[Over]:
        yield "claims", claims, claims.c.key, claims.c.at < now - CLAIM_SECONDS
        # What was said holds the words of answers: it never outlives them.
        remembered_seconds = min(memory_seconds, answers_seconds)
        yield "turns", turns, turns.c.id, turns.c.at < now - remembered_seconds
        old_answers = (answers.c.begun_at < now - answers_seconds) & ~_has_own_days(answers)
        yield "answers", answers, answers.c.id, old_answers
        yield "usage", usage, usage.c.key, usage.c.day < self.today() - usage_days
        silent_ones = conversations.c.updated_at < now - answers_seconds
        old_conversations = silent_ones & ~_has_own_days(conversations)
        yield "conversations", conversations, conversations.c.key, old_conversations
        silent = (processes.c.seen_at < now - _PROCESS_SECONDS) & (processes.c.id != self.process)
        yield "processes", processes, processes.c.id, silent

    async def _own_days(self) -> list[tuple[str, str, float | None]]:
        """(platform, server, days) of the servers with a setting; None where it is no number of days."""
        query = sa.select(settings.c.platform, settings.c.server, settings.c.value).where(
            settings.c.name == RETENTION_DAYS, settings.c.channel == ""
        )

        async def work(connection: AsyncConnection) -> list[tuple[str, str, float | None]]:
            rows = (await connection.execute(query)).all()
            return [(row.platform, row.server, _days(row.value)) for row in rows]

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


def _days(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def _has_own_days(table: sa.Table) -> sa.ColumnElement[bool]:
    return (
        sa.select(settings.c.name)
        .where(
            settings.c.platform == table.c.platform,
            settings.c.server == table.c.server,
            settings.c.channel == "",
            settings.c.name == RETENTION_DAYS,
        )
        .exists()
    )


def _over_in_server(now: float, platform: str, server: str, seconds: float) -> Iterator[Over]:
    # A turn names its conversation only, whose key begins with platform and server (`Place.conversation`).
    there = turns.c.conversation.startswith(f"{platform}:{server}:", autoescape=True)
    yield "turns", turns, turns.c.id, there & (turns.c.at < now - seconds)
    here = (answers.c.platform == platform) & (answers.c.server == server)
    yield "answers", answers, answers.c.id, here & (answers.c.begun_at < now - seconds)
    held = (conversations.c.platform == platform) & (conversations.c.server == server)
    silent = held & (conversations.c.updated_at < now - seconds)
    yield "conversations", conversations, conversations.c.key, silent


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
