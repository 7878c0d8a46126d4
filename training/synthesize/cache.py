"""Answers that were paid for, and what they cost: `answers.sqlite` of one persona's synthesis folder.

In: answers by the key of their request. Out: the same, in every later run. SQLite with a write-ahead log,
flushed to disk at each commit. Before a request is sent, a row says what it may cost; the answer and its
true cost are stored in one transaction before anybody uses the answer. So a kill at any moment loses at
most answers that are on the wire or between the socket and this transaction, and their worst-case cost
stays counted. One process at a time. It knows nothing of HTTP or prompts.

    answers   key · kind · model · text · finish · tokens
    spending  one row an attempt: open (sent, outcome unknown) → paid | lost; gone if it was not billed
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from personae.errors import CorpusError, DiskFull
from training.synthesize.budget import NOTHING, Cost

ANSWERS = "answers.sqlite"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, kind TEXT NOT NULL, model TEXT NOT NULL, text TEXT NOT NULL,
    finish TEXT NOT NULL, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,
    estimated INTEGER NOT NULL, stored_at TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS spending (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL, model TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'paid', 'lost')),
    tokens INTEGER NOT NULL, money REAL NOT NULL, at TEXT NOT NULL
) STRICT;
"""


@dataclass(frozen=True)
class Answer:
    text: str
    finish: str
    """Why it ended, as the API says: "stop", "length", …"""
    prompt_tokens: int
    completion_tokens: int
    estimated: bool = False
    """Whether the API did not tell the tokens, and the worst case was counted."""


@dataclass(frozen=True)
class Spent:
    paid: Cost
    lost: Cost
    """Attempts whose outcome nobody knows (a dropped line, a killed process): at their worst case."""
    answers: int

    @property
    def all(self) -> Cost:
        return self.paid.plus(self.lost)


class AnswerStore:
    """Open with `with AnswerStore.opened(folder) as store`. Calls block for a flush to the disk."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    @classmethod
    @contextlib.contextmanager
    def opened(cls, folder: Path) -> Iterator[AnswerStore]:
        """
        Raises:
            CorpusError: another process has it, or the file is damaged.
            DiskFull.
        """
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / ANSWERS
        # Autocommit; transactions are begun by hand. Used by one thread at a time.
        connection = sqlite3.connect(
            path, timeout=0.2, isolation_level=None, check_same_thread=False
        )
        store = cls(connection, path)
        try:
            with store._errors():
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.executescript(_SCHEMA)
                # A process that was killed left these; what they cost is not known any more.
                connection.execute("UPDATE spending SET state = 'lost' WHERE state = 'open'")
            yield store
        finally:
            connection.close()

    def get(self, key: str) -> Answer | None:
        with self._errors():
            row = self._connection.execute(
                "SELECT text, finish, prompt_tokens, completion_tokens, estimated FROM answers "
                "WHERE key = ?",
                (key,),
            ).fetchone()
        if row is None:
            return None
        text, finish, prompt_tokens, completion_tokens, estimated = row
        return Answer(text, finish, prompt_tokens, completion_tokens, bool(estimated))

    def keys(self) -> set[str]:
        with self._errors():
            return {key for (key,) in self._connection.execute("SELECT key FROM answers")}

    def spent(self) -> Spent:
        with self._errors():
            sums = {
                state: Cost(tokens, money)
                for state, tokens, money in self._connection.execute(
                    "SELECT CASE state WHEN 'paid' THEN 'paid' ELSE 'lost' END, SUM(tokens), "
                    "SUM(money) FROM spending GROUP BY 1"
                )
            }
            (answers,) = self._connection.execute("SELECT COUNT(*) FROM answers").fetchone()
        return Spent(sums.get("paid", NOTHING), sums.get("lost", NOTHING), answers)

    def begin(self, key: str, model: str, worst: Cost) -> int:
        """Note, before a request is sent, what it may cost; returns the row."""
        with self._errors():
            cursor = self._connection.execute(
                "INSERT INTO spending (key, model, state, tokens, money, at) "
                "VALUES (?, ?, 'open', ?, ?, ?)",
                (key, model, worst.tokens, worst.money, _now()),
            )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def free(self, row: int) -> None:
        """The request was not billed."""
        with self._errors():
            self._connection.execute("DELETE FROM spending WHERE id = ?", (row,))

    def lose(self, row: int) -> None:
        """Nobody knows whether it was billed: it stays counted."""
        with self._errors():
            self._connection.execute("UPDATE spending SET state = 'lost' WHERE id = ?", (row,))

    def store(self, row: int, key: str, kind: str, model: str, answer: Answer, cost: Cost) -> None:
        """Keep an answer and its true cost, both or neither."""
        with self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.execute(
                    "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        *(key, kind, model, answer.text, answer.finish, answer.prompt_tokens),
                        *(answer.completion_tokens, int(answer.estimated), _now()),
                    ),
                )
                self._connection.execute(
                    "UPDATE spending SET state = 'paid', tokens = ?, money = ? WHERE id = ?",
                    (cost.tokens, cost.money, row),
                )
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as err:
            if "locked" in str(err):
                raise CorpusError(
                    f"Another process is using {self._path}. Wait for that synthesis, or stop it first."
                ) from err
            if "full" in str(err):
                raise DiskFull(
                    f"The disk holding {self._path} is full. Free some space and run it again; "
                    "answers that came in are kept."
                ) from err
            raise CorpusError(
                f"{self._path} can't be used ({err}). Check the rights on that folder."
            ) from err
        except sqlite3.DatabaseError as err:
            raise CorpusError(
                f"{self._path} is damaged ({err}). Move it away; its answers would be paid for again."
            ) from err


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
