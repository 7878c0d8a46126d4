"""Index snapshots: complete or absent, checked when opened, old ones readable while a new one comes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from personae.corpus import sentences
from personae.errors import CorpusError
from personae.files import sha256_of
from serving.retrieval.build import build_index
from serving.retrieval.passage_store import PASSAGES
from serving.retrieval.retriever import Retriever
from serving.retrieval.snapshot import (
    CURRENT,
    MANIFEST,
    current_snapshot,
    is_current,
    open_snapshot,
    verify_snapshot,
)
from serving.retrieval.vectors import (
    DENSE,
    PASSAGE_VECTORS,
    SENTENCE_STARTS,
    SENTENCE_VECTORS,
    VECTOR_FILES,
)
from tests.conftest import with_floor
from tests.fakes.artefacts import WordEmbedder, write_test_corpus


@pytest.fixture
def built(tmp_path):
    write_test_corpus(tmp_path / "corpora" / "lincoln", "lincoln")
    embedder = WordEmbedder()
    manifest = build_index(
        "lincoln", tmp_path / "corpora" / "lincoln", tmp_path / "indexes", embedder
    )
    return tmp_path / "indexes", embedder, manifest


def test_a_build_can_be_opened_and_searched(built):
    indexes, embedder, manifest = built
    snapshot = open_snapshot(current_snapshot(indexes, "lincoln"), embedder)
    rows, cosines = snapshot.nearest(embedder.embed_queries(["railroads and rebates"])[0], 5)
    assert len(snapshot) == manifest.passages == 2
    assert snapshot.passages(rows)[0].title == "Message on railroads"
    assert cosines[0] > cosines[1]
    assert snapshot.match("words : rebate", 5)[0][0] == rows[0]
    snapshot.close()


def test_sentence_vectors_are_those_of_the_passages_asked_for_in_their_order(built):
    indexes, embedder, _ = built
    snapshot = open_snapshot(current_snapshot(indexes, "lincoln"), embedder)
    vectors, owners = snapshot.sentence_vectors([1, 0])
    expected = [
        vector
        for row in (1, 0)
        for vector in embedder.embed(sentences(snapshot.passages([row])[0].text))
    ]
    assert owners.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    # Whole numbers up to 127 stand for each of them.
    np.testing.assert_allclose(vectors, expected, atol=0.01)
    snapshot.close()


def test_a_new_build_takes_over_and_the_old_one_stays_readable(built, tmp_path):
    indexes, embedder, manifest = built
    old = current_snapshot(indexes, "lincoln")
    build_index("lincoln", tmp_path / "corpora" / "lincoln", indexes, embedder)
    assert current_snapshot(indexes, "lincoln") != old
    assert open_snapshot(old, embedder).manifest == manifest
    assert is_current(indexes, "lincoln", corpus_sha256=manifest.corpus_sha256, embedder=embedder)


@pytest.mark.parametrize(
    ("pinned", "value"),
    [
        ("weights_sha256", "00" * 32),
        ("pooling", "cls"),
        ("query_prefix", "query: "),
        ("passage_prefix", "passage: "),
        ("max_tokens", 128),
    ],
)
def test_an_index_is_current_only_for_the_settings_it_was_made_with(built, pinned, value):
    indexes, embedder, manifest = built
    setattr(embedder, pinned, value)
    corpus = manifest.corpus_sha256
    assert not is_current(indexes, "lincoln", corpus_sha256=corpus, embedder=embedder)


def test_an_index_of_an_earlier_personae_is_not_current_and_so_built_again(built):
    indexes, embedder, manifest = built
    old_form(current_snapshot(indexes, "lincoln"))
    corpus = manifest.corpus_sha256
    assert not is_current(indexes, "lincoln", corpus_sha256=corpus, embedder=embedder)


def test_another_language_has_other_stems_and_is_not_current(built):
    indexes, embedder, manifest = built
    corpus = manifest.corpus_sha256
    assert not is_current(
        indexes, "lincoln", corpus_sha256=corpus, embedder=embedder, language="de"
    )


def test_another_corpus_or_embedder_is_not_current(built):
    indexes, embedder, manifest = built
    assert not is_current(indexes, "lincoln", corpus_sha256="00", embedder=embedder)
    assert not is_current(
        indexes,
        "lincoln",
        corpus_sha256=manifest.corpus_sha256,
        embedder=WordEmbedder(weights_sha256="00" * 32),
    )
    assert not is_current(indexes, "nobody", corpus_sha256="00", embedder=embedder)


def cut(path):
    path.write_bytes(path.read_bytes()[:-10])


def old_form(folder):
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["format"]
    (folder / MANIFEST).write_text(json.dumps(manifest | {"chunker_version": 1}))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        *[
            (lambda folder, name=name: cut(folder / name), "missing or damaged")
            for name in (*VECTOR_FILES, PASSAGES)
        ],
        (lambda folder: (folder / PASSAGES).unlink(), "missing or damaged"),
        (lambda folder: (folder / MANIFEST).unlink(), "no complete index"),
        (lambda folder: (folder / MANIFEST).write_text("{}"), "can't be read"),
        (lambda folder: (folder / MANIFEST).write_text("not json"), "can't be read"),
        (old_form, "another version of personae"),
    ],
)
def test_damage_is_told_with_the_command_that_mends_it(built, spoil, words):
    indexes, embedder, _ = built
    folder = current_snapshot(indexes, "lincoln")
    spoil(folder)
    for read in (lambda: open_snapshot(folder, embedder), lambda: verify_snapshot(folder)):
        with pytest.raises(CorpusError, match=words) as caught:
            read()
        assert "personae index build lincoln" in str(caught.value)


@pytest.mark.parametrize(
    "name", [DENSE, PASSAGE_VECTORS, SENTENCE_VECTORS, SENTENCE_STARTS, PASSAGES]
)
def test_a_damaged_head_is_noticed_where_a_file_is_too_long_to_hash(built, name):
    """As of files over 256 MB: the manifest is made to agree with the damaged file."""
    indexes, embedder, _ = built
    folder = current_snapshot(indexes, "lincoln")
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(b"\xff" * 64 + data[64:])
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"][name]["sha256"] = sha256_of(folder / name)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(CorpusError, match="is damaged") as caught:
        open_snapshot(folder, embedder)
    assert "personae index build lincoln" in str(caught.value)


@pytest.mark.parametrize("pinned", ["pooling", "query_prefix", "weights_sha256"])
def test_an_index_of_another_embedder_is_refused(built, pinned):
    indexes, embedder, _ = built
    setattr(embedder, pinned, "other")
    with pytest.raises(CorpusError, match="made with the embedder"):
        open_snapshot(current_snapshot(indexes, "lincoln"), embedder)


def test_no_corpus_no_index_and_nothing_half_written(tmp_path):
    with pytest.raises(CorpusError, match="corpus ingest"):
        build_index("lincoln", tmp_path / "corpora", tmp_path / "indexes", WordEmbedder())
    assert not (tmp_path / "indexes").exists()


def test_a_changed_corpus_is_refused(tmp_path):
    folder = tmp_path / "corpora" / "lincoln"
    write_test_corpus(folder, "lincoln")
    with (folder / "documents.jsonl").open("a") as file:
        file.write(json.dumps({"id": "x"}) + "\n")
    with pytest.raises(CorpusError, match="changed since"):
        build_index("lincoln", folder, tmp_path / "indexes", WordEmbedder())


async def test_retrieval_cuts_filters_and_cites(built, cast):
    indexes, embedder, _ = built
    retriever = Retriever(cast=cast, indexes=indexes, embedder=embedder)
    await retriever.open()
    found = await retriever.search(cast["lincoln"], "secret rebates of railroads")
    assert found.citations[0].number == 1
    assert found.citations[0].date == "1904-12-06"
    assert len(found.passages) == len(found.citations)
    assert (await retriever.search(cast["pg"], "anything")).citations == []
    nothing = await retriever.search(with_floor(cast["lincoln"], None), "zzzzqqqq xxyyxx")
    assert not nothing.covered
    retriever.close()


async def test_a_damaged_snapshot_is_told_and_the_persona_answers_without(built, cast):
    indexes, embedder, _ = built
    cut(current_snapshot(indexes, "lincoln") / DENSE)
    retriever = Retriever(cast=cast, indexes=indexes, embedder=embedder)
    await retriever.open()
    assert retriever.passages("lincoln") == 0
    assert "index build lincoln" in (retriever.problem("lincoln") or "")
    retriever.close()


def test_current_names_the_snapshot(built):
    indexes, _, _ = built
    name = (indexes / "lincoln" / CURRENT).read_text().strip()
    assert (indexes / "lincoln" / name / MANIFEST).is_file()
