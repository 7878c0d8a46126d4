"""Which gateway holds which adapter in an engine that several share: nobody unloads what another speaks with.

Kept in the ledger's database, a row for each gateway and adapter. To hold one: write the row ("holds"), then
wait while another gateway is taking the adapter out. To let go: write "leaves", then look whether another
holds it, and unload only if nobody does. Whichever of two comes first, one of them sees the other.

A gateway says every few seconds that it is there; one that was silent for half a minute holds nothing. Should
an adapter be gone all the same, the question that needs it brings it back (`EngineClient.bring_back`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from personae.errors import DiskFull, LedgerUnavailable
from serving.ledger import database_failures, make_tables

log = logging.getLogger(__name__)

_EVERY_SECONDS = 5.0
_GONE_SECONDS = 30.0
_LOOK_SECONDS = 0.1
_UNLOAD_SECONDS = 15.0
"""How long another gateway may take to unload one; longer than the engine's client lets it."""

_CONSEQUENCE = "it is not known which adapters other gateways need"

_metadata = sa.MetaData()

_holders = sa.Table(
    "adapter_holders",
    _metadata,
    sa.Column("base_model", sa.String(200), primary_key=True),
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("replica", sa.String(32), primary_key=True),
    sa.Column("leaves", sa.Boolean, nullable=False),
    sa.Column("seen_at", sa.Float, nullable=False),
)


class Holders:
    """What this gateway holds in the engine of one base model, and whether others hold it too.

    A database that fails stops nobody from speaking: what could not be written is written with the next sign
    of life. But nothing is unloaded then.
    """

    def __init__(self, database: sa.Engine, *, base_model: str) -> None:
        self._database = database
        self._base_model = base_model
        self._replica = secrets.token_hex(8)
        self._held: set[str] = set()
        # What was held when a signature began must not come after what was let go since.
        self._writing = asyncio.Lock()
        with database_failures(_CONSEQUENCE):
            make_tables(_metadata, database)

    async def hold(self, name: str) -> None:
        """From now on nobody else unloads it. Returns once nobody is unloading it either."""
        self._held.add(name)
        try:
            await asyncio.to_thread(self._write, name, leaves=False)
            async with asyncio.timeout(_UNLOAD_SECONDS):
                while await asyncio.to_thread(self._others, name, leaving=True):  # noqa: ASYNC110 (another process)
                    await asyncio.sleep(_LOOK_SECONDS)
        except (DiskFull, LedgerUnavailable) as err:
            log.warning("that %s is held here could not be told: %s", name, err)
        except TimeoutError:
            log.warning("another gateway means to unload %s and does not", name)

    async def let_go(self, name: str) -> bool:
        """Whether it is to be unloaded now; `unloaded` has to follow then. False: another holds it."""
        self._held.discard(name)
        try:
            async with self._writing:
                await asyncio.to_thread(self._write, name, leaves=True)
            if not await asyncio.to_thread(self._others, name, leaving=False):
                return True
            await asyncio.to_thread(self._forget, name)
        except (DiskFull, LedgerUnavailable) as err:
            log.warning("%s stays loaded: %s", name, err)
        return False

    async def unloaded(self, name: str) -> None:
        """The engine was asked; others may load it again."""
        try:
            await asyncio.to_thread(self._forget, name)
        except (DiskFull, LedgerUnavailable) as err:
            log.warning("that %s was unloaded could not be told: %s", name, err)

    async def keep(self, *, every_seconds: float) -> None:
        """Say that this gateway is there, until cancelled."""
        failing = False
        while True:
            await asyncio.sleep(every_seconds)
            try:
                async with self._writing:
                    await asyncio.to_thread(self._sign, sorted(self._held))
                failing = False
            except (DiskFull, LedgerUnavailable) as err:
                if not failing:
                    log.warning("what is held in the engine can't be told: %s", err)
                failing = True

    async def close(self) -> None:
        """Nothing is held here any more."""
        self._held.clear()
        try:
            await asyncio.to_thread(self._forget, None)
        except (DiskFull, LedgerUnavailable) as err:
            log.warning("the adapters held here are freed in %.0f s: %s", _GONE_SECONDS, err)

    # -- in the database; these block --------------------------------------------------------------

    def _write(self, name: str, *, leaves: bool) -> None:
        with database_failures(_CONSEQUENCE), self._database.begin() as connection:
            self._upsert(connection, name, leaves=leaves)

    def _sign(self, names: list[str]) -> None:
        with database_failures(_CONSEQUENCE), self._database.begin() as connection:
            for name in names:
                self._upsert(connection, name, leaves=False)
            gone = _holders.c.seen_at < _now(connection) - 2 * _GONE_SECONDS
            connection.execute(_holders.delete().where(gone))

    def _upsert(self, connection: sa.Connection, name: str, *, leaves: bool) -> None:
        insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        key = {"base_model": self._base_model, "name": name, "replica": self._replica}
        values = {"leaves": leaves, "seen_at": _now(connection)}
        connection.execute(
            insert(_holders)
            .values(**key, **values)
            .on_conflict_do_update(index_elements=list(key), set_=values)
        )

    def _others(self, name: str, *, leaving: bool) -> bool:
        """Whether another gateway holds it, or is taking it out."""
        with database_failures(_CONSEQUENCE), self._database.connect() as connection:
            found = connection.execute(
                sa.select(sa.func.count()).where(
                    _holders.c.base_model == self._base_model,
                    _holders.c.name == name,
                    _holders.c.replica != self._replica,
                    _holders.c.leaves.is_(leaving),
                    _holders.c.seen_at >= _now(connection) - _GONE_SECONDS,
                )
            )
            return bool(found.scalar_one())

    def _forget(self, name: str | None) -> None:
        ours = (_holders.c.base_model == self._base_model) & (_holders.c.replica == self._replica)
        if name is not None:
            ours &= _holders.c.name == name
        with database_failures(_CONSEQUENCE), self._database.begin() as connection:
            connection.execute(_holders.delete().where(ours))


@contextlib.asynccontextmanager
async def sharing(
    database: sa.Engine, *, base_model: str, every_seconds: float = _EVERY_SECONDS
) -> AsyncIterator[Holders]:
    """Holders of a shared engine, who say that they are there until the block ends.

    Raises:
        LedgerUnavailable, DiskFull: the table can't be made.
    """
    holders = await asyncio.to_thread(Holders, database, base_model=base_model)
    keeping = asyncio.create_task(
        holders.keep(every_seconds=every_seconds), name=f"hold-{base_model}"
    )
    try:
        yield holders
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})
        await holders.close()


def _now(connection: sa.Connection) -> float:
    """By one clock for all of them: PostgreSQL's own, or that of the machine the file is on."""
    if connection.dialect.name == "sqlite":
        return time.time()
    return float(
        connection.execute(
            sa.select(sa.func.extract("epoch", sa.func.clock_timestamp()))
        ).scalar_one()
    )
