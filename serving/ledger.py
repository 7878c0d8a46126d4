"""The ledger: which adapter version of each persona is live on which base model, and how it came so.

SQLite by default, PostgreSQL by URL, through SQLAlchemy Core. Calls block on disk: use them off the
event loop. A pointer moves only by `swap`, which compares before it writes, so two admins can't
overwrite each other's move unseen. Pointer and history are written together or not at all.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import re
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from personae.database import database_url
from personae.errors import ConfigError, DiskFull, LedgerUnavailable

log = logging.getLogger(__name__)

# Without prepared statements a pooler such as PgBouncer may stand in between.
_FOREIGN = {"connect_timeout": 10, "prepare_threshold": None}

_LOOKS = 20
_BETWEEN_LOOKS_SECONDS = 0.1

_metadata = sa.MetaData()

_pointers = sa.Table(
    "adapter_pointers",
    _metadata,
    sa.Column("persona", sa.String(64), primary_key=True),
    sa.Column("base_model", sa.String(200), primary_key=True),
    sa.Column("live", sa.Integer, nullable=True),
    sa.Column("previous", sa.Integer, nullable=True),
    sa.Column("updated_at", sa.String(40), nullable=False),
)

_history = sa.Table(
    "adapter_history",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("persona", sa.String(64), nullable=False),
    sa.Column("base_model", sa.String(200), nullable=False),
    sa.Column("action", sa.String(20), nullable=False),
    sa.Column("version_before", sa.Integer, nullable=True),
    sa.Column("version_after", sa.Integer, nullable=True),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("surface", sa.String(20), nullable=False),
    sa.Column("reason", sa.String(200), nullable=False),
    sa.Column("outcome", sa.String(20), nullable=False),
    sa.Column("message", sa.Text, nullable=False),
)


@dataclass(frozen=True)
class Pointer:
    """Live and previous version numbers; None where there is none."""

    live: int | None = None
    previous: int | None = None


@dataclass(frozen=True)
class Change:
    """One line of the history: what was asked, by whom, and what came of it."""

    persona: str
    base_model: str
    action: str
    """ "adopt" (first version found), "reload", "rollback", "fallback" (the live version can't be
    used, another one speaks; the pointer stays) or "restore" (it can be used again)."""
    before: int | None
    after: int | None
    actor: str
    surface: str
    reason: str
    outcome: str
    """ "done", "unchanged" or "refused"."""
    message: str
    at: str = ""


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


class Ledger:
    """Pointers and history in one database.

    Every method raises DiskFull or LedgerUnavailable when the database fails; then nothing has moved.

    Args:
        busy_seconds: how long to wait for another program that is writing (SQLite).
    """

    def __init__(self, url: str, *, busy_seconds: float = 5.0) -> None:
        def careful_sqlite(
            connection: sa.engine.interfaces.DBAPIConnection, _record: object
        ) -> None:
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA busy_timeout={int(busy_seconds * 1000)}")
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA secure_delete=ON")  # what was forgotten is not left in the file
            cursor.close()

        try:
            url = database_url(url)
            if sa.make_url(url).get_backend_name() == "sqlite":
                self._engine = sa.create_engine(url)
                sa.event.listen(self._engine, "connect", careful_sqlite)
            else:
                # Another machine's: it may be restarted, and a connection to it may be gone.
                self._engine = sa.create_engine(url, pool_pre_ping=True, connect_args=_FOREIGN)
            make_tables(_metadata, self._engine)
        except (sa.exc.SQLAlchemyError, ImportError) as err:
            # The URL may hold a password: it is not repeated.
            raise ConfigError(
                "The database of the ledger can't be opened "
                f"({type(err).__name__}). Check PERSONAE_DATABASE_URL, or PERSONAE_HOME for the default."
            ) from err

    @property
    def database(self) -> sa.Engine:
        """For what else is kept in it."""
        return self._engine

    def close(self) -> None:
        self._engine.dispose()

    def pointer(self, persona: str, base_model: str) -> Pointer:
        """The pointer of a persona on a base model; empty if it never had one."""
        query = sa.select(_pointers.c.live, _pointers.c.previous).where(
            _pointers.c.persona == persona, _pointers.c.base_model == base_model
        )
        consequence = "it is not known which version is live"
        with database_failures(consequence), self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return Pointer(live=row.live, previous=row.previous) if row else Pointer()

    def pointers(self, base_model: str) -> dict[str, Pointer]:
        """The pointers of all personas on a base model."""
        query = sa.select(_pointers.c.persona, _pointers.c.live, _pointers.c.previous).where(
            _pointers.c.base_model == base_model
        )
        consequence = "it is not known which versions are live"
        with database_failures(consequence), self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return {row.persona: Pointer(live=row.live, previous=row.previous) for row in rows}

    def newest_ever_live(self, persona: str, base_model: str) -> int:
        """The highest version that ever was live; 0 if none was."""
        query = sa.select(sa.func.max(_history.c.version_after)).where(
            _history.c.persona == persona,
            _history.c.base_model == base_model,
            _history.c.outcome == "done",
        )
        consequence = "it is not known which versions were live"
        with database_failures(consequence), self._engine.connect() as connection:
            return connection.execute(query).scalar_one() or 0

    def swap(self, expected: Pointer, new: Pointer, change: Change) -> bool:
        """Move a pointer if it still is what the caller saw, and write the change down with it.

        Returns:
            Whether it moved. False: somebody else moved it first; nothing was written.
        """
        key = (_pointers.c.persona == change.persona) & (
            _pointers.c.base_model == change.base_model
        )
        values = {"live": new.live, "previous": new.previous, "updated_at": _now()}
        with database_failures("the change was not made"):
            try:
                return self._swap(key, expected, values, change)
            except sa.exc.IntegrityError:
                return False  # somebody else wrote the first pointer between our look and our write

    def _swap(
        self,
        key: sa.ColumnElement[bool],
        expected: Pointer,
        values: dict[str, int | str | None],
        change: Change,
    ) -> bool:
        with self._engine.begin() as connection:
            if expected == Pointer():
                exists = connection.execute(
                    sa.select(sa.func.count()).select_from(_pointers).where(key)
                ).scalar_one()
                if exists:
                    return False
                connection.execute(
                    _pointers.insert().values(
                        persona=change.persona, base_model=change.base_model, **values
                    )
                )
            else:
                moved = connection.execute(
                    _pointers.update()
                    .where(
                        key,
                        _pointers.c.live.is_not_distinct_from(expected.live),
                        _pointers.c.previous.is_not_distinct_from(expected.previous),
                    )
                    .values(**values)
                )
                if moved.rowcount != 1:
                    return False
            self._write(connection, change)
        return True

    def record(self, change: Change) -> None:
        """Write down a change that moved nothing (refused, or already so)."""
        with database_failures("the history lacks a line"), self._engine.begin() as connection:
            self._write(connection, change)

    def history(self, persona: str, *, limit: int = 50) -> list[Change]:
        """The latest changes of a persona, newest first."""
        query = (
            sa.select(_history)
            .where(_history.c.persona == persona)
            .order_by(_history.c.id.desc())
            .limit(limit)
        )
        with database_failures("the history can't be shown"), self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [
            Change(
                persona=row.persona,
                base_model=row.base_model,
                action=row.action,
                before=row.version_before,
                after=row.version_after,
                actor=row.actor,
                surface=row.surface,
                reason=row.reason,
                outcome=row.outcome,
                message=row.message,
                at=row.at,
            )
            for row in rows
        ]

    def _write(self, connection: sa.Connection, change: Change) -> None:
        connection.execute(
            _history.insert().values(
                at=_now(),
                persona=change.persona,
                base_model=change.base_model,
                action=change.action,
                version_before=change.before,
                version_after=change.after,
                actor=change.actor,
                surface=change.surface,
                reason=change.reason,
                outcome=change.outcome,
                message=change.message,
            )
        )


def make_tables(metadata: sa.MetaData, engine: sa.Engine) -> None:
    """Make what is missing. Of processes that do it at once all but one are told that it is there already, of
    any of the tables, or (SQLite) that the file is being made: they look again."""
    for _ in range(_LOOKS):
        try:
            metadata.create_all(engine)
            return
        except sa.exc.DBAPIError as err:
            if not _is_being_made(err.orig):
                raise
        time.sleep(_BETWEEN_LOOKS_SECONDS)
    metadata.create_all(engine)


def _is_being_made(cause: BaseException | None) -> bool:
    if isinstance(cause, sqlite3.Error):
        return re.search("already exists|is locked", str(cause)) is not None
    # PostgreSQL: unique_violation (in its own tables), duplicate_object, duplicate_table
    return getattr(cause, "sqlstate", None) in ("23505", "42710", "42P07")


def overwrite_deleted(engine: sa.Engine) -> None:
    """SQLite: empty the journal beside the database, where deleted words stand until it is written over.

    Where another program reads just now, that is left to its next round. PostgreSQL: see its vacuum.
    """
    if engine.dialect.name != "sqlite":
        return
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    except sa.exc.SQLAlchemyError as err:  # it is deleted all the same
        log.warning("the journal of the database was not emptied: %s", type(err).__name__)


@contextlib.contextmanager
def database_failures(consequence: str) -> Iterator[None]:
    """Translate what a database does when it fails. Its own words may hold a password: not repeated.

    Raises:
        DiskFull: it has no room.
        LedgerUnavailable: anything else.
    """
    try:
        yield
    except sa.exc.SQLAlchemyError as err:
        cause = getattr(err, "orig", None)
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code
        if code == sqlite3.SQLITE_FULL or getattr(cause, "sqlstate", None) == "53100":
            raise DiskFull(
                f"The disk holding the ledger of adapter versions is full, so {consequence}. "
                "Free some space and try again."
            ) from err
        reason = {
            sqlite3.SQLITE_BUSY: "another program is writing to its database",
            sqlite3.SQLITE_LOCKED: "another program is writing to its database",
            sqlite3.SQLITE_READONLY: "its database is read-only",
            sqlite3.SQLITE_CORRUPT: "its database is damaged",
            sqlite3.SQLITE_NOTADB: "its database is damaged",
        }.get(code, type(cause or err).__name__)
        raise LedgerUnavailable(
            f"The ledger of adapter versions can't be used ({reason}), so {consequence}. "
            "Check PERSONAE_DATABASE_URL, or state.db in PERSONAE_HOME, and try again.",
            retry_after_seconds=10,
        ) from err
