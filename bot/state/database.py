"""One connection pool to the bots' database: SQLite by default, PostgreSQL by URL.

Every piece of work is one transaction that runs to its end or not at all, also when whoever waits for it is
cancelled; it has a time limit, and what a database does when it fails comes out as one of our sentences.
The database's own words may hold a password: they are not repeated. It knows no table.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from personae.database import database_url
from personae.errors import ConfigError, DiskFull, PersonaeError, StateUnavailable

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Work = Callable[[AsyncConnection], Awaitable[Result]]

_CONNECTIONS = 5
_BUSY_SECONDS = 10.0
_LIMIT_SECONDS = 30.0
"""Longer than a wait for another program that writes."""
_READERS_SECONDS = 1.0
"""How long emptying the journal waits for programs that read; new writers wait as long."""
_NO_TRANSACTION = "no_transaction"


def default_url(home: Path) -> str:
    """Where the bots' state is when nothing else is set."""
    return f"sqlite:///{home / 'bots.db'}"


def parsed(url: str) -> sa.URL:
    """The URL with the driver that blocks.

    Raises:
        ConfigError: it is none, or of another database.
    """
    try:
        known = sa.make_url(database_url(url))
    except sa.exc.ArgumentError as err:
        raise ConfigError(
            "PERSONAE_DATABASE_URL is not a database URL. "
            "Write it like postgresql://user:password@host/name or sqlite:////folder/file.db."
        ) from err
    backend = known.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise ConfigError(
            f"The bots keep their state in SQLite or PostgreSQL, not in {backend}. "
            "Check PERSONAE_DATABASE_URL."
        )
    if backend == "sqlite" and known.database in (None, "", ":memory:"):
        raise ConfigError(
            "The bots' state needs a file: an SQLite database in memory would be empty after a restart. "
            "Write sqlite:////folder/file.db."
        )
    return known.set(drivername="sqlite") if backend == "sqlite" else known


def blocking_engine(url: sa.URL) -> sa.Engine:
    """For the migrations, off the event loop: one connection, closed after use."""
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool, connect_args=_connect_arguments(url))
    _care(engine)
    return engine


def pooled_engine(url: sa.URL) -> AsyncEngine:
    """For work on the event loop; whoever makes it disposes of it."""
    if url.get_backend_name() == "sqlite":
        url = url.set(drivername="sqlite+aiosqlite")
    engine = create_async_engine(
        url,
        pool_size=_CONNECTIONS,
        max_overflow=0,
        pool_timeout=_LIMIT_SECONDS,
        pool_pre_ping=url.get_backend_name() == "postgresql",
        connect_args=_connect_arguments(url),
    )
    _care(engine.sync_engine)
    return engine


def upsert(engine: AsyncEngine, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows ON CONFLICT, in the engine's words."""
    if engine.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


def _connect_arguments(url: sa.URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"isolation_level": None}  # transactions are begun below, not by the driver
    # Without prepared statements, a pooler such as PgBouncer may stand in between.
    return {"connect_timeout": 10, "prepare_threshold": None}


def _care(engine: sa.Engine) -> None:
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _careful_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)


def _careful_sqlite(connection: sa.engine.interfaces.DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute(_waiting(_BUSY_SECONDS))
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA secure_delete=ON")  # what was deleted is not left in the file
    cursor.close()


def _waiting(seconds: float) -> str:
    """How long SQLite waits for a lock."""
    return f"PRAGMA busy_timeout={int(seconds * 1000)}"


def _begin_sqlite(connection: sa.Connection) -> None:
    """A writer takes the lock at once: one that began as a reader could not wait for it."""
    options = connection.get_execution_options()
    if not options.get(_NO_TRANSACTION, False):
        connection.exec_driver_sql("BEGIN" if options.get("reads", False) else "BEGIN IMMEDIATE")


class Database:
    """Opened and closed by `State`.

    Raises in every method:
        DiskFull: it has no room.
        StateUnavailable: anything else that it does. Nothing has changed then.
    """

    def __init__(self, url: sa.URL) -> None:
        self._engine = pooled_engine(url)
        self._one_writer = asyncio.Lock() if url.get_backend_name() == "sqlite" else None
        self._running: set[asyncio.Task[Any]] = set()

    async def read(self, work: Work[Result]) -> Result:
        return await self._see_through(self._transact(work, reads=True))

    async def write(self, work: Work[Result]) -> Result:
        return await self._see_through(self._write(work))

    async def overwrite_deleted(self) -> None:
        """SQLite: empty the journal beside the database, where deleted words stand until it is written over.

        Where another program reads just now, that is left to the next time; nothing fails by it. PostgreSQL:
        see its vacuum.
        """
        if self._one_writer is not None:
            await self._see_through(self._empty_journal(self._one_writer))

    def upsert(self, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
        """An INSERT that knows ON CONFLICT, in this database's words."""
        return upsert(self._engine, table)

    async def close(self) -> None:
        """Waits for what is being written."""
        while self._running:
            await asyncio.wait(self._running)
        await self._engine.dispose()

    async def _see_through(self, work: Any) -> Any:
        task = asyncio.create_task(work, name="bot-state")
        self._running.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # seen, also where nobody waits any more

    async def _write(self, work: Work[Result]) -> Result:
        if self._one_writer is None:
            return await self._transact(work, reads=False)
        # SQLite has one writer; those of this process stand in line instead of trying again and again.
        async with self._one_writer:
            return await self._transact(work, reads=False)

    async def _empty_journal(self, one_writer: asyncio.Lock) -> None:
        try:
            async with (
                one_writer,
                asyncio.timeout(_LIMIT_SECONDS),
                self._engine.connect() as connection,
            ):
                await connection.execution_options(**{_NO_TRANSACTION: True})
                await connection.exec_driver_sql(_waiting(_READERS_SECONDS))
                try:
                    found = await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
                    if found.one()[0]:
                        log.info("the journal was in use and is emptied the next time")
                finally:
                    await connection.exec_driver_sql(_waiting(_BUSY_SECONDS))
        except (sa.exc.SQLAlchemyError, OSError) as err:  # it is deleted all the same
            log.warning("the journal of the bots' database was not emptied: %s", type(err).__name__)

    async def _transact(self, work: Work[Result], *, reads: bool) -> Result:
        try:
            async with asyncio.timeout(_LIMIT_SECONDS), self._engine.connect() as connection:
                await connection.execution_options(reads=reads)
                async with connection.begin():
                    return await work(connection)
        except (sa.exc.SQLAlchemyError, OSError) as err:  # TimeoutError is an OSError
            raise failure(err) from err


def failure(err: Exception) -> PersonaeError:
    """The sentence for what a database did."""
    cause = getattr(err, "orig", None)
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code
    if code == sqlite3.SQLITE_FULL or getattr(cause, "sqlstate", None) == "53100":
        return DiskFull(
            "The disk that holds the bots' state is full, so this was not kept. "
            "Free some space and try again."
        )
    reason = {
        sqlite3.SQLITE_BUSY: "another program is writing to its database",
        sqlite3.SQLITE_LOCKED: "another program is writing to its database",
        sqlite3.SQLITE_READONLY: "its database is read-only",
        sqlite3.SQLITE_CORRUPT: "its database is damaged",
        sqlite3.SQLITE_NOTADB: "its database is damaged",
        sqlite3.SQLITE_CANTOPEN: "its file can't be opened",
    }.get(code, type(cause or err).__name__)
    return StateUnavailable(
        f"The bots' state can't be used ({reason}). "
        "Check PERSONAE_DATABASE_URL, or bots.db in PERSONAE_HOME, and try again.",
        retry_after_seconds=10,
    )
