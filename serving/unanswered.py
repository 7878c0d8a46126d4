"""Questions that a persona has not written about, kept for its operator: what readers ask for.

In the ledger's database. Calls block on disk: use them off the event loop. A question asked again, in other
case or with other punctuation, counts up instead of standing twice. Who asked is not kept, and of each
persona only the newest `MOST_KEPT` questions are.
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import logging
import threading
from dataclasses import dataclass

import sqlalchemy as sa

from personae.errors import PersonaeError
from serving.ledger import database_failures, make_tables, overwrite_deleted
from serving.retrieval.words import tokens

log = logging.getLogger(__name__)

MOST_KEPT = 1000
_LONGEST_QUESTION = 2000

_metadata = sa.MetaData()

_questions = sa.Table(
    "unanswered_questions",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("persona", sa.String(64), nullable=False),
    sa.Column("same", sa.String(64), nullable=False),
    sa.Column("question", sa.Text, nullable=False),
    sa.Column("first_at", sa.String(40), nullable=False),
    sa.Column("last_at", sa.String(40), nullable=False),
    sa.Column("times", sa.Integer, nullable=False),
    sa.Column("relevance", sa.Float, nullable=False),
    sa.UniqueConstraint("persona", "same"),
)


@dataclass(frozen=True)
class Question:
    """A question as it was last asked."""

    question: str
    times: int
    first_at: str
    last_at: str
    relevance: float
    """How likely it was that the writing covers it, in [0, 1]."""


class Unanswered:
    """Every method raises DiskFull or LedgerUnavailable when the database fails; then nothing has changed."""

    def __init__(self, engine: sa.Engine, *, most_kept: int = MOST_KEPT) -> None:
        self._engine = engine
        self._most_kept = most_kept
        self._made = False

    def note(self, persona: str, question: str, relevance: float) -> None:
        """Keep a question, or count it up."""
        question = " ".join(question.split())[:_LONGEST_QUESTION]
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        key = {"persona": persona, "same": _same(question)}
        again = (
            _questions.update()
            .where(_questions.c.persona == persona, _questions.c.same == key["same"])
            .values(
                question=question,
                last_at=now,
                times=_questions.c.times + 1,
                relevance=relevance,
            )
        )
        first = _questions.insert().values(
            **key, question=question, first_at=now, last_at=now, times=1, relevance=relevance
        )
        with database_failures("the question was not kept"):
            self._make()
            try:
                with self._engine.begin() as connection:
                    if connection.execute(again).rowcount == 0:
                        connection.execute(first)
                        self._forget_oldest(connection, persona)
            except sa.exc.IntegrityError:  # somebody else kept it between our two looks
                with self._engine.begin() as connection:
                    connection.execute(again)

    def newest(self, persona: str) -> list[Question]:
        """The questions of a persona, the one asked last first."""
        query = (
            sa.select(_questions)
            .where(_questions.c.persona == persona)
            .order_by(_questions.c.last_at.desc(), _questions.c.id.desc())
        )
        with database_failures("the questions can't be shown"):
            self._make()
            with self._engine.connect() as connection:
                rows = connection.execute(query).all()
        return [
            Question(row.question, row.times, row.first_at, row.last_at, row.relevance)
            for row in rows
        ]

    def clear(self, persona: str) -> int:
        """Forget all questions of a persona. Returns how many."""
        with database_failures("the questions were not deleted"):
            self._make()
            with self._engine.begin() as connection:
                gone = connection.execute(
                    _questions.delete().where(_questions.c.persona == persona)
                )
        overwrite_deleted(self._engine)
        return gone.rowcount

    def _make(self) -> None:
        if not self._made:
            make_tables(_metadata, self._engine)
            self._made = True

    def _forget_oldest(self, connection: sa.Connection, persona: str) -> None:
        kept = (
            sa.select(_questions.c.id)
            .where(_questions.c.persona == persona)
            .order_by(_questions.c.last_at.desc(), _questions.c.id.desc())
            .limit(self._most_kept)
            .subquery()
        )
        connection.execute(
            _questions.delete().where(
                _questions.c.persona == persona, _questions.c.id.not_in(sa.select(kept.c.id))
            )
        )


class UnansweredNotes:
    """Keeps questions beside the answers: nobody waits for the database, and no answer fails by it.

    Reading and clearing come after every note that was made here before, so that who has seen a refusal finds
    its question, and none comes back after it was cleared. Those of another gateway may be on their way.

    Args:
        keep: whether new questions are kept.
    """

    def __init__(self, unanswered: Unanswered, *, keep: bool) -> None:
        self._unanswered = unanswered
        self._keep = keep
        self._writing: set[asyncio.Task[None]] = set()
        self._one_at_a_time = threading.Lock()

    def note(self, persona: str, question: str, relevance: float) -> None:
        if not self._keep:
            return
        work = asyncio.to_thread(self._note, persona, question, relevance)
        writing = asyncio.create_task(work, name="note-unanswered")
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)

    async def newest(self, persona: str) -> list[Question]:
        """As `Unanswered.newest`."""
        await self.settle()
        return await asyncio.to_thread(self._unanswered.newest, persona)

    async def clear(self, persona: str) -> int:
        """As `Unanswered.clear`."""
        await self.settle()
        return await asyncio.to_thread(self._unanswered.clear, persona)

    async def settle(self, seconds: float | None = None) -> None:
        """Wait for what is being written now, so long at most."""
        if self._writing:
            await asyncio.wait(self._writing, timeout=seconds)

    def _note(self, persona: str, question: str, relevance: float) -> None:
        try:
            with self._one_at_a_time:  # two that make the table at once would lose a question
                self._unanswered.note(persona, question, relevance)
        except PersonaeError as err:
            log.error("a question to %s was not kept: %s", persona, err)


def _same(question: str) -> str:
    """Equal for questions that have the same words."""
    return hashlib.sha256(" ".join(tokens(question)).encode("utf-8", "replace")).hexdigest()
