"""Brings the bots' tables to the newest schema when the state is opened. Blocks: off the event loop.

The revisions are in migrations/versions, written by hand. All that are missing are made in one transaction
under a lock, so programs that start at once don't meet half a schema.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from bot.state.database import blocking_engine, failure
from bot.state.tables import VERSION_TABLE
from personae.errors import ConfigError

MIGRATIONS = Path(__file__).parent / "migrations"
_ONE_AT_A_TIME = threading.Lock()
"""Alembic's environment belongs to the whole process."""
_LOCK = 0x706572736F6E6165
"""Any number that nobody else locks in PostgreSQL."""


def bring_up(url: sa.URL) -> None:
    """Make the tables, or bring them up to date.

    Raises:
        ConfigError: they are newer than this program.
        DiskFull, StateUnavailable: the database can't be opened or changed; it is as it was.
    """
    try:
        if url.get_backend_name() == "sqlite":
            _make_private_file(Path(str(url.database)))
        engine = blocking_engine(url)
        try:
            with _ONE_AT_A_TIME, engine.begin() as connection:
                _upgrade(connection)
        finally:
            engine.dispose()
    except (sa.exc.SQLAlchemyError, OSError) as err:
        raise failure(err) from err


def alembic_config(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: sa.Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    config = alembic_config(connection)
    script = ScriptDirectory.from_config(config)
    known = {revision.revision for revision in script.walk_revisions()}
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    have = set(context.get_current_heads())
    if have - known:
        newer, newest = ", ".join(sorted(have - known)), script.get_current_head()
        raise ConfigError(
            f"A newer personae made the bots' database: its schema is {newer}, "
            f"and this one knows them up to {newest}. "
            "Install the newer personae again, or set PERSONAE_DATABASE_URL to another database."
        )
    if have != set(script.get_heads()):
        command.upgrade(config, "head")


def _make_private_file(path: Path) -> None:
    """What people said is in it: nobody else on this machine needs to read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
