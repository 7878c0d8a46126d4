"""Conversations: which persona and version they hold on to, and the last things said in them.

A question is kept in one row with its answer, so that neither is ever there alone.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.state.part import Part
from bot.state.records import Conversation, Turn
from bot.state.tables import answers, conversations, turns


class Conversations(Part):
    async def conversation(self, key: str) -> Conversation | None:
        """None where nothing is pinned."""

        async def work(connection: AsyncConnection) -> Conversation | None:
            query = sa.select(conversations).where(conversations.c.key == key)
            row = (await connection.execute(query)).one_or_none()
            return Conversation(**row._mapping) if row else None

        return await self._database.read(work)

    async def pin(
        self,
        key: str,
        *,
        platform: str,
        server: str | None,
        channel: str,
        persona: str,
        adapter_version: str | None,
    ) -> None:
        """Set, or change."""
        values = {
            "platform": platform,
            "server": server,
            "channel": channel,
            "persona": persona,
            "adapter_version": adapter_version,
            "updated_at": self.clock(),
        }
        statement = self._database.upsert(conversations).values(key=key, **values)

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(
                statement.on_conflict_do_update(index_elements=["key"], set_=values)
            )

        await self._database.write(work)

    async def unpin(self, key: str) -> None:
        async def work(connection: AsyncConnection) -> None:
            await connection.execute(conversations.delete().where(conversations.c.key == key))

        await self._database.write(work)

    async def turns(self, key: str, *, limit: int, not_before: float = 0.0) -> list[Turn]:
        """The last things said, oldest first.

        Args:
            not_before: epoch seconds; what was said earlier is left out.
        """
        query = (
            sa.select(turns.c.question, turns.c.answer)
            .where(turns.c.conversation == key, turns.c.at >= not_before)
            .order_by(turns.c.id.desc())
            .limit(_rows(limit))
        )

        async def work(connection: AsyncConnection) -> list[Turn]:
            said: list[Turn] = []
            for row in reversed((await connection.execute(query)).all()):
                said += [Turn("user", row.question), Turn("assistant", row.answer)]
            return said[-limit:]

        return await self._database.read(work)

    async def remember(
        self,
        key: str,
        *,
        person_key: str,
        question: str,
        answer: str,
        answer_id: str,
        most_turns: int,
    ) -> None:
        """Add a question and its answer; the oldest turns beyond `most_turns` go.

        Of an answer that somebody has deleted meanwhile, or whose person was forgotten, nothing is added.
        """
        now = self.clock()
        values = {
            "conversation": key,
            "answer_id": answer_id,
            "person_key": person_key,
            "question": question,
            "answer": answer,
            "at": now,
        }
        newest = (
            sa.select(turns.c.id)
            .where(turns.c.conversation == key)
            .order_by(turns.c.id.desc())
            .limit(_rows(most_turns))
        )

        kept = (
            sa.select(answers.c.id)
            .where(answers.c.id == answer_id, answers.c.state != "deleted")
            .with_for_update()
        )

        async def work(connection: AsyncConnection) -> None:
            if (await connection.execute(kept)).one_or_none() is None:
                return
            await connection.execute(turns.insert().values(**values))
            await connection.execute(
                turns.delete().where(turns.c.conversation == key, turns.c.id.not_in(newest))
            )
            await connection.execute(
                conversations.update().where(conversations.c.key == key).values(updated_at=now)
            )

        await self._database.write(work)

    async def forget_turns(self, key: str) -> None:
        """Forget what was said in a conversation. Its persona stays."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(turns.delete().where(turns.c.conversation == key))

        await self._database.write(work)
        await self._database.overwrite_deleted()

    async def forget_answer_turns(self, answer_id: str) -> None:
        """Forget one answer and the question it was to."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(turns.delete().where(turns.c.answer_id == answer_id))

        await self._database.write(work)
        await self._database.overwrite_deleted()


def _rows(turns_at_most: int) -> int:
    """How many rows hold so many turns."""
    return -(-turns_at_most // 2)
