"""Answers, from their question to their end, and what people think of them.

An answer ends once: what comes later, or after somebody deleted it, changes nothing. A deleted answer
keeps its id, so that late events are known to be about nothing, and loses its words.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.state.part import Part
from bot.state.processes import gone_processes
from bot.state.records import AnswerRecord, AnswerState, Rating
from bot.state.tables import answers, ratings, turns

_BLANK: dict[str, Any] = {
    "question": "",
    "text": "",
    "history": [],
    "citations": [],
    "details": {},
    "person_name": "",
}
"""What goes when an answer's words may not stay."""


def selected() -> sa.Select[Any]:
    """Answers with what the person who asked thinks of them."""
    asker_rated = (ratings.c.answer_id == answers.c.id) & (
        ratings.c.person_key == answers.c.person_key
    )
    return sa.select(answers, ratings.c.rating).select_from(answers.outerjoin(ratings, asker_rated))


def record_of(row: sa.Row[Any]) -> AnswerRecord:
    values = dict(row._mapping)
    del values["keep"]
    return AnswerRecord(**values)


class Answers(Part):
    async def begin_answer(self, record: AnswerRecord, *, keep: bool = True) -> None:
        """Write down that an answer has begun; its state is "open".

        Args:
            keep: False: no word of question or answer is ever written down.
        """
        values = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
        del values["rating"]
        values.update(
            process=record.process or self.process,
            begun_at=record.begun_at or self.clock(),
            keep=keep,
        )
        if not keep:
            values |= _BLANK

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(answers.insert().values(**values))

        await self._database.write(work)

    async def place_answer(self, answer_id: str, reference: dict[str, Any]) -> None:
        """Note where it is shown."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(
                answers.update()
                .where(answers.c.id == answer_id, answers.c.state != "deleted")
                .values(reference=reference)
            )

        await self._database.write(work)

    async def end_answer(
        self,
        answer_id: str,
        *,
        state: AnswerState,
        text: str = "",
        persona: str = "",
        adapter_version: str | None = None,
        base_model: str = "",
        prompt_fingerprint: str = "",
        request_id: str = "",
        citations: list[dict[str, Any]] | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        """Write down how an answer ended, if it is open. `persona` "" leaves the one it began with."""
        values: dict[str, Any] = {
            "state": state,
            "text": text,
            "adapter_version": adapter_version,
            "base_model": base_model,
            "prompt_fingerprint": prompt_fingerprint,
            "request_id": request_id,
            "citations": citations or [],
            "details": details or {},
            "ended_at": self.clock(),
        }
        if persona:
            values["persona"] = persona
        is_open = (answers.c.id == answer_id) & (answers.c.state == "open")

        async def work(connection: AsyncConnection) -> None:
            keeps = sa.select(answers.c.keep).where(is_open)
            keep = (await connection.execute(keeps)).scalar_one_or_none()
            if keep is None:
                return
            ended = values if keep else values | _BLANK
            await connection.execute(answers.update().where(is_open).values(**ended))

        await self._database.write(work)

    async def answer(self, answer_id: str) -> AnswerRecord | None:
        query = selected().where(answers.c.id == answer_id)

        async def work(connection: AsyncConnection) -> AnswerRecord | None:
            row = (await connection.execute(query)).one_or_none()
            return record_of(row) if row else None

        return await self._database.read(work)

    async def open_answers(self, platform: str, owner: str) -> list[AnswerRecord]:
        """Answers that processes which are gone left open, oldest first.

        Each is handed to one caller only: it belongs to this process from now on.
        """
        left = (
            (answers.c.platform == platform)
            & (answers.c.owner == owner)
            & (answers.c.state == "open")
            & (answers.c.process != self.process)
        )

        async def work(connection: AsyncConnection) -> list[AnswerRecord]:
            named = sa.select(answers.c.process).where(left).distinct()
            processes = set((await connection.execute(named)).scalars())
            gone = await gone_processes(connection, processes, self.clock())
            taken = await connection.execute(
                answers.update()
                .where(left, answers.c.process.in_(gone))
                .values(process=self.process)
                .returning(answers.c.id)
            )
            ids = list(taken.scalars())
            query = selected().where(answers.c.id.in_(ids)).order_by(answers.c.begun_at)
            return [record_of(row) for row in await connection.execute(query)]

        return await self._database.write(work)

    async def delete_answer(self, answer_id: str) -> None:
        """Its words go, from the conversation's memory as well, and it can't end any more."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(
                answers.update()
                .where(answers.c.id == answer_id)
                .values(
                    state="deleted",
                    reference={},
                    extra={},
                    ended_at=sa.func.coalesce(answers.c.ended_at, self.clock()),
                    **_BLANK,
                )
            )
            await connection.execute(turns.delete().where(turns.c.answer_id == answer_id))
            await connection.execute(ratings.delete().where(ratings.c.answer_id == answer_id))

        await self._database.write(work)
        await self._database.overwrite_deleted()

    async def note_rating(self, answer_id: str, person_key: str, rating: Rating | None) -> None:
        """What somebody thinks of an answer; None takes it back."""
        this = (ratings.c.answer_id == answer_id) & (ratings.c.person_key == person_key)
        values = {"rating": rating, "at": self.clock()}
        statement = self._database.upsert(ratings).values(
            answer_id=answer_id, person_key=person_key, **values
        )

        async def work(connection: AsyncConnection) -> None:
            if rating is None:
                await connection.execute(ratings.delete().where(this))
            else:
                await connection.execute(
                    statement.on_conflict_do_update(
                        index_elements=["answer_id", "person_key"], set_=values
                    )
                )

        await self._database.write(work)

    async def rating(self, answer_id: str, person_key: str) -> Rating | None:
        """What this person thinks of it."""
        query = sa.select(ratings.c.rating).where(
            ratings.c.answer_id == answer_id, ratings.c.person_key == person_key
        )

        async def work(connection: AsyncConnection) -> Any:
            return (await connection.execute(query)).scalar_one_or_none()

        found: Rating | None = await self._database.read(work)
        return found
