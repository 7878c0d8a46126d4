"""Index snapshots: complete or absent, checked when opened, old ones readable while a new one comes."""

from __future__ import annotations

import json

import pytest

from personae.errors import CorpusError
from serving.retrieval.retriever import Retriever
from serving.retrieval.snapshot import (
    CURRENT,
    MANIFEST,
    PASSAGES,
    VECTORS,
    build_index,
    current_snapshot,
    is_current,
    open_snapshot,
)
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
    hits = snapshot.search(embedder.embed(["railroads and rebates"]), 5)
    assert len(snapshot) == manifest.passages == 2
    assert hits[0].passage.title == "Message on railroads"
    assert hits[0].similarity > hits[1].similarity


def test_a_new_build_takes_over_and_the_old_one_stays_readable(built, tmp_path):
    indexes, embedder, manifest = built
    old = current_snapshot(indexes, "lincoln")
    build_index("lincoln", tmp_path / "corpora" / "lincoln", indexes, embedder)
    assert current_snapshot(indexes, "lincoln") != old
    assert open_snapshot(old, embedder).manifest == manifest
    assert is_current(indexes, "lincoln", corpus_sha256=manifest.corpus_sha256, embedder=embedder)


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


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: cut(folder / VECTORS), "missing or damaged"),
        (lambda folder: (folder / PASSAGES).unlink(), "missing or damaged"),
        (lambda folder: (folder / MANIFEST).unlink(), "no complete index"),
        (lambda folder: (folder / MANIFEST).write_text("{}"), "can't be read"),
    ],
)
def test_damage_is_told_with_the_command_that_mends_it(built, spoil, words):
    indexes, embedder, _ = built
    folder = current_snapshot(indexes, "lincoln")
    spoil(folder)
    with pytest.raises(CorpusError, match=words) as caught:
        open_snapshot(folder, embedder)
    assert "personae index build lincoln" in str(caught.value)


def test_an_index_of_another_embedder_is_refused(built):
    indexes, _, _ = built
    with pytest.raises(CorpusError, match="made with the embedder"):
        open_snapshot(current_snapshot(indexes, "lincoln"), WordEmbedder("ee" * 32))


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
    nothing = await retriever.search(cast["lincoln"], "zzzzqqqq xxyyxx")
    assert nothing.passages == [], "nothing near enough is nothing"
    retriever.close()


async def test_a_damaged_snapshot_is_told_and_the_persona_answers_without(built, cast):
    indexes, embedder, _ = built
    cut(current_snapshot(indexes, "lincoln") / VECTORS)
    retriever = Retriever(cast=cast, indexes=indexes, embedder=embedder)
    await retriever.open()
    assert retriever.passages("lincoln") == 0
    assert "index build lincoln" in (retriever.problem("lincoln") or "")
    retriever.close()


def test_current_names_the_snapshot(built):
    indexes, _, _ = built
    name = (indexes / "lincoln" / CURRENT).read_text().strip()
    assert (indexes / "lincoln" / name / MANIFEST).is_file()
