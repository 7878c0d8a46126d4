"""A backup of a running server and its restoration elsewhere: the real scripts, SQLite and PostgreSQL."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import psycopg
import pytest

from tests.conftest import ADMIN_KEY, REPOSITORY, gateway_over
from tests.fakes.postgres import PostgresServer, postgres_programs, running_postgres

BACKUP = REPOSITORY / "deploy" / "backup" / "backup.sh"
RESTORE = REPOSITORY / "deploy" / "backup" / "restore.sh"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}


def script(path: Path, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run as an operator would; only these variables and the way to programs."""
    environment = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run(
        [path, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def backed_up(home: Path, to: Path, *arguments: object, **variables: str) -> Path:
    done = script(BACKUP, "--home", home, "--to", to, *arguments, **variables)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is missing (apt install postgresql)")
    if not (programs / "pg_dump").exists() and shutil.which("pg_dump") is None:
        pytest.skip("pg_dump is missing (apt install postgresql-client)")
    with running_postgres(programs) as server:
        yield server


@pytest.fixture
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "sqlite":
        yield ""
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        with server.database() as address:
            yield address


def programs_first() -> str:
    """pg_dump of the server that runs in these tests, before another one's."""
    return f"{postgres_programs()}:{os.environ['PATH']}"


@pytest.fixture
def variables(url: str) -> Callable[[str], dict[str, str]]:
    """The environment of the scripts for a database of that address."""

    def of(address: str) -> dict[str, str]:
        return {"PERSONAE_DATABASE_URL": address, "PATH": programs_first()} if address else {}

    return of


@pytest.mark.parametrize(
    "url", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
async def test_what_was_live_and_judged_comes_back_elsewhere(
    tmp_path, cast, engine, url, variables, request
):
    """A running gateway is backed up after a reload and a rating; another home and database take it over: the
    same live version, the same history, the same feedback, the same versions byte for byte."""
    old, new, backups = tmp_path / "old", tmp_path / "new", tmp_path / "backups"
    old.mkdir()
    told = {"environment": {"PERSONAE_DATABASE_URL": url}} if url else {}
    async with gateway_over(engine, cast, old, **told) as gateway:
        async with aiohttp.ClientSession(gateway.url) as session:
            answer = {
                "persona": "lincoln",
                "question": "What of labor?",
                "stream": False,
                "user": "a",
            }
            async with session.post("/v1/ask", json=answer) as response:
                meta = (await response.json())["meta"]
            vote = {
                "request_id": meta["request_id"], "persona": "lincoln", "task": "ask", "rating": "up",
                "adapter_version": meta["adapter_version"], "base_model": meta["base_model"],
                "question": "What of labor?", "answer": "Said.", "user": "a", "surface": "discord",
            }  # fmt: skip
            async with session.post("/v1/feedback", json=vote) as response:
                assert response.status == 200
            async with session.post(
                "/admin/adapters/lincoln/reload", json={}, headers=ADMIN
            ) as response:
                assert response.status == 200
        home = gateway.config.home
        backup = backed_up(home, backups, "--config", old / "personae.toml", **variables(url))
        history = await _admin(gateway.url, "/admin/adapters/lincoln/history")
    shutil.rmtree(home)
    assert (backup / "personae.toml").read_text() == (old / "personae.toml").read_text()
    assert bool(url) == (backup / "database.dump").exists() != (backup / "state.db").exists()

    new.mkdir()
    server = request.getfixturevalue("postgres") if url else None
    address = ""
    if server is not None:
        server.run("CREATE DATABASE elsewhere")
        address = server.url("elsewhere")
    try:
        done = script(RESTORE, backup, "--home", new / "var", **variables(address))
        assert done.returncode == 0, done.stderr
        told = {"environment": {"PERSONAE_DATABASE_URL": address}} if address else {}
        async with gateway_over(engine, cast, new, **told) as gateway:
            versions = await _admin(gateway.url, "/admin/adapters")
            assert "v2" in json.dumps(versions)
            async with (
                aiohttp.ClientSession(gateway.url) as session,
                session.post("/v1/ask", json=answer) as response,
            ):
                assert (await response.json())["meta"]["adapter_version"] == "v2"
            assert await _admin(gateway.url, "/admin/adapters/lincoln/history") == history
            feedback = json.dumps(await _admin(gateway.url, "/admin/feedback/lincoln"))
            assert '"up": 1' in feedback
    finally:
        if server is not None:
            server.run("DROP DATABASE elsewhere WITH (FORCE)")


async def _admin(url: str, path: str) -> object:
    async with aiohttp.ClientSession(url, headers=ADMIN) as session, session.get(path) as response:
        assert response.status == 200, await response.text()
        return await response.json()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a version, a half-written one, a database, and things that are made again by themselves."""
    home = tmp_path / "home"
    for name, text in {
        "adapters/lincoln/v1-aa/weights": "one", "adapters/lincoln/.v2.writing/weights": "half",
        "cast/ada/persona.toml": "id = 'ada'", "corpora/ada/documents.jsonl": "{}", "admin.key": "key",
        "models/base/weights": "large", "indexes/ada/CURRENT": "1", "logs/gateway.log": "said",
    }.items():  # fmt: skip
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    with sqlite3.connect(home / "state.db") as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE t (x)")
        database.execute("INSERT INTO t VALUES (1)")
    database.close()
    return home


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_backup_holds_what_is_worth_keeping_and_nothing_half_written(home, tmp_path):
    backup = backed_up(home, tmp_path / "to")
    assert files_of(backup) == {
        "SHA256SUMS", "state.db", "home/admin.key", "home/adapters/lincoln/v1-aa/weights",
        "home/cast/ada/persona.toml", "home/corpora/ada/documents.jsonl",
    }  # fmt: skip
    assert backup.stat().st_mode & 0o077 == 0
    more = backed_up(home, tmp_path / "more", "--with", "indexes models")
    assert {"home/indexes/ada/CURRENT", "home/models/base/weights"} < files_of(more)


def test_what_did_not_change_is_kept_once_and_old_backups_stay_as_they_are(home, tmp_path):
    first = backed_up(home, tmp_path / "to")
    version = home / "adapters" / "lincoln" / "v2-bb" / "weights"
    version.parent.mkdir()
    version.write_text("two")
    (home / "cast" / "ada" / "persona.toml").write_text("id = 'ada' # changed")
    shutil.rmtree(home / "corpora")
    wait_for_another_second(first)
    second = backed_up(home, tmp_path / "to")
    same = "home/adapters/lincoln/v1-aa/weights"
    assert (first / same).stat().st_ino == (second / same).stat().st_ino
    assert (first / "home/cast/ada/persona.toml").read_text() == "id = 'ada'"
    assert (second / "home/cast/ada/persona.toml").read_text() == "id = 'ada' # changed"
    assert (second / "home/adapters/lincoln/v2-bb/weights").read_text() == "two"
    assert not (second / "home/corpora").exists()
    for backup in (first, second):
        subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=backup, check=True)


def wait_for_another_second(backup: Path) -> None:
    """Backups are named by the second."""
    while subprocess.run(
        ["date", "-u", "+personae-%Y%m%dT%H%M%SZ"], capture_output=True, text=True, check=True
    ).stdout.strip() <= backup.name:  # fmt: skip
        pass


def test_the_oldest_go(home, tmp_path):
    """By their whole names: what is called like a word of them stays."""
    to, neighbour = tmp_path / "to keep", tmp_path / "to"
    neighbour.mkdir()
    for day in range(1, 6):
        (to / f"personae-2026010{day}T000000Z").mkdir(parents=True)
    newest = backed_up(home, to, "--keep", "3")
    left = sorted(path.name for path in to.iterdir())
    assert left == ["personae-20260104T000000Z", "personae-20260105T000000Z", newest.name]
    assert neighbour.is_dir()


@pytest.mark.parametrize("keep", ["0", "00", "all"])
def test_to_keep_none_is_refused(home, tmp_path, keep):
    done = script(BACKUP, "--home", home, "--to", tmp_path / "to", "--keep", keep)
    assert done.returncode == 1 and "at least 1" in done.stderr
    assert not (tmp_path / "to").exists()


def test_an_interrupted_backup_is_none_and_a_second_one_waits(home, tmp_path):
    to = tmp_path / "to"
    (to / ".personae-20260101T000000Z.partial").mkdir(parents=True)
    (to / ".lock").mkdir()
    done = script(BACKUP, "--home", home, "--to", to)
    assert done.returncode == 1 and "another backup is being made" in done.stderr
    (to / ".lock").rmdir()
    done_ = backed_up(home, to)
    assert [path.name for path in to.iterdir()] == [done_.name]


def test_a_damaged_backup_is_refused_before_anything_is_written(home, tmp_path):
    backup = backed_up(home, tmp_path / "to")
    (backup / "home/adapters/lincoln/v1-aa/weights").write_text("onE")
    done = script(RESTORE, backup, "--home", tmp_path / "new")
    assert done.returncode == 1 and "is damaged" in done.stderr
    assert not (tmp_path / "new").exists()


def test_a_volume_that_holds_only_what_is_its_own_counts_as_empty(home, tmp_path):
    backup = backed_up(home, tmp_path / "to")
    (tmp_path / "volume" / "lost+found").mkdir(parents=True)
    done = script(RESTORE, backup, "--home", tmp_path / "volume")
    assert done.returncode == 0, done.stderr
    again = script(RESTORE, backup, "--home", tmp_path / "volume", "--replace")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "volume" / "lost+found").is_dir(), "only its owner may move it"


def test_a_home_that_holds_something_is_put_aside_only_when_told(home, tmp_path):
    backup = backed_up(home, tmp_path / "to")
    (home / "adapters/lincoln/v1-aa/weights").write_text("newer")
    done = script(RESTORE, backup, "--home", home)
    assert done.returncode == 1 and "is not empty" in done.stderr
    done = script(RESTORE, backup, "--home", home, "--replace")
    assert done.returncode == 0, done.stderr
    assert (home / "adapters/lincoln/v1-aa/weights").read_text() == "one"
    assert (home / "models/base/weights").read_text() == "large", "models need no fetching again"
    (aside,) = home.glob(".before-*")
    assert (aside / "adapters/lincoln/v1-aa/weights").read_text() == "newer"
    with sqlite3.connect(home / "state.db") as database:
        assert database.execute("SELECT x FROM t").fetchall() == [(1,)]
    database.close()


@pytest.mark.postgres
def test_a_database_that_holds_something_is_replaced_only_when_told(home, tmp_path, postgres):
    """And the password is no argument of a program, where others could read it."""
    with postgres.database() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE t (x integer)")
            connection.execute("INSERT INTO t VALUES (1)")
        written = url.replace("postgresql://personae@", "postgresql+psycopg://personae:p%2Fw@")
        environment = {"PERSONAE_DATABASE_URL": written, "PATH": programs_first()}
        backup = backed_up(home, tmp_path / "to", **environment)
        assert (backup / "database.dump").stat().st_size > 0
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("UPDATE t SET x = 2")
            connection.execute("CREATE TABLE newer (x integer)")
        done = script(RESTORE, backup, "--home", tmp_path / "a", **environment)
        assert done.returncode == 1 and "holds 2 tables" in done.stderr
        done = script(RESTORE, backup, "--home", tmp_path / "b", "--replace", **environment)
        assert done.returncode == 0, done.stderr
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT x FROM t").fetchall() == [(1,)]
            assert connection.execute("SELECT to_regclass('newer')").fetchone() == (None,)
        done = script(RESTORE, backup, "--home", tmp_path / "c")
        assert done.returncode == 1 and "set PERSONAE_DATABASE_URL" in done.stderr


@pytest.mark.parametrize(
    ("given", "address", "password"),
    [
        (
            "postgresql+psycopg://me:a%2Fb%3A@host:5432/db?x=1",
            "postgresql://me@host:5432/db?x=1",
            "a/b:",
        ),
        ("postgres://me@/db?host=/run", "postgresql://me@/db?host=/run", ""),
    ],
)
def test_the_password_leaves_the_address(given, address, password):
    command = '. "$0"; connect_to "$1"; printf "%s\\n%s\\n" "$address" "${PGPASSWORD-}"'
    done = subprocess.run(
        ["bash", "-c", command, str(BACKUP.with_name("database.sh")), given],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == [address, password]
