"""The classifier tells an author from others, by how it is said and not by names."""

from __future__ import annotations

from pathlib import Path

import pytest

from personae.corpus import Document
from personae.errors import CorpusError
from personae.persona import Evaluation, Persona
from personae.sources import FolderSource, SotuSource
from training.evaluate.attribution import chunks, masked, train_attribution
from training.evaluate.bounds import auc_figure
from training.evaluate.others import PRESIDENTS, documents_of_others
from training.samples.dataset import split_documents


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("We met Anna in Paris on May 4, 1862.", "We met Xx in Xx on Xx 0, 0."),
        ("The Secretary of War has it.", "The Xx has it."),
        ("I think I do.", "I think I do."),
        ("They paid 3.5 or 2,500.", "They paid 0 or 0."),
        ("", ""),
        ("自由", "自由"),
    ],
)
def test_names_and_numbers_are_hidden(text: str, hidden: str) -> None:
    assert masked(text) == hidden


def test_chunks_are_whole_sentences_without_headings() -> None:
    text = "# One\n\nOne two three. Four five six.\n\nSeven eight nine ten. Rest."
    assert chunks(text, 6) == ["One two three. Four five six."]
    assert chunks("", 6) == []


@pytest.fixture(scope="module")
def known(documents, lincoln, cast):
    training, held_out = split_documents(documents)
    others = documents_of_others(lincoln, cast.folder("lincoln"), Path("unused"))
    return train_attribution(training, held_out, others)


def test_it_tells_lincoln_from_eight_presidents(known) -> None:
    others = known.scores(known.others_held_out)
    own = auc_figure(known.scores(known.author_held_out), others)
    assert own.low > 0.7
    assert known.accuracy.value > 0.6
    assert known.others == [name for name in PRESIDENTS if name != "Abraham Lincoln"][:8]


def test_everyday_english_is_not_taken_for_him(known) -> None:
    from training.evaluate.wordings import MODERN

    others = known.scores(known.others_held_out)
    assert auc_figure(known.scores(list(MODERN)), others).value < 0.6


def test_a_reply_without_letters_is_nobodys_voice(known) -> None:
    assert known.scores(["", "🎉", "1862", "..."]) == [0.0] * 4
    assert known.scores([]) == []
    assert all(0 <= score <= 1 for score in known.scores(["Yes.", "自由", "مرحبا"]))


def test_nothing_held_out_was_trained_on(known, documents) -> None:
    training, held_out = split_documents(documents)
    trained = " ".join(" ".join(document.text.split()) for document in training)
    rest = " ".join(" ".join(document.text.split()) for document in held_out)
    for chunk in known.author_held_out:
        assert chunk[:80] not in trained
        assert chunk[:40] in rest


def _author(name: str, sentence: str) -> Document:
    text = "\n\n".join(f"{sentence} It was number {number}." for number in range(80))
    return Document(id=name, title=name, date="", url="", text=text)


def test_other_authors_come_from_the_personas_sources(lincoln: Persona, tmp_path) -> None:
    words = ["river", "stone", "cloud", "bread", "lamp"]
    for word in words:
        (tmp_path / word).mkdir()
        (tmp_path / word / "a.md").write_text(
            _author(word, f"He kept the {word} by the door, and spoke of the {word} to all.").text
        )
    sources = [FolderSource(kind="folder", path=word) for word in words]
    persona = lincoln.model_copy(update={"evaluation": Evaluation(others=sources)})
    others = documents_of_others(persona, tmp_path, tmp_path)
    assert list(others) == words
    own = [
        _author("own-1", "We shall, in time, be gone, and so shall they."),
        _author("own-2", "We shall, by and by, be gone, and so shall all."),
    ]
    known = train_attribution(own[:1], own[1:], others)
    found = auc_figure(known.scores(known.author_held_out), known.scores(known.others_held_out))
    assert found.value > 0.95


def test_fewer_than_five_others_are_refused(lincoln: Persona, tmp_path) -> None:
    four = [
        SotuSource(kind="sotu", president=name, first_year=1790, last_year=2100)
        for name in PRESIDENTS[:4]
    ]
    for sources in (four, [*four, four[0]]):
        persona = lincoln.model_copy(update={"evaluation": Evaluation(others=sources)})
        with pytest.raises(CorpusError, match=r"[Aa]t least (?:five|5)"):
            documents_of_others(persona, tmp_path, tmp_path)


def test_the_author_is_never_among_the_default_others(cast) -> None:
    for name in ("lincoln", "roosevelt", "pg"):
        others = documents_of_others(cast[name], cast.folder(name), Path("unused"))
        assert len(others) == 8
        assert cast[name].display_name not in others
