"""`passages.sqlite`: the texts of a snapshot and their full-text index, written once, then only read.

    documents       one row a document, found by number or id; its passages are the rows
                    first_row … first_row + passages - 1
    passages        row (as in the vector files), section, text, sha256 of what was embedded
    passages_fts    FTS5 over two columns of blank-separated tokens, `words` and their `stems`; it holds no
                    text of its own ("contentless")
    frequencies     in how many passages each word and each stem stands, counted once by fts5vocab:
                    asking fts5vocab at every search would walk all the passages of a common word

In: passages in order, with the digest of their searchable text. Out: passages by row, matches with their
BM25. Knows nothing of vectors. The file is opened once and read through one connection with a lock, so that
it stays readable when a newer build deletes it (Linux keeps a deleted file until the last reader is gone),
and with `immutable`: nobody writes it, so nothing needs locking or looking for a journal.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from personae.corpus import Document, Passage, document_of, searchable_text
from personae.errors import CorpusError
from serving.retrieval.words import stems, tokens

PASSAGES = "passages.sqlite"
DIGEST_BYTES = 16
_COLUMNS = ("words", "stems")
_SCHEMA = """
CREATE TABLE documents (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL, title TEXT NOT NULL, date TEXT NOT NULL,
    url TEXT NOT NULL, first_row INTEGER NOT NULL, passages INTEGER NOT NULL
);
CREATE TABLE passages (
    row INTEGER PRIMARY KEY, document INTEGER NOT NULL, number INTEGER NOT NULL,
    section TEXT NOT NULL, text TEXT NOT NULL, digest BLOB NOT NULL
);
CREATE VIRTUAL TABLE passages_fts USING fts5(
    words, stems, content='', tokenize="unicode61 remove_diacritics 0"
);
CREATE TABLE frequencies (
    term TEXT PRIMARY KEY, words INTEGER NOT NULL, stems INTEGER NOT NULL
) WITHOUT ROWID;
"""
_PAGE_BYTES = 8192
_WRITER_CACHE_KIB = 65_536
_FTS_HASH_BYTES = 64 << 20
_MMAP_BYTES = 0x7FFF0000
_ROWS_PER_QUERY = 500
_NUMBER_DIGITS = 9


def digest_of(passage: Passage) -> bytes:
    """Names what is embedded of a passage: equal digests have equal vectors."""
    return hashlib.sha256(searchable_text(passage).encode()).digest()[:DIGEST_BYTES]


class PassageWriter:
    """Fills a new file. Used as a context manager; the file counts once the block ended well.

    Args:
        language: whose stems the full-text index holds.
    """

    def __init__(self, path: Path, language: str) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        # A build that breaks off starts a new file, so a journal would only cost time.
        for pragma in (
            f"page_size = {_PAGE_BYTES}",
            "journal_mode = OFF",
            "synchronous = OFF",
            f"cache_size = -{_WRITER_CACHE_KIB}",
        ):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.executescript(_SCHEMA)
        # Merged once, at the end, instead of again and again on the way.
        for setting, value in (("hashsize", _FTS_HASH_BYTES), ("automerge", 0)):
            self._database.execute(
                "INSERT INTO passages_fts (passages_fts, rank) VALUES (?, ?)", (setting, value)
            )
        self._database.execute("BEGIN")
        self._language = language
        self.documents = 0
        self.passages = 0

    def __enter__(self) -> PassageWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        with closing(self._database):
            if kind is None:
                self._finish()

    def add(
        self,
        document: Document,
        passages: Sequence[Passage],
        digests: Sequence[bytes],
        terms: Sequence[tuple[str, str]] | None = None,
    ) -> None:
        """Append a document without text to no row at all.

        Args:
            terms: (words, stems) of each passage where they are known already.
        """
        if not passages:
            return
        if terms is None:
            terms = [self._terms(passage) for passage in passages]
        first, number = self.passages, self.documents
        self._database.execute(
            "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                number,
                document.id,
                document.title,
                document.date,
                document.url,
                first,
                len(passages),
            ),
        )
        self._database.executemany(
            "INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?)",
            (
                (row, number, p.number, p.section, p.text, digest)
                for row, (p, digest) in enumerate(zip(passages, digests, strict=True), start=first)
            ),
        )
        self._database.executemany(
            "INSERT INTO passages_fts (rowid, words, stems) VALUES (?, ?, ?)",
            ((row, words, roots) for row, (words, roots) in enumerate(terms, start=first)),
        )
        self.documents += 1
        self.passages += len(passages)

    def texts(self, first: int, limit: int) -> list[Passage]:
        """The passages of these rows, as they were added."""
        return _select(self._database, first, limit)

    def _terms(self, passage: Passage) -> tuple[str, str]:
        found = tokens(f"{passage.title} {passage.section} {passage.date} {passage.text}")
        return " ".join(found), " ".join(stems(found, self._language))

    def _finish(self) -> None:
        database = self._database
        # One segment in place of many: a search then reads one list for a word.
        database.execute("INSERT INTO passages_fts (passages_fts) VALUES ('optimize')")
        database.execute(
            "CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab(main, passages_fts, col)"
        )
        database.execute(
            "INSERT INTO frequencies SELECT term, sum(CASE col WHEN 'words' THEN doc ELSE 0 END), "
            "sum(CASE col WHEN 'stems' THEN doc ELSE 0 END) FROM temp.vocabulary GROUP BY term"
        )
        database.execute("CREATE INDEX documents_by_id ON documents (id)")
        database.execute("COMMIT")


class PassageStore:
    """An open `passages.sqlite`; may be used from several threads.

    Raises:
        CorpusError: the file is missing, or no database of this form; says so, not what to run.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            self._database = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False
            )
            self._database.execute(f"PRAGMA mmap_size = {_MMAP_BYTES}")
            self.documents = self._count("SELECT count(*) FROM documents")
            # Rows count up from 0 without a gap.
            self.passages = self._count("SELECT coalesce(max(row) + 1, 0) FROM passages")
            self._count("SELECT count(*) FROM passages_fts WHERE passages_fts MATCH 'a'")
        except sqlite3.Error as err:
            raise CorpusError(f"{path} can't be read ({err}).") from err

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def passages_of(self, rows: Sequence[int]) -> list[Passage]:
        """In the order asked."""
        found: dict[int, Passage] = {}
        for start in range(0, len(rows), _ROWS_PER_QUERY):
            some = [int(row) for row in rows[start : start + _ROWS_PER_QUERY]]
            marks = ", ".join("?" * len(some))
            for row, *values in self._query(f"{_PASSAGE} WHERE row IN ({marks})", some):
                found[row] = _passage(values)
        return [found[int(row)] for row in rows]

    def passage_named(self, name: str) -> Passage | None:
        """The passage that is still called so."""
        place = name.rpartition("#")[2].partition(".")[0]
        if not place.isdecimal() or len(place) > _NUMBER_DIGITS:
            return None
        # Not in one query: in a file without the index (an older one), SQLite would walk all the texts.
        for first, number in self._query(
            "SELECT first_row, passages FROM documents WHERE id = ?", [document_of(name)]
        ):
            rows = self._query(
                f"{_PASSAGE} WHERE row >= ? AND row < ? AND passages.number = ?",
                [first, first + number, int(place)],
            )
            for _row, *values in rows:
                passage = _passage(values)
                if passage.name == name:
                    return passage
        return None

    def match(
        self, query: str, limit: int, *, among: np.ndarray | None = None
    ) -> list[tuple[int, float]]:
        """(row, BM25) of the best matches of an FTS5 query, larger is better.

        Args:
            among: sorted rows that may be found; None means all.

        Raises:
            ValueError: FTS5 can't read the query.
        """
        sql = (
            "SELECT rowid, -rank FROM passages_fts WHERE passages_fts MATCH ? ORDER BY rank, rowid"
        )
        if among is None:
            return self._query(f"{sql} LIMIT ?", [query, limit])
        allowed = np.zeros(self.passages, dtype=bool)
        allowed[among] = True
        matches = self._query(sql, [query])
        return [match for match in matches if allowed[match[0]]][:limit]

    def document_frequency(self, terms: Sequence[str], column: str) -> dict[str, int]:
        """In how many passages each term stands; 0 for one that stands in none.

        Args:
            column: "words" or "stems".
        """
        if column not in _COLUMNS:
            raise ValueError(f"no column {column}")
        found = dict.fromkeys(terms, 0)
        marks = ", ".join("?" * len(found))
        sql = f"SELECT term, {column} FROM frequencies WHERE term IN ({marks})"  # noqa: S608
        found.update(self._query(sql, list(found)))
        return found

    def rows_between(self, since: str | None, until: str | None, source: str | None) -> np.ndarray:
        """Sorted rows of the documents of these dates and this source, int64.

        Args:
            since, until: ISO dates or beginnings of one ("1862"), both inclusive. A document of which
                only the year is known is within every part of that year; one without a date is not.
            source: part of a document's id or link, small or capital.
        """
        conditions, values = ["1"], []
        for bound, order in ((since, ">="), (until, "<=")):
            if bound:
                conditions.append(
                    f"date != '' AND substr(date, 1, length(?)) {order} substr(?, 1, length(date))"
                )
                values += [bound, bound]
        if source:
            conditions.append("(instr(lower(id), lower(?)) OR instr(lower(url), lower(?)))")
            values += [source, source]
        spans = self._query(
            f"SELECT first_row, passages FROM documents WHERE {' AND '.join(conditions)} "  # noqa: S608
            "ORDER BY first_row",
            values,
        )
        if not spans:
            return np.empty(0, dtype=np.int64)
        return np.concatenate([np.arange(first, first + n, dtype=np.int64) for first, n in spans])

    def digests(self) -> np.ndarray:
        """(n_passages, 16) uint8, in order of row."""
        with self._lock:
            rows = self._database.execute("SELECT digest FROM passages ORDER BY row")
            joined = b"".join(digest for (digest,) in rows)
        return np.frombuffer(joined, dtype=np.uint8).reshape(-1, DIGEST_BYTES)

    def check(self) -> None:
        """Read the whole file. Raises CorpusError where it is damaged."""
        try:
            verdict = self._query("PRAGMA quick_check(1)", [])
        except sqlite3.Error as err:
            raise CorpusError(f"{PASSAGES} is damaged ({err}).") from err
        if verdict != [("ok",)]:
            raise CorpusError(f"{PASSAGES} is damaged ({verdict[0][0]}).")

    def _query(self, sql: str, values: Sequence[object]) -> list[Any]:
        with self._lock:
            return self._database.execute(sql, tuple(values)).fetchall()

    def _count(self, sql: str) -> int:
        return int(self._query(sql, [])[0][0])


_PASSAGE = (
    "SELECT row, id, passages.number, title, section, date, url, text "
    "FROM passages JOIN documents ON documents.number = document"
)


def _passage(values: Sequence[Any]) -> Passage:
    document_id, number, title, section, date, url, text = values
    # Not checked again: a snapshot's files are compared with their hashes.
    return Passage.model_construct(
        document_id=document_id,
        number=number,
        title=title,
        section=section,
        date=date,
        url=url,
        text=text,
    )


def _select(database: sqlite3.Connection, first: int, limit: int) -> list[Passage]:
    rows = database.execute(
        f"{_PASSAGE} WHERE row >= ? AND row < ? ORDER BY row", (first, first + limit)
    )
    return [_passage(values) for _row, *values in rows]
