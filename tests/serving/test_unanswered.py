"""Questions kept for the operator."""

from __future__ import annotations

import asyncio
import threading

import pytest

from personae.errors import LedgerUnavailable
from serving.unanswered import Unanswered, UnansweredNotes


def test_the_same_question_counts_up(ledger):
    kept = Unanswered(ledger.database)
    kept.note("lincoln", "How do I bake a pizza?", 0.1)
    kept.note("lincoln", "how  do i bake a PIZZA", 0.2)
    kept.note("lincoln", "Who won the cup?", 0.0)
    kept.note("roosevelt", "Who won the cup?", 0.0)
    listed = kept.newest("lincoln")
    assert [(q.question, q.times, q.relevance) for q in listed] == [
        ("Who won the cup?", 1, 0.0),
        ("how do i bake a PIZZA", 2, 0.2),
    ]
    assert listed[1].first_at <= listed[1].last_at


def test_only_the_newest_are_kept(ledger):
    kept = Unanswered(ledger.database, most_kept=3)
    for number in range(5):
        kept.note("lincoln", f"question {number}", 0.0)
    kept.note("roosevelt", "another's", 0.0)
    assert [q.question for q in kept.newest("lincoln")] == [f"question {n}" for n in (4, 3, 2)]
    assert len(kept.newest("roosevelt")) == 1


def test_clearing_forgets_one_persona_only(ledger):
    kept = Unanswered(ledger.database)
    kept.note("lincoln", "a", 0.0)
    kept.note("roosevelt", "a", 0.0)
    assert kept.clear("lincoln") == 1
    assert kept.newest("lincoln") == []
    assert len(kept.newest("roosevelt")) == 1


def test_strange_questions_are_kept(ledger):
    kept = Unanswered(ledger.database)
    for question in ("", "🙂", "؟", "x" * 10_000, "'; drop table x; --"):
        kept.note("lincoln", question, 0.5)
    assert len(kept.newest("lincoln")[1].question) == 2000


async def test_a_database_that_fails_is_told_and_logged_not_raised_into_answers(
    sqlite_ledger, tmp_path, caplog
):
    kept = Unanswered(sqlite_ledger.database)
    kept.note("lincoln", "a", 0.0)
    sqlite_ledger.close()
    (tmp_path / "state.db").write_bytes(b"no database" * 500)
    with pytest.raises(LedgerUnavailable, match="can't be shown"):
        kept.newest("lincoln")
    notes = UnansweredNotes(kept, keep=True)
    notes.note("lincoln", "a secret", 0.0)
    await notes.settle(5)
    assert "was not kept" in caplog.text and "secret" not in caplog.text


class _SlowToWrite(Unanswered):
    """Writes nothing before it is let."""

    def __init__(self, database) -> None:
        super().__init__(database)
        self.let = threading.Event()

    def note(self, persona: str, question: str, relevance: float) -> None:
        assert self.let.wait(10)
        super().note(persona, question, relevance)


async def test_who_was_refused_finds_the_question_listed(ledger):
    kept = _SlowToWrite(ledger.database)
    notes = UnansweredNotes(kept, keep=True)
    notes.note("lincoln", "How do I bake a pizza?", 0.1)
    listing = asyncio.create_task(notes.newest("lincoln"))
    await asyncio.sleep(0.05)
    kept.let.set()
    assert [q.question for q in await listing] == ["How do I bake a pizza?"]


async def test_no_question_comes_back_after_it_was_cleared(ledger):
    kept = _SlowToWrite(ledger.database)
    notes = UnansweredNotes(kept, keep=True)
    notes.note("lincoln", "How do I bake a pizza?", 0.1)
    clearing = asyncio.create_task(notes.clear("lincoln"))
    await asyncio.sleep(0.05)
    kept.let.set()
    assert await clearing == 1
    await notes.settle()
    assert await notes.newest("lincoln") == []


async def test_nothing_new_is_kept_when_the_operator_wants_none(ledger):
    kept = Unanswered(ledger.database)
    kept.note("lincoln", "of before", 0.0)
    notes = UnansweredNotes(kept, keep=False)
    notes.note("lincoln", "How do I bake a pizza?", 0.1)
    assert [q.question for q in await notes.newest("lincoln")] == ["of before"]
