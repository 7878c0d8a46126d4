"""A corpus is whole or absent, and its passages are whole sentences that lose no word."""

from __future__ import annotations

import json

import pytest

from personae.corpus import (
    DOCUMENTS,
    Document,
    cut_passages,
    first_words,
    read_corpus,
    searchable_text,
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


def test_further_files_appear_with_the_documents_and_old_manifests_still_read(tmp_path):
    manifest = write_corpus(
        tmp_path / "c",
        "lincoln",
        [document("Words.")],
        sources=["a test"],
        created_at="2026",
        cleaning={"short": 3},
        further={"cleaning.md": "# Took\n"},
    )
    assert (tmp_path / "c" / "cleaning.md").read_text() == "# Took\n"
    assert read_corpus(tmp_path / "c")[0] == manifest
    path = tmp_path / "c" / "manifest.json"
    old = json.loads(path.read_text())
    assert old.pop("cleaning") == {"short": 3}
    path.write_text(json.dumps(old))
    assert read_corpus(tmp_path / "c")[0].cleaning == {}


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


MARKDOWN = """# T

Before any heading. It has two sentences.

## Land ##

Who owns it?

### Taxes

- First item
- Second item. With two sentences.

> A quote
> over two lines.

Rents
-----

They rise.
"""


def test_headings_become_sections_and_no_passage_crosses_one():
    cut = [(p.section, p.text) for p in cut_passages(document(MARKDOWN))]
    assert cut == [
        ("", "Before any heading. It has two sentences."),
        ("Land", "Who owns it?"),
        (
            "Land › Taxes",
            "- First item - Second item. With two sentences. > A quote over two lines.",
        ),
        ("Rents", "They rise."),
    ]


def test_lines_that_only_look_like_headings_are_text():
    text = "#hashtag first.\n\nC# is a language.\n\n- - -\n\nNo. 1 of two\nlines\n---\n"
    assert [p.section for p in cut_passages(document(text))] == [""]
    assert "#hashtag" in cut_passages(document(text))[0].text


def words_and_marks(texts):
    return [len(text.split()) + 2 for text in texts]


def test_a_passage_the_embedder_would_cut_off_is_halved_title_and_section_included():
    sentence = "One two three four five six seven eight nine ten."
    text = f"## Section of four words\n\n{' '.join([sentence] * 9)}"
    cut = cut_passages(document(text), max_tokens=40, count_tokens=words_and_marks)
    assert len(cut) > len(cut_passages(document(text)))
    assert max(words_and_marks([searchable_text(passage) for passage in cut])) <= 40
    assert " ".join(passage.text for passage in cut) == " ".join([sentence] * 9)
    assert [passage.number for passage in cut] == list(range(len(cut)))


def test_a_title_longer_than_the_embedder_reads_leaves_no_endless_cutting():
    long = document("Some words. And more.").model_copy(update={"title": "so " * 5000})
    cut = cut_passages(long, max_tokens=16, count_tokens=words_and_marks)
    assert "".join(passage.text for passage in cut).replace(" ", "") == "Somewords.Andmore."


@pytest.mark.parametrize(
    "wall",
    [
        "word " * 2_000_000,
        "x" * 10_000_000,
        "A. " * 300_000,
        "字" * 3_000_000,
        "🙂" * 2_500_000,
        "> " * 1_000_000,
        "# " * 5_000_000,
        "\n " * 1_000_000,
        "- a\n" * 100_000,
        '."' * 5_000_000,
    ],
    ids=[
        "words",
        "letters",
        "initials",
        "chinese",
        "emoji",
        "quotes",
        "marks",
        "blank",
        "list",
        "ends",
    ],
)
def test_megabytes_without_structure_are_cut_in_a_time_that_grows_with_them(wall):
    """Something that took time by the square of the length would run into the timeout."""

    def count(texts):
        assert max(map(len, texts)) < 4000, "what is counted is cut before"
        return [len(text) // 3 for text in texts]

    cut = cut_passages(document(wall), max_tokens=256, count_tokens=count)
    kept = sum(len(passage.text.replace(" ", "")) for passage in cut)
    lost = len("".join(wall.split())) - kept
    assert lost == 0 or wall[0] in "#>", "only marks of structure go"
    assert max((len(passage.text) for passage in cut), default=0) < 2600


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("זה משפט. וזה עוד אחד.", ["זה משפט.", "וזה עוד אחד."]),
        ("هل هذا سؤال؟ نعم هو سؤال.", ["هل هذا سؤال؟", "نعم هو سؤال."]),
        ("这是一句。这是另一句！", ["这是一句。", "这是另一句！"]),
        ("Où ? Écoutez. Élan.", ["Où ?", "Écoutez.", "Élan."]),
        ("He stopped. and went on.", ["He stopped. and went on."]),
        ("Fine 👩‍👩‍👧. Good 🇫🇷!", ["Fine 👩‍👩‍👧.", "Good 🇫🇷!"]),
    ],
)
def test_sentences_of_other_scripts(text, expected):
    assert sentences(text) == expected
    assert cut_passages(document(text))[0].text == text


def test_null_bytes_go_and_joined_emoji_stay_together_where_a_wall_is_cut():
    assert cut_passages(document("One\x00 two.\x00"))[0].text == "One two."
    family = "👩‍👩‍👧"
    for passage in cut_passages(document(family * 2000)):
        assert passage.text.replace(family, "") == ""


def test_first_words_end_at_a_sentence_or_say_that_they_were_cut():
    text = "One two three four five six. Seven eight nine ten. Eleven twelve."
    assert first_words(text, 100) == text
    assert first_words(text, 11) == "One two three four five six. Seven eight nine ten."
    assert first_words(text, 4) == "One two three four …"
