"""The bots' health check: at work while the heartbeat is fresh, and told why not otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from bot.state.alive import problem
from bot.state.processes import SILENT_SECONDS
from bot.state.store import State


async def test_a_bot_is_at_work_until_it_is_silent_or_gone(tmp_path: Path):
    environment = {"PERSONAE_HOME": str(tmp_path)}
    assert problem(environment, now=time.time()) == "no bot has opened its database yet"
    async with State.open(f"sqlite:///{tmp_path / 'bots.db'}"):
        assert problem(environment, now=time.time()) is None
        late = problem(environment, now=time.time() + SILENT_SECONDS + 5)
        assert late is not None and late.startswith("the bot has been silent for")
        done = subprocess.run(
            [sys.executable, "-m", "bot.state.alive"],
            env={**os.environ, **environment}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (0, "at work\n")
    assert (
        problem(environment, now=time.time()) == "no bot of this machine has said that it is there"
    )


def test_a_database_that_cannot_be_reached_is_told_without_its_password(tmp_path: Path):
    address = "postgresql://me:very-secret@127.0.0.1:1/db"
    done = subprocess.run(
        [sys.executable, "-m", "bot.state.alive"],
        env={**os.environ, "PERSONAE_DATABASE_URL": address}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "can't be read (OperationalError)" in done.stdout
    assert "very-secret" not in done.stdout + done.stderr
