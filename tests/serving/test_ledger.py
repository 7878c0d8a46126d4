"""The ledger: a pointer moves only if it still is what the mover saw, and every change is kept."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import pytest

from personae.database import database_url
from personae.errors import ConfigError, LedgerUnavailable
from serving.ledger import Change, Ledger, Pointer

CHANGE = Change(
    persona="lincoln", base_model="b", action="reload", before=None, after=1,
    actor="me", surface="cli", reason="why", outcome="done", message="m",
)  # fmt: skip


def test_swap_compares_before_it_writes(ledger):
    assert ledger.pointer("lincoln", "b") == Pointer()
    assert ledger.swap(Pointer(), Pointer(live=1), CHANGE)
    assert not ledger.swap(Pointer(), Pointer(live=9), CHANGE), "somebody was first"
    assert not ledger.swap(Pointer(live=7), Pointer(live=9), CHANGE)
    assert ledger.swap(Pointer(live=1), Pointer(live=2, previous=1), CHANGE)
    assert ledger.pointer("lincoln", "b") == Pointer(live=2, previous=1)
    assert len(ledger.history("lincoln")) == 2, "refused moves leave no line of their own"


def test_pointers_are_per_base_model(ledger):
    ledger.swap(Pointer(), Pointer(live=1), CHANGE)
    assert ledger.pointer("lincoln", "other") == Pointer()


def test_history_is_newest_first_and_survives_a_restart(ledger, database):
    ledger.record(dataclasses.replace(CHANGE, outcome="refused", message="first"))
    ledger.record(dataclasses.replace(CHANGE, message="second"))
    ledger.close()
    again = Ledger(database)
    history = again.history("lincoln")
    again.close()
    assert [line.message for line in history] == ["second", "first"]
    assert history[1].actor == "me" and history[1].at


def test_a_database_that_cannot_be_opened_is_told_without_its_password():
    with pytest.raises(ConfigError) as caught:
        Ledger("postgresql+nodriver://user:secret@127.0.0.1:1/db")
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigError, match="PERSONAE_DATABASE_URL"):
        Ledger("sqlite:////nowhere/at/all/state.db")


def test_processes_that_open_a_new_database_at_once_all_get_it(database):
    with ThreadPoolExecutor(8) as threads:
        opened = list(threads.map(lambda _: Ledger(database), range(8)))
    assert opened[0].swap(Pointer(), Pointer(live=1), CHANGE)
    assert opened[-1].pointer("lincoln", "b") == Pointer(live=1)
    for ledger in opened:
        ledger.close()


def test_of_two_that_move_a_pointer_at_once_one_does(ledger):
    with ThreadPoolExecutor(4) as threads:
        moves = threads.map(lambda n: ledger.swap(Pointer(), Pointer(live=n), CHANGE), range(1, 5))
        assert sorted(moves) == [False, False, False, True]
    assert len(ledger.history("lincoln")) == 1


@pytest.mark.postgres
def test_a_server_that_refuses_is_told_without_its_words_and_met_again(postgres, postgres_url):
    ledger = Ledger(postgres_url)
    ledger.swap(Pointer(), Pointer(live=1), CHANGE)
    with postgres.refusing(postgres_url), pytest.raises(LedgerUnavailable) as caught:
        ledger.pointer("lincoln", "b")
    assert "personae@" not in str(caught.value)
    assert ledger.pointer("lincoln", "b") == Pointer(live=1)
    postgres.disconnect(postgres_url)
    assert ledger.pointer("lincoln", "b") == Pointer(live=1), (
        "a connection that is gone is no failure"
    )
    ledger.close()


@pytest.mark.parametrize(
    "written",
    ["postgres://u:p@h/d", "postgresql://u:p@h/d", "postgresql+asyncpg://u:p@h/d", "postgresql+psycopg2://u:p@h/d"],
)  # fmt: skip
def test_postgresql_is_spoken_to_by_the_driver_that_is_installed(written):
    assert database_url(written) == "postgresql+psycopg://u:p@h/d"
    assert database_url("sqlite:////postgresql://x") == "sqlite:////postgresql://x"
