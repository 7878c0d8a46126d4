"""A corpus is whole or absent, and its passages are whole sentences that lose no word."""

from __future__ import annotations

import pytest

from personae.corpus import (
    DOCUMENTS,
    Document,
    cut_passages,
    first_words,
    read_corpus,
    sentences,
    write_corpus,
)
from personae.errors import CorpusError


def document(text: str, document_id: str = "a") -> Document:
    return Document(id=document_id, title="T", date="1862", url="https://x.org", text=text)


def write(folder, documents):
    return write_corpus(
        folder, "lincoln", documents, sources=["a test"], created_at="2026-01-01T00:00:00+00:00"
    )


def test_a_written_corpus_is_read_back_with_its_counts(tmp_path):
    documents = [document("One two three."), document("Vier “fünf”\nsechs.", "b")]
    manifest = write(tmp_path / "c", documents)
    assert (manifest.documents, manifest.words) == (2, 6)
    assert read_corpus(tmp_path / "c") == (manifest, documents)


def test_a_failed_write_keeps_the_corpus_before_it(tmp_path):
    write(tmp_path / "c", [document("Old words.")])
    for bad in ([], [document("x"), document("y")]):
        with pytest.raises(CorpusError):
            write(tmp_path / "c", bad)
        assert read_corpus(tmp_path / "c")[1][0].text == "Old words."
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_missing_changed_and_damaged_corpora_say_what_to_run(tmp_path):
    with pytest.raises(CorpusError, match=r"no complete corpus.*corpus ingest"):
        read_corpus(tmp_path / "c")
    write(tmp_path / "c", [document("Words.")])
    with (tmp_path / "c" / DOCUMENTS).open("a") as file:
        file.write("{}\n")
    with pytest.raises(CorpusError, match="was changed since"):
        read_corpus(tmp_path / "c")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Mr. Seward came. He left.", ["Mr. Seward came.", "He left."]),
        ("J. P. Morgan paid. So it was.", ["J. P. Morgan paid.", "So it was."]),
        ('He said "Go." Then he went.', ['He said "Go."', "Then he went."]),
        ("It cost 3.50 a day. 20 men came.", ["It cost 3.50 a day.", "20 men came."]),
        ("no end", ["no end"]),
        ("  \n ", []),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text, expected):
    assert sentences(text) == expected


def test_passages_are_whole_sentences_about_the_target_and_lose_nothing():
    paragraphs = [
        " ".join(f"Sentence {number} of paragraph {p} has eight words." for number in range(30))
        for p in range(4)
    ]
    text = "\n\n".join(paragraphs)
    passages = cut_passages(document(text), target_words=60)
    assert [passage.number for passage in passages] == list(range(len(passages)))
    assert " ".join(passage.text for passage in passages) == " ".join(text.split())
    for passage in passages:
        assert passage.text.endswith("words.")
        assert len(passage.text.split()) <= 75
    assert {passage.url for passage in passages} == {"https://x.org"}


def test_a_wall_of_words_is_cut_and_an_empty_text_gives_none():
    wall = " ".join(["word"] * 1000)
    passages = cut_passages(document(wall), target_words=100)
    assert max(len(passage.text.split()) for passage in passages) <= 200
    assert sum(len(passage.text.split()) for passage in passages) == 1000
    assert cut_passages(document(" \n\n ")) == []


def test_first_words_end_at_a_sentence_or_say_that_they_were_cut():
    text = "One two three four five six. Seven eight nine ten. Eleven twelve."
    assert first_words(text, 100) == text
    assert first_words(text, 11) == "One two three four five six. Seven eight nine ten."
    assert first_words(text, 4) == "One two three four …"
