"""What people chose, what is kept of them, and how it is deleted."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.state.part import Part
from bot.state.records import Forgotten, PersonRecord
from bot.state.tables import answers, conversations, people, ratings, turns, usage

_NOT_THEIRS = {"history"}
"""Columns of an answer that may hold other people's words: in nobody's export."""


class People(Part):
    async def person(self, key: str) -> PersonRecord:
        """What they chose; the defaults where they chose nothing."""
        return await self._database.read(lambda connection: _person(connection, key))

    async def set_opted_out(self, key: str, opted_out: bool) -> None:
        """Whether none of their words are to be kept. What is there already stays: see `forget_person`."""
        await self._choose(key, opted_out=opted_out)

    async def set_locale(self, key: str, locale: str | None) -> None:
        """The language they want to be spoken to in; None: the one their platform tells."""
        await self._choose(key, locale=locale)

    async def _choose(self, key: str, **chosen: Any) -> None:
        values = chosen | {"updated_at": self.clock()}
        defaults = {"opted_out": False, "locale": None}
        statement = self._database.upsert(people).values(key=key, **(defaults | values))

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(
                statement.on_conflict_do_update(index_elements=["key"], set_=values)
            )
            await connection.execute(
                people.delete().where(
                    people.c.key == key, ~people.c.opted_out, people.c.locale.is_(None)
                )
            )

        await self._database.write(work)

    async def forget_person(self, key: str) -> Forgotten:
        """Delete everything of theirs. That they opted out stays known, or it would not hold."""
        forgotten = await self._database.write(lambda connection: _forget(connection, key))
        await self._database.overwrite_deleted()
        return forgotten

    async def export_person(self, key: str) -> dict[str, Any]:
        """Everything that is kept of them, as JSON has it; other people's words are left out."""
        return await self._database.read(lambda connection: _export(connection, key))


async def _person(connection: AsyncConnection, key: str) -> PersonRecord:
    query = sa.select(people.c.opted_out, people.c.locale).where(people.c.key == key)
    row = (await connection.execute(query)).one_or_none()
    return PersonRecord(key, row.opted_out, row.locale) if row else PersonRecord(key)


async def _forget(connection: AsyncConnection, key: str) -> Forgotten:
    theirs = sa.select(answers.c.id).where(answers.c.person_key == key)
    await connection.execute(theirs.with_for_update())  # nothing is remembered of these from now on
    spoke_in = sa.union(
        sa.select(turns.c.conversation).where(turns.c.person_key == key),
        sa.select(answers.c.conversation).where(answers.c.person_key == key),
    )
    touched = list((await connection.execute(spoke_in)).scalars())

    async def rows(statement: sa.Delete | sa.Update) -> int:
        return (await connection.execute(statement)).rowcount

    gone_ratings = await rows(
        ratings.delete().where((ratings.c.person_key == key) | ratings.c.answer_id.in_(theirs))
    )
    gone_turns = await rows(
        turns.delete().where((turns.c.person_key == key) | turns.c.answer_id.in_(theirs))
    )
    gone_answers = await rows(answers.delete().where(answers.c.person_key == key))
    # What they said went with other people's questions in the same conversations.
    await rows(answers.update().where(answers.c.conversation.in_(touched)).values(history=[]))
    left = sa.union(sa.select(turns.c.conversation), sa.select(answers.c.conversation))
    gone_conversations = await rows(
        conversations.delete().where(
            conversations.c.key.in_(touched), conversations.c.key.not_in(left)
        )
    )
    gone_usage = await rows(usage.delete().where(usage.c.kind == "person", usage.c.key == key))
    await rows(people.delete().where(people.c.key == key, ~people.c.opted_out))
    await rows(people.update().where(people.c.key == key).values(locale=None))
    return Forgotten(
        answers=gone_answers,
        turns=gone_turns,
        ratings=gone_ratings,
        usage=gone_usage,
        conversations=gone_conversations,
    )


async def _export(connection: AsyncConnection, key: str) -> dict[str, Any]:
    async def listed(query: sa.Select[Any]) -> list[dict[str, Any]]:
        return [dict(row._mapping) for row in await connection.execute(query)]

    person = await _person(connection, key)
    columns = [column for column in answers.c if column.name not in _NOT_THEIRS]
    return {
        "person": {"key": key, "opted_out": person.opted_out, "locale": person.locale},
        "answers": await listed(
            sa.select(*columns)
            .where(answers.c.person_key == key)
            .order_by(answers.c.begun_at, answers.c.id)
        ),
        "turns": await listed(
            sa.select(turns).where(turns.c.person_key == key).order_by(turns.c.id)
        ),
        "ratings": await listed(
            sa.select(ratings).where(ratings.c.person_key == key).order_by(ratings.c.at)
        ),
        "usage": await listed(
            sa.select(usage)
            .where(usage.c.kind == "person", usage.c.key == key)
            .order_by(usage.c.day, usage.c.platform, usage.c.server)
        ),
    }
