"""Who used how much, by UTC day: per person, per role and per server. No words, counts only."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.state.part import Part
from bot.state.records import Usage, UsageKind, UsageLine
from bot.state.tables import usage

_SUMS = (
    sa.func.coalesce(sa.func.sum(usage.c.requests), 0).label("requests"),
    sa.func.coalesce(sa.func.sum(usage.c.tokens), 0).label("tokens"),
)


class UsageCounts(Part):
    async def count_usage(
        self,
        *,
        platform: str,
        server: str | None,
        person_key: str,
        roles: Iterable[str] = (),
        requests: int = 0,
        tokens: int = 0,
    ) -> None:
        """Add to today's counts of the person, of each of their roles and of the server (if there is one)."""
        counted = [("person", person_key), *(("role", role) for role in sorted(set(roles)))]
        if server:
            counted.append(("server", server))
        rows = [
            {
                "platform": platform,
                "server": server or "",
                "kind": kind,
                "key": key,
                "day": self.today(),
                "requests": requests,
                "tokens": tokens,
            }
            for kind, key in counted
        ]
        # One statement, in one order everywhere: two that count at once can't block each other.
        rows.sort(key=lambda row: (str(row["kind"]), str(row["key"])))
        statement = self._database.upsert(usage).values(rows)
        statement = statement.on_conflict_do_update(
            index_elements=["platform", "server", "kind", "key", "day"],
            set_={
                "requests": usage.c.requests + statement.excluded.requests,
                "tokens": usage.c.tokens + statement.excluded.tokens,
            },
        )

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(statement)

        await self._database.write(work)

    async def usage(
        self, *, kind: UsageKind, platform: str, server: str | None, key: str, since_day: int
    ) -> Usage:
        """The sum from that UTC day on. A person's `server` None: what they used in direct messages."""
        query = sa.select(*_SUMS).where(
            usage.c.platform == platform,
            usage.c.server == (server or ""),
            usage.c.kind == kind,
            usage.c.key == key,
            usage.c.day >= since_day,
        )

        async def work(connection: AsyncConnection) -> Usage:
            row = (await connection.execute(query)).one()
            return Usage(int(row.requests), int(row.tokens))

        return await self._database.read(work)

    async def usage_top(
        self, platform: str, server: str | None, since_day: int, limit: int
    ) -> list[UsageLine]:
        """The people who used most there, most tokens first."""
        requests, tokens = _SUMS
        query = (
            sa.select(usage.c.key, requests, tokens)
            .where(
                usage.c.platform == platform,
                usage.c.server == (server or ""),
                usage.c.kind == "person",
                usage.c.day >= since_day,
            )
            .group_by(usage.c.key)
            .order_by(tokens.desc(), requests.desc(), usage.c.key)
            .limit(limit)
        )

        async def work(connection: AsyncConnection) -> list[UsageLine]:
            rows = await connection.execute(query)
            return [UsageLine(row.key, int(row.requests), int(row.tokens)) for row in rows]

        return await self._database.read(work)
