"""Texts, matches, counts and dates as they were written, and nothing written to when read."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from personae.corpus import Document, cut_passages
from personae.errors import CorpusError
from serving.retrieval.passage_store import PASSAGES, PassageStore, PassageWriter, digest_of

DOCUMENTS = [
    Document(
        id="letters/a.md", title="On bread", date="1861-05", url="", text="Bread rises. Bread!"
    ),
    Document(
        id="letters/b.md",
        title="Naïve tea",
        date="1862",
        url="https://Example.org/tea",
        text="## Leaves\n\nTea governs men; the government of tea.\n\n## Water\n\nIt boils.",
    ),
    Document(id="c", title="", date="", url="", text="東京の空。 No date here."),
]


@pytest.fixture
def written(tmp_path):
    with PassageWriter(tmp_path / PASSAGES, "en") as writer:
        for document in DOCUMENTS:
            passages = cut_passages(document)
            writer.add(document, passages, [digest_of(passage) for passage in passages])
    return tmp_path / PASSAGES


@pytest.fixture
def store(written):
    store = PassageStore(written)
    yield store
    store.close()


def test_passages_are_read_back_in_the_order_asked(store):
    all_of_them = [passage for document in DOCUMENTS for passage in cut_passages(document)]
    assert (store.documents, store.passages) == (3, len(all_of_them)) == (3, 4)
    assert store.passages_of([3, 0, 2, 0]) == [all_of_them[row] for row in (3, 0, 2, 0)]
    assert store.passages_of([]) == []
    assert store.digests().tobytes() == b"".join(digest_of(passage) for passage in all_of_them)


def test_a_passage_is_found_by_its_name_also_where_ids_have_no_index(store, written):
    all_of_them = [passage for document in DOCUMENTS for passage in cut_passages(document)]
    with sqlite3.connect(written) as database:
        (plan,) = database.execute(
            "EXPLAIN QUERY PLAN SELECT first_row, passages FROM documents WHERE id = 'c'"
        )
        assert "USING INDEX" in plan[-1], "large ones are not walked through"
        before = written.with_name("before.sqlite")
        before.write_bytes(written.read_bytes())
    with sqlite3.connect(before) as database:
        database.execute("DROP INDEX documents_by_id")
    older = PassageStore(before)
    for opened in (store, older):
        assert [opened.passage_named(passage.name) for passage in all_of_them] == all_of_them
        name = all_of_them[1].name
        for other in (
            name[:-1],
            name.replace("#0.", "#1."),
            name.replace("b.md", "a.md"),
            "c#0",
            "",
        ):
            assert opened.passage_named(other) is None, other
    older.close()


def test_matches_are_of_words_and_stems_best_first(store):
    assert [row for row, _ in store.match("words : bread", 5)] == [0]
    assert [row for row, _ in store.match("stems : govern", 5)] == [1]
    assert store.match("words : govern", 5) == []
    assert {row for row, _ in store.match('words : "tea" OR words : "1862"', 5)} == {1, 2}
    (_, first), (_, second) = store.match("words : tea", 5)
    assert first > second > 0
    assert [row for row, _ in store.match('words : "naive tea"', 5)] == [2, 1]
    assert [row for row, _ in store.match("words : leaves", 5)] == [1], "a heading is found too"
    assert [row for row, _ in store.match("words : 東京", 5)] == [3]
    assert [row for row, _ in store.match("words : tea", 5, among=np.array([2, 3]))] == [2]
    assert len(store.match("words : tea", 1)) == 1


def test_counts_are_of_passages_not_of_occurrences(store):
    assert store.document_frequency(["tea", "bread", "nothing"], "words") == {
        "tea": 2,
        "bread": 1,
        "nothing": 0,
    }
    assert store.document_frequency(["govern"], "stems") == {"govern": 1}
    assert store.document_frequency([], "words") == {}
    with pytest.raises(ValueError, match="no column"):
        store.document_frequency(["tea"], "rowid; DROP")


@pytest.mark.parametrize(
    ("since", "until", "source", "rows"),
    [
        (None, None, None, [0, 1, 2, 3]),
        ("1861", None, None, [0, 1, 2]),
        ("1861-06", None, None, [1, 2]),
        (None, "1861", None, [0]),
        ("1862-03-01", "1862-04", None, [1, 2]),  # of which only the year is known
        (None, None, "letters/", [0, 1, 2]),
        (None, None, "example.ORG", [1, 2]),
        ("1900", None, None, []),
        (None, None, "%", []),
    ],
)
def test_rows_of_dates_and_sources(store, since, until, source, rows):
    found = store.rows_between(since, until, source)
    assert found.tolist() == rows and found.dtype == np.int64


def test_several_threads_may_ask_at_once_and_the_file_is_not_touched(store, written):
    before = written.read_bytes()
    with ThreadPoolExecutor(max_workers=4) as threads:
        found = list(threads.map(lambda _: store.match("words : tea", 5), range(100)))
    assert all(matches == found[0] for matches in found)
    assert written.read_bytes() == before
    assert [path.name for path in written.parent.iterdir()] == [PASSAGES]


@pytest.mark.parametrize("content", [None, b"", b"no database at all" * 100])
def test_what_is_no_database_of_this_form_is_told(tmp_path, content):
    if content is not None:
        (tmp_path / PASSAGES).write_bytes(content)
    with pytest.raises(CorpusError, match="can't be read"):
        PassageStore(tmp_path / PASSAGES)


def test_damage_in_the_middle_is_found_by_reading_all(written):
    data = bytearray(written.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4096] = b"\xff" * 4096
    written.write_bytes(data)
    with pytest.raises(CorpusError, match=r"is damaged|can't be read"):
        PassageStore(written).check()


def test_a_write_that_breaks_off_is_not_taken_for_whole(tmp_path):
    with pytest.raises(RuntimeError), PassageWriter(tmp_path / PASSAGES, "en") as writer:
        passages = cut_passages(DOCUMENTS[0])
        writer.add(DOCUMENTS[0], passages, [digest_of(passage) for passage in passages])
        raise RuntimeError
    with pytest.raises((CorpusError, sqlite3.Error)):
        if PassageStore(tmp_path / PASSAGES).passages != 1:
            raise CorpusError("as it should be: nothing was committed")
