"""Probes are enough, always the same, and none of them was trained on."""

from __future__ import annotations

import re

import pytest

from personae.corpus import Document
from personae.errors import CorpusError
from personae.persona import Cast, Persona
from personae.prompt import render_ask
from training.evaluate.prompts import (
    Counts,
    make_probes,
    messages_of,
    sampling_of,
    speakers_of,
)
from training.evaluate.wordings import MODERN
from training.samples.conversations import _OUTSIDE as TRAINED_OUTSIDE
from training.samples.conversations import identity_questions
from training.samples.dataset import make_dataset, split_documents

WORDING = {"what", "think", "about", "when", "comes", "please", "explain", "write", "your", "have"}


@pytest.fixture(scope="module")
def probes(lincoln, documents):
    return make_probes(lincoln, documents, _held_out(documents))


def _held_out(documents: list[Document]) -> list[str]:
    return [document.id for document in split_documents(documents)[1]]


def test_there_are_enough_of_every_task(probes) -> None:
    tasks = [probe.task for probe in probes]
    assert tasks.count("voice") >= 40
    assert tasks.count("rewrite") >= 24 + 12
    assert tasks.count("identity") == 2 * 10
    assert tasks.count("outside") >= 20
    assert tasks.count("grounded") >= 12
    assert len({probe.id for probe in probes}) == len(probes)
    assert len({probe.text for probe in probes if probe.task == "voice"}) == 40
    outside = [probe for probe in probes if probe.task == "outside"]
    assert 0 < sum(bool(probe.passages) for probe in outside) < len(outside)
    assert all(probe.passages for probe in probes if probe.task == "grounded")


def test_the_same_corpus_gives_the_same_probes(probes, lincoln, documents) -> None:
    assert probes == make_probes(lincoln, documents, _held_out(documents))


def test_no_probe_is_a_training_sample(probes, lincoln, documents) -> None:
    dataset = make_dataset(lincoln, documents, count=300, held_out_count=4, seed=17)
    trained = {sample.messages[-1]["content"] for sample in dataset.train}
    assert len(trained) > 200
    for probe in probes:
        assert messages_of(lincoln, probe, "adapter")[-1]["content"] not in trained


def test_identity_is_asked_in_words_that_were_not_trained(probes, cast: Cast) -> None:
    for persona in cast.values():
        trained = {question.lower().strip("?!. ") for question in identity_questions(persona)}
        asked = {probe.text.lower().strip("?!. ") for probe in probes if probe.task == "identity"}
        assert len(asked) == 10
        assert not asked & trained


def test_topics_outside_are_others_than_those_trained_and_unknown_to_the_corpus(
    probes, documents
) -> None:
    corpus = {word for document in documents for word in re.findall(r"\w+", document.text.lower())}
    outside = [probe.text for probe in probes if probe.task == "outside"]
    assert len(set(outside)) == len(outside)
    for text in outside:
        assert not any(topic.lower() in text.lower() for topic in TRAINED_OUTSIDE)
        telling = set(re.findall(r"[a-z]{4,}", text.lower().split("favourite")[-1])) - WORDING
        assert telling
        assert not telling & corpus


def test_what_is_asked_about_stands_in_held_out_documents(probes, documents) -> None:
    held_out = " ".join(
        document.text for document in documents if document.id in _held_out(documents)
    )
    flat = " ".join(held_out.split())
    for probe in probes:
        if probe.author:
            assert probe.author[:60] in flat
        if probe.task == "rewrite" and probe.author:
            assert probe.text != probe.author
        for passage in probe.passages:
            assert passage.text[:30] in flat


def test_each_speaker_meets_its_own_prompt(probes, lincoln: Persona) -> None:
    probe = next(probe for probe in probes if probe.task == "grounded")
    assert messages_of(lincoln, probe, "adapter") == render_ask(lincoln, probe.text, probe.passages)
    prompted = messages_of(lincoln, probe, "prompted_base")
    assert lincoln.style_anchors[0][:40] in prompted[0]["content"]
    base = messages_of(lincoln, probe, "base")
    assert "Lincoln" not in base[0]["content"]
    assert probe.passages[0].text in base[1]["content"]


def test_only_what_is_compared_or_shown_is_asked_of_the_base(probes, lincoln: Persona) -> None:
    for probe in probes:
        everybody = probe.task == "voice" or probe.shown
        assert (len(speakers_of(probe)) == 3) is everybody
        expected = lincoln.rewrite if probe.task == "rewrite" else lincoln.ask
        assert sampling_of(lincoln, probe) == expected.sampling


def test_modern_texts_are_short_everyday_prose() -> None:
    assert len(MODERN) == len(set(MODERN)) == 12
    assert all(25 <= len(text.split()) <= 60 for text in MODERN)


def test_a_small_corpus_still_gives_questions(lincoln: Persona) -> None:
    words = (
        "The mill stood by the river, and the old man kept his bees behind it for thirty years. "
    )
    documents = [
        Document(id=str(n), title="Bees", date=str(1900 + n), url="", text=words * 4)
        for n in range(2)
    ]
    probes = make_probes(lincoln, documents, ["1"], Counts(voice=12))
    voice = [probe.text for probe in probes if probe.task == "voice"]
    assert len(voice) == 12


def test_what_cannot_be_measured_on_is_told(lincoln: Persona, documents) -> None:
    with pytest.raises(CorpusError, match="no document gone any more"):
        make_probes(lincoln, documents, ["gone"])
    tiny = [Document(id="a", title="", date="", url="", text="Too short")]
    with pytest.raises(CorpusError, match="no stretch of whole sentences"):
        make_probes(lincoln, tiny, ["a"])
