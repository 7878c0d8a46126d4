"""Builds embed only what is new, go on after an interruption, and put in use only what is whole."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from personae.corpus import Document, cut_passages, sentences, write_corpus
from personae.errors import CorpusError, DiskFull
from serving.retrieval import build as build_module
from serving.retrieval.build import KEPT_SNAPSHOTS, LOCK_FILE, build_index, roll_back
from serving.retrieval.snapshot import (
    MANIFEST,
    current_snapshot,
    is_current,
    open_snapshot,
    read_index_manifest,
    snapshot_folders,
)
from serving.retrieval.working_vectors import WORKING
from tests.fakes.artefacts import WordEmbedder

BATCH = build_module._BATCH


def essay(number: int, length: int = 6) -> Document:
    text = " ".join(
        f"Sentence {line} of essay {number} is about subject{number * 31 + line} and no other. "
        f"It says word{number} and word{line} once more, at some length, for the reader."
        for line in range(length)
    )
    return Document(
        id=f"essay-{number}",
        title=f"Essay {number}",
        date=f"{1850 + number % 50}-01-02",
        url=f"https://example.org/{number}",
        text=text,
    )


class Home:
    """Folders of one persona, and builds over them."""

    def __init__(self, folder: Path) -> None:
        self.corpus, self.indexes = folder / "corpora" / "p", folder / "indexes"
        self.embedder = WordEmbedder()

    def write(self, documents):
        return write_corpus(self.corpus, "p", documents, sources=["a test"], created_at="now")

    def build(self, **settings):
        """(manifest, number of texts that were embedded)."""
        before = self.embedder.embedded
        manifest = build_index("p", self.corpus, self.indexes, self.embedder, **settings)
        return manifest, self.embedder.embedded - before

    def open(self):
        return open_snapshot(current_snapshot(self.indexes, "p"), self.embedder)

    def names(self):
        return [folder.name for folder in snapshot_folders(self.indexes, "p")]


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def texts_of(documents):
    passages = [passage for document in documents for passage in cut_passages(document)]
    return len(passages) + sum(len(sentences(passage.text)) for passage in passages)


def test_only_new_and_changed_documents_are_embedded(home):
    documents = [essay(number) for number in range(20)]
    home.write(documents)
    manifest, embedded = home.build()
    assert embedded == texts_of(documents) == manifest.passages + manifest.sentences
    changed = essay(3).model_copy(update={"text": "Quite another text. Of two sentences."})
    home.write([*documents[5:], essay(99), changed])
    manifest, embedded = home.build()
    assert embedded == texts_of([essay(99), changed])
    assert manifest.documents == 17
    snapshot = home.open()
    for row in range(len(snapshot)):
        passage = snapshot.passages([row])[0]
        expected = home.embedder.embed_queries([f"{passage.title}\n{passage.text}"])
        np.testing.assert_allclose(snapshot.passage_vectors([row]), expected, atol=1e-3)
        held, owners = snapshot.sentence_vectors([row])
        expected = home.embedder.embed_queries(sentences(passage.text))
        np.testing.assert_allclose(held, expected, atol=0.01)
        assert not owners.any()
    snapshot.close()


def test_other_settings_embed_all_anew(home):
    home.write([essay(1), essay(2)])
    _, first = home.build()
    home.embedder.passage_prefix = "passage: "
    _, second = home.build()
    assert second == first > 0


def test_a_damaged_snapshot_before_is_no_source_and_no_obstacle(home):
    home.write([essay(1), essay(2)])
    _, first = home.build()
    (current_snapshot(home.indexes, "p") / "passages.sqlite").write_bytes(b"")
    _, second = home.build()
    assert second == first
    home.open().close()


class Breaking(WordEmbedder):
    """Fails after some calls, as a full memory or Ctrl-C would."""

    def __init__(self, calls: int, error: BaseException) -> None:
        super().__init__()
        self.calls, self.error = calls, error

    def embed(self, texts, **settings):
        self.calls -= 1
        if self.calls < 0:
            raise self.error
        return super().embed(texts, **settings)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_an_interrupted_build_is_taken_up_and_nothing_half_built_is_seen(home, error):
    documents = [essay(number) for number in range(2 * BATCH + 10)]
    home.write(documents)
    whole, home.embedder = home.embedder, Breaking(4, error)
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else DiskFull):
        home.build()
    assert current_snapshot(home.indexes, "p") is None
    assert home.names() == []
    done = home.embedder.embedded
    home.embedder = whole
    _, embedded = home.build()
    assert done > 0 and embedded == texts_of(documents) - done
    assert not (home.indexes / "p" / WORKING).exists()


def test_vectors_left_by_another_embedder_or_damaged_are_not_taken_up(home):
    documents = [essay(number) for number in range(BATCH + 10)]
    home.write(documents)
    home.embedder = Breaking(2, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        home.build()
    home.embedder = WordEmbedder("ef" * 32)
    _, embedded = home.build()
    assert embedded == texts_of(documents)
    (home.indexes / "p" / WORKING).write_bytes(b"no database " * 1000)
    home.write([*documents, essay(9999)])
    _, embedded = home.build()
    assert embedded == texts_of([essay(9999)])


_KILLED = """
import sys, time
from pathlib import Path
from tests.fakes.artefacts import WordEmbedder
from serving.retrieval.build import build_index

class Slow(WordEmbedder):
    calls = 0
    def embed(self, texts, **settings):
        self.calls += 1
        if self.calls > 2:
            print("embedding", self.embedded, flush=True)
            time.sleep(60)
        return super().embed(texts, **settings)

home = Path(sys.argv[1])
build_index("p", home / "corpora" / "p", home / "indexes", Slow())
"""


def test_a_killed_build_is_taken_up_too(home, tmp_path):
    documents = [essay(number) for number in range(BATCH + 10)]
    home.write(documents)
    process = subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(tmp_path)],
        cwd=Path(__file__).parents[3],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        word, done = process.stdout.readline().split()
        assert word == "embedding"
        with pytest.raises(CorpusError, match="Another process is indexing p"):
            home.build()
        process.send_signal(signal.SIGKILL)
    assert list((home.indexes / "p").glob(".*.writing-*")), "the killed build left its scratch"
    _, embedded = home.build()
    assert int(done) > 0 and embedded == texts_of(documents) - int(done)
    assert not list((home.indexes / "p").glob(".*.writing-*"))


def test_the_last_snapshots_are_kept_and_a_reader_keeps_a_deleted_one(home):
    home.write([essay(1)])
    home.build()
    reader = home.open()
    oldest = home.names()[0]
    for number in range(2, 3 + KEPT_SNAPSHOTS):
        home.write([essay(number)])
        home.build()
    assert len(home.names()) == KEPT_SNAPSHOTS and oldest not in home.names()
    rows, _ = reader.nearest(home.embedder.embed_queries(["Essay 1"])[0], 3)
    assert reader.passages(rows)[0].title == "Essay 1"
    assert reader.match("words : essay", 5)
    assert len(reader.sentence_vectors(rows)[0])
    reader.close()


def test_rolling_back_goes_one_step_at_a_time_and_is_left_alone_by_the_next_start(home):
    made = []
    for number in (1, 2, 3):
        corpus = home.write([essay(number)])
        made.append(home.build()[0])
    assert roll_back(home.indexes, "p") == made[1]
    assert home.open().manifest == made[1]
    assert is_current(
        home.indexes, "p", corpus_sha256=corpus.documents_sha256, embedder=home.embedder
    ), "else `up` would undo what somebody wanted"
    assert roll_back(home.indexes, "p") == made[0]
    with pytest.raises(CorpusError, match="no index before"):
        roll_back(home.indexes, "p")
    assert home.open().manifest == made[0]
    home.write([essay(4)])
    newest, _ = home.build()
    assert home.open().manifest == newest


def test_nothing_is_rolled_back_while_another_process_builds(home):
    """What it ends with would be put in charge over it."""
    for number in (1, 2):
        home.write([essay(number)])
        newest, _ = home.build()
    with (home.indexes / "p" / LOCK_FILE).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(CorpusError, match="Another process is indexing p"):
            roll_back(home.indexes, "p")
    assert home.open().manifest == newest


def test_a_rollback_passes_over_an_unreadable_snapshot_and_needs_one(home):
    with pytest.raises(CorpusError, match="index build p"):
        roll_back(home.indexes, "p")
    for number in (1, 2, 3):
        home.write([essay(number)])
        home.build()
    first, second, _ = snapshot_folders(home.indexes, "p")
    (second / MANIFEST).write_text(json.dumps({"persona": "p", "chunker_version": 1}))
    assert roll_back(home.indexes, "p") == read_index_manifest(first)


@pytest.mark.parametrize("text", ["", " \n\n", "\x00", "# Only a heading"])
def test_documents_without_text_are_refused_and_the_index_before_stays(home, text):
    home.write([essay(1)])
    before, _ = home.build()
    home.write([essay(1).model_copy(update={"text": text})])
    with pytest.raises(CorpusError, match=r"hold no text.*\[\[sources\]\]"):
        home.build()
    assert home.open().manifest == before


@pytest.mark.parametrize(
    "text",
    [
        "שלום עולם. זה טקסט מימין לשמאל.",
        "🎉🎉🎉 👩‍👩‍👧",
        "Null\x00 bytes\x00 inside.",
        "这是一句。这是另一句！",
        "…",
        "word " * 200_000,
    ],
    ids=["rtl", "emoji", "null", "chinese", "dots", "wall"],
)
def test_odd_texts_are_indexed_and_read_back(home, text):
    home.write([Document(id="odd", title="", date="", url="", text=text), essay(1)])
    home.build()
    snapshot = home.open()
    flat = " ".join(text.replace("\x00", "").split())
    kept = [p.text for p in snapshot.passages(range(len(snapshot))) if p.document_id == "odd"]
    assert " ".join(kept) == flat
    _rows, cosines = snapshot.nearest(home.embedder.embed_queries([kept[0]])[0], 1)
    assert cosines[0] > 0.99
    snapshot.close()


def test_readers_search_on_while_a_new_index_takes_its_place(home):
    home.write([essay(number) for number in range(30)])
    home.build()
    errors, searches, stop = [], [], threading.Event()

    def search():
        query = home.embedder.embed_queries(["Essay 7 subject217"])[0]
        try:
            while not stop.is_set():
                snapshot = home.open()
                rows, _ = snapshot.nearest(query, 5)
                assert len(snapshot.passages(rows)) == 5
                assert snapshot.match("words : subject217", 5)
                snapshot.close()
                searches.append(1)
        except BaseException as err:
            errors.append(err)

    readers = [threading.Thread(target=search) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(30, 30 + KEPT_SNAPSHOTS):
        home.write([essay(other) for other in range(number)])
        home.build()
    stop.set()
    for reader in readers:
        reader.join()
    assert not errors and searches


def test_what_fails_its_own_test_is_not_put_in_use(home, monkeypatch):
    home.write([essay(1), essay(2)])
    before, _ = home.build()

    class Wrong(WordEmbedder):
        """Gives nothing that can be found again."""

        def embed(self, texts, **settings):
            return super().embed(texts, **settings) * 0

    home.embedder = Wrong("ef" * 32)
    with pytest.raises(CorpusError, match="failed its own test"):
        home.build()
    home.embedder = WordEmbedder()
    assert home.open().manifest == before


def test_larger_indexes_are_of_another_kind_and_find_the_same(home):
    home.write([essay(number, length=1) for number in range(400)])
    home.build()
    flat = home.open()
    queries = [flat.passage_vectors([row])[0] for row in range(0, 400, 40)]
    expected = [flat.nearest(query, 1)[0][0] for query in queries]
    for kind, settings in {
        "hnsw": {"flat_up_to": 10},
        "ivf": {"flat_up_to": 10, "hnsw_up_to": 10},
    }.items():
        manifest, embedded = home.build(**settings)
        assert manifest.vectors.kind == kind and embedded == 0
        assert manifest.vectors.recall >= 0.95
        snapshot = home.open()
        found = [snapshot.nearest(query, 1)[0][0] for query in queries]
        assert found == expected
        snapshot.close()
    flat.close()


def test_a_lock_that_a_dead_process_left_is_free(home):
    home.write([essay(1)])
    (home.indexes / "p").mkdir(parents=True)
    with (home.indexes / "p" / LOCK_FILE).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
    home.build()
