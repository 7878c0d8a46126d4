"""The ledger: which adapter version of each persona is live on which base model, and how it came so.

SQLite by default, PostgreSQL by URL, through SQLAlchemy Core. Calls block on disk: use them off the
event loop. A pointer moves only by `swap`, which compares before it writes, so two admins can't
overwrite each other's move unseen.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import sqlalchemy as sa

from personae.errors import ConfigError

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
    """ "adopt" (first version found), "reload" or "rollback"."""
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
    """Pointers and history in one database."""

    def __init__(self, url: str) -> None:
        try:
            self._engine = sa.create_engine(url)
            if self._engine.dialect.name == "sqlite":
                sa.event.listen(self._engine, "connect", _careful_sqlite)
            _metadata.create_all(self._engine)
        except (sa.exc.SQLAlchemyError, ImportError) as err:
            # The URL may hold a password: it is not repeated.
            raise ConfigError(
                "The database of the ledger can't be opened "
                f"({type(err).__name__}). Check PERSONAE_DATABASE_URL, or PERSONAE_HOME for the default."
            ) from err

    def close(self) -> None:
        self._engine.dispose()

    def pointer(self, persona: str, base_model: str) -> Pointer:
        """The pointer of a persona on a base model; empty if it never had one."""
        query = sa.select(_pointers.c.live, _pointers.c.previous).where(
            _pointers.c.persona == persona, _pointers.c.base_model == base_model
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return Pointer(live=row.live, previous=row.previous) if row else Pointer()

    def swap(self, expected: Pointer, new: Pointer, change: Change) -> bool:
        """Move a pointer if it still is what the caller saw, and write the change down with it.

        Returns:
            Whether it moved. False: somebody else moved it first; nothing was written.
        """
        key = (_pointers.c.persona == change.persona) & (
            _pointers.c.base_model == change.base_model
        )
        values = {"live": new.live, "previous": new.previous, "updated_at": _now()}
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
        with self._engine.begin() as connection:
            self._write(connection, change)

    def history(self, persona: str, *, limit: int = 50) -> list[Change]:
        """The latest changes of a persona, newest first."""
        query = (
            sa.select(_history)
            .where(_history.c.persona == persona)
            .order_by(_history.c.id.desc())
            .limit(limit)
        )
        with self._engine.connect() as connection:
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


def _careful_sqlite(connection: sa.engine.interfaces.DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA busy_timeout=5000")
    cursor.close()
