"""The migrations make the tables that the code expects, once, whoever comes first, and never step back."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata, render_python_code
from alembic.autogenerate.api import produce_migrations
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from bot.state import schema
from bot.state.database import blocking_engine, parsed
from bot.state.store import State
from bot.state.tables import PREFIX, VERSION_TABLE, metadata
from personae.errors import ConfigError
from tests.conftest import REPOSITORY


def test_migrations_make_exactly_the_tables_of_the_code(new_url):
    url = parsed(new_url)
    schema.bring_up(url)
    engine = blocking_engine(url)
    with engine.begin() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        missing = render_python_code(produce_migrations(context, metadata).upgrade_ops)
        assert compare_metadata(context, metadata) == [], f"write a revision with:\n{missing}"
    engine.dispose()


def test_all_tables_are_the_bots_by_name():
    assert len(metadata.tables) > 5
    assert all(name.startswith(PREFIX) for name in [*metadata.tables, VERSION_TABLE])


async def test_states_that_open_at_once_meet_one_schema(new_url):
    """Two tasks here and another process open a database that has no tables yet."""
    program = (
        "import asyncio, sys\n"
        "from bot.state.store import State\n"
        "async def main():\n"
        "    async with State.open(sys.argv[1]) as state:\n"
        "        print(await state.claim('one'))\n"
        "asyncio.run(main())\n"
    )
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, new_url, stdout=subprocess.PIPE
    )

    async def opened() -> bool:
        async with State.open(new_url) as state:
            return await state.claim("one")

    claimed = await asyncio.gather(opened(), opened())
    told, _ = await other.communicate()
    assert other.returncode == 0
    assert sorted([*claimed, told.strip() == b"True"]) == [False, False, True]


async def test_databases_may_be_opened_at_once(tmp_path):
    async def opened(name: str) -> None:
        async with State.open(f"sqlite:///{tmp_path / name}") as state:
            assert await state.claim("one")

    await asyncio.gather(*(opened(f"{number}.db") for number in range(5)))


async def test_what_is_there_stays_when_it_is_opened_again(new_url):
    async with State.open(new_url) as state:
        await state.set_setting("discord", "S", "", "persona", "pg")
    async with State.open(new_url) as state:
        assert await state.setting("discord", "S", "", "persona") == "pg"


async def test_a_newer_schema_is_refused_and_left_alone(new_url):
    url = parsed(new_url)
    schema.bring_up(url)
    engine = blocking_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9876'"))
    with pytest.raises(ConfigError, match=r"newer personae.*9876.*PERSONAE_DATABASE_URL"):
        async with State.open(new_url):
            pass
    with engine.begin() as connection:
        version = connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}"))
        assert version.scalar_one() == "9876"
    engine.dispose()


def test_a_migration_that_fails_leaves_nothing(new_url):
    """Another program's table stands in the way of the last one that is made."""
    url = parsed(new_url)
    engine = blocking_engine(url)
    last = "bot_usage"
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE TABLE {last} (x INTEGER)"))
    with pytest.raises(Exception, match="can't be used"):
        schema.bring_up(url)
    assert sa.inspect(engine).get_table_names() == [last]
    engine.dispose()


def test_the_revisions_are_one_line():
    script = ScriptDirectory(str(schema.MIGRATIONS))
    revisions = list(script.walk_revisions())
    assert len(script.get_heads()) == len(script.get_bases()) == 1
    assert len(revisions) == len(list((schema.MIGRATIONS / "versions").glob("r*.py")))


def test_a_wheel_has_the_migrations(tmp_path):
    """Built from a copy: setuptools leaves its own folders behind."""
    assert importlib.util.find_spec("setuptools")
    source = tmp_path / "source"
    for name in ("pyproject.toml", "README.md"):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_bytes((REPOSITORY / name).read_bytes())
    copied = [path for path in (REPOSITORY / "bot").rglob("*.*") if path.suffix != ".pyc"]
    for path in copied:
        if path.is_file():
            target = source / path.relative_to(REPOSITORY)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    build = "import sys; from setuptools import build_meta as b; b.build_wheel(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)],
        cwd=source, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        Path("bot/state/migrations") / path.relative_to(schema.MIGRATIONS)
        for path in schema.MIGRATIONS.rglob("*.py")
    }
    assert len(wanted) >= 4
    assert {str(path) for path in wanted} <= inside
