"""The ledger: a pointer moves only if it still is what the mover saw, and every change is kept."""

from __future__ import annotations

import dataclasses

import pytest

from personae.errors import ConfigError
from serving.ledger import Change, Ledger, Pointer

CHANGE = Change(
    persona="lincoln", base_model="b", action="reload", before=None, after=1,
    actor="me", surface="cli", reason="why", outcome="done", message="m",
)  # fmt: skip


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(f"sqlite:///{tmp_path / 'state.db'}")
    yield ledger
    ledger.close()


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


def test_history_is_newest_first_and_survives_a_restart(ledger, tmp_path):
    ledger.record(dataclasses.replace(CHANGE, outcome="refused", message="first"))
    ledger.record(dataclasses.replace(CHANGE, message="second"))
    ledger.close()
    again = Ledger(f"sqlite:///{tmp_path / 'state.db'}")
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
