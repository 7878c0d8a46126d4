"""`.building.sqlite`: vectors that a build has computed and not yet put into a snapshot.

In: digests of texts with their vectors, a batch at a time. Out: those of them that are there. Written after
every batch, so that a build that was interrupted (Ctrl-C, kill -9, a full disk) is taken up where it was;
deleted by the build that ends well.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from serving.retrieval.passage_store import DIGEST_BYTES
from serving.retrieval.snapshot import IndexSettings

WORKING = ".building.sqlite"
_DIGESTS_PER_QUERY = 500
_JOURNALS = ("", "-journal", "-wal", "-shm")

Pair = tuple[np.ndarray, np.ndarray]
"""A passage's vector (dim,) float16, and its sentences' (m, dim) int8."""


class WorkingVectors:
    """Opened for one build. What other settings left behind, or what can't be read, is thrown away."""

    def __init__(self, folder: Path, settings: IndexSettings) -> None:
        self._path = folder / WORKING
        try:
            self._database = self._opened(settings)
        except sqlite3.DatabaseError as err:
            if isinstance(err, sqlite3.OperationalError) and "disk" in str(err):
                raise
            self.delete()
            self._database = self._opened(settings)

    def close(self) -> None:
        self._database.close()

    def delete(self) -> None:
        """Also closes."""
        if hasattr(self, "_database"):
            self._database.close()
        for suffix in _JOURNALS:
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def put(self, vectors: Mapping[bytes, Pair]) -> None:
        with self._database:
            self._database.executemany(
                "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)",
                ((d, passage.tobytes(), some.tobytes()) for d, (passage, some) in vectors.items()),
            )

    def get(self, digests: Sequence[bytes]) -> dict[bytes, Pair]:
        found: dict[bytes, Pair] = {}
        for start in range(0, len(digests), _DIGESTS_PER_QUERY):
            some = digests[start : start + _DIGESTS_PER_QUERY]
            marks = ", ".join("?" * len(some))
            rows = self._database.execute(
                f"SELECT digest, passage, sentences FROM vectors WHERE digest IN ({marks})",  # noqa: S608
                some,
            )
            for digest, passage, sentence_bytes in rows:
                vector = np.frombuffer(passage, dtype=np.float16)
                held = np.frombuffer(sentence_bytes, dtype=np.int8).reshape(-1, len(vector))
                found[digest] = (vector, held)
        return found

    def _opened(self, settings: IndexSettings) -> sqlite3.Connection:
        database = sqlite3.connect(self._path)
        try:
            with database:
                database.execute("CREATE TABLE IF NOT EXISTS settings (json TEXT NOT NULL)")
                database.execute(
                    "CREATE TABLE IF NOT EXISTS vectors (digest BLOB PRIMARY KEY, "
                    "passage BLOB NOT NULL, sentences BLOB NOT NULL, "
                    f"CHECK (length(digest) = {DIGEST_BYTES})) WITHOUT ROWID"
                )
                made_by = [row[0] for row in database.execute("SELECT json FROM settings")]
                if made_by != [settings.model_dump_json()]:
                    database.execute("DELETE FROM settings")
                    database.execute("DELETE FROM vectors")
                    database.execute(
                        "INSERT INTO settings VALUES (?)", (settings.model_dump_json(),)
                    )
        except sqlite3.Error:
            database.close()
            raise
        return database
