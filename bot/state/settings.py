"""What administrators set: JSON values by server, channel and name. A server's own have channel ""."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.state.part import Part
from bot.state.tables import settings


def _is(platform: str, server: str | None, channel: str | None) -> sa.ColumnElement[bool]:
    return (
        (settings.c.platform == platform)
        & (settings.c.server == (server or ""))
        & (settings.c.channel == (channel or ""))
    )


class Settings(Part):
    async def setting(
        self,
        platform: str,
        server: str | None,
        channel: str | None,
        name: str,
        default: Any = None,
    ) -> Any:
        query = sa.select(settings.c.value).where(
            _is(platform, server, channel), settings.c.name == name
        )

        async def work(connection: AsyncConnection) -> Any:
            row = (await connection.execute(query)).one_or_none()
            return row.value if row else default

        return await self._database.read(work)

    async def set_setting(
        self, platform: str, server: str | None, channel: str | None, name: str, value: Any
    ) -> None:
        """`value` is anything JSON has; None removes the setting."""
        this = _is(platform, server, channel) & (settings.c.name == name)
        values = {"value": value, "updated_at": self.clock()}
        statement = self._database.upsert(settings).values(
            platform=platform, server=server or "", channel=channel or "", name=name, **values
        )

        async def work(connection: AsyncConnection) -> None:
            if value is None:
                await connection.execute(settings.delete().where(this))
                return
            await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["platform", "server", "channel", "name"], set_=values
                )
            )

        await self._database.write(work)

    async def settings(self, platform: str, server: str | None) -> dict[str, dict[str, Any]]:
        """All of a server's: channel ("" for the server's own) → name → value."""
        query = (
            sa.select(settings.c.channel, settings.c.name, settings.c.value)
            .where(settings.c.platform == platform, settings.c.server == (server or ""))
            .order_by(settings.c.channel, settings.c.name)
        )

        async def work(connection: AsyncConnection) -> dict[str, dict[str, Any]]:
            found: dict[str, dict[str, Any]] = {}
            for row in await connection.execute(query):
                found.setdefault(row.channel, {})[row.name] = row.value
            return found

        return await self._database.read(work)
