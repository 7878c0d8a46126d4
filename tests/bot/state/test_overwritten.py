"""SQLite: what was deleted can't be read from the database's files any more, the journal included."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.state.store import State
from tests.bot.state.conftest import DAY, Clock, an_answer, ended, said

SECRET = "my own words about Toronto"
LIMITS = {"memory_seconds": DAY, "answers_seconds": 30 * DAY, "usage_days": 35}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bots.db"


@pytest.fixture
async def state(file: Path, clock: Clock) -> AsyncIterator[State]:
    async with State.open(f"sqlite:///{file}", clock=clock) as state:
        await ended(state, an_answer(1, question=SECRET))
        await said(state, 1, question=SECRET)
        assert SECRET in on_disk(file)
        yield state


def on_disk(file: Path) -> str:
    """All bytes of the database and of what lies beside it."""
    parts = sorted(file.parent.glob(f"{file.name}*"))
    assert len(parts) > 1  # the journal is there while the database is open
    return "".join(part.read_bytes().decode("latin-1") for part in parts)


async def test_a_person_that_is_forgotten_leaves_no_words(state, file):
    await state.forget_person("discord:ada")
    assert SECRET not in on_disk(file)


async def test_a_deleted_answer_leaves_no_words(state, file):
    await state.delete_answer("a1")
    assert SECRET not in on_disk(file)


async def test_what_is_over_leaves_no_words(state, file, clock):
    clock.now += 31 * DAY
    await state.prune(**LIMITS)
    assert SECRET not in on_disk(file)


async def test_who_reads_meanwhile_stops_nobody(state, file):
    """The words are deleted, and overwritten the next time something is."""
    reader = sqlite3.connect(file, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM bot_answers").fetchone()
    await state.forget_person("discord:ada")
    assert await state.answer("a1") is None
    await state.claim("discord:1")  # and writing goes on
    reader.execute("COMMIT")
    reader.close()
    await state.prune(**LIMITS)
    assert SECRET not in on_disk(file)
