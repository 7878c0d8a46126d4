"""`ingest` of a folder with every kind of dirt: what stays, what is told of the rest, and all at once."""

from __future__ import annotations

import json

import pytest

from personae.corpus import read_corpus
from personae.errors import CorpusError
from personae.persona import load_cast
from tests.fakes.dirty_writing import CLEAN, REMOVED, SECRETS, write_dirty_cast
from training.clean.report import read_report
from training.ingest.ingest import ingest


def ingested(tmp_path, cleaning: str = ""):
    cast = load_cast([write_dirty_cast(tmp_path / "cast", cleaning)])
    manifest = ingest(cast["ada"], cast.folder("ada"), tmp_path / "corpora")
    return manifest, tmp_path / "corpora" / "ada"


def test_the_authors_writing_is_left_and_nothing_else(tmp_path):
    manifest, folder = ingested(tmp_path)
    assert {one.id: one.text for one in read_corpus(folder)[1]} == CLEAN
    removed = [json.loads(line) for line in (folder / "removed.jsonl").read_text().splitlines()]
    assert {one["id"]: one["rule"] for one in removed} == REMOVED
    report = read_report(folder, "ada")
    assert manifest.cleaning == {rule.rule: rule.words for rule in report.rules}
    assert report.words_before - sum(manifest.cleaning.values()) == manifest.words
    assert {rule.rule for rule in report.rules if rule.pieces or rule.documents_removed} == set(
        manifest.cleaning
    )


def test_nothing_in_the_folder_shows_what_was_hidden(tmp_path):
    _, folder = ingested(tmp_path)
    for path in folder.iterdir():
        assert not any(secret in path.read_text() for secret in SECRETS), path.name
    assert sorted(path.name for path in folder.iterdir()) == [
        "cleaning.json", "cleaning.md", "documents.jsonl", "manifest.json", "removed.jsonl",
    ]  # fmt: skip


def test_a_rule_switched_off_in_the_persona_file_is_off(tmp_path):
    _, folder = ingested(tmp_path, "[cleaning]\npersonal_data = false\nshort = false")
    texts = {one.id: one.text for one in read_corpus(folder)[1]}
    assert texts["note.txt"] == "Back on Monday."
    assert SECRETS[0] in texts["2020-bread.md"]
    assert not read_report(folder, "ada").rule("short").on


def test_nothing_left_keeps_the_corpus_before_it(tmp_path):
    _, folder = ingested(tmp_path)
    before = (folder / "documents.jsonl").read_bytes()
    persona = tmp_path / "cast" / "ada" / "persona.toml"
    persona.write_text(persona.read_text() + "[cleaning]\nmin_words = 5000\n")
    cast = load_cast([tmp_path / "cast"])
    with pytest.raises(CorpusError, match=r"none of 10 documents.*`short = false`"):
        ingest(cast["ada"], cast.folder("ada"), tmp_path / "corpora")
    assert (folder / "documents.jsonl").read_bytes() == before
    assert [path.name for path in folder.parent.iterdir()] == ["ada"]


def test_lincolns_messages_lose_no_word(corpora):
    manifest, documents = read_corpus(corpora / "lincoln")
    assert (manifest.words, manifest.cleaning) == (27_235, {})
    assert all(one.text.startswith("Fellow-Citizens of the Senate") for one in documents)
    (note,) = read_report(corpora / "lincoln", "lincoln").rule("boilerplate").notes
    assert note.startswith("stands in 4 of 4 documents and was left")


def test_a_corpus_without_a_report_says_what_to_run(tmp_path):
    with pytest.raises(CorpusError, match="corpus ingest ada"):
        read_report(tmp_path, "ada")
    (tmp_path / "cleaning.json").write_text('{"documents": 3}')
    with pytest.raises(CorpusError, match=r"damaged.*corpus ingest ada"):
        read_report(tmp_path, "ada")
