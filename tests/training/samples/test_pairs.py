"""Samples: the serving prompt, the author's whole sentences, and nothing of a held-out document."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from personae.corpus import Document, cut_passages, sentences
from personae.errors import CorpusError
from personae.prompt import render_ask, render_rewrite
from tests.fakes.essays import essays
from training.samples.conversations import outside_topics
from training.samples.dataset import (
    MEASURED,
    SHARES,
    SYNTHESIZED_SHARE,
    make_dataset,
    split_documents,
)
from training.samples.degrade import DEGRADERS, learner_english, plain_english, study_notes
from training.samples.pairs import (
    LONG_TARGET_WORDS,
    MAX_TARGET_WORDS,
    MIN_TARGET_WORDS,
    QUOTED_WORDS,
    Sample,
)
from training.samples.thesaurus import NO_OTHER_WORDS, Thesaurus, build_thesaurus
from training.samples.topics import topics_of
from training.tune.leakage import HeldOutText
from training.tune.preflight import sample_problems


@pytest.fixture(scope="module")
def dataset(lincoln, documents):
    return make_dataset(lincoln, documents, count=400, held_out_count=20, seed=1)


def flat(text: str) -> str:
    return " ".join(text.split())


def test_nothing_of_a_held_out_document_is_trained_on(dataset, documents):
    assert dataset.held_out_documents == ["1864-lincoln-1"]
    held_out = next(document for document in documents if document.id == "1864-lincoln-1")
    others = flat(" ".join(document.text for document in documents if document is not held_out))
    own = {
        sentence
        for passage in cut_passages(held_out)
        for sentence in sentences(passage.text)
        if len(sentence) > 60 and sentence not in others
    }
    assert len(own) > 100
    for sample in dataset.train:
        shown = flat(sample.target + " ".join(message["content"] for message in sample.messages))
        assert not any(sentence in shown for sentence in own)
    assert {sample.document_id for sample in dataset.held_out} == {"1864-lincoln-1"}
    assert {sample.task for sample in dataset.held_out} == set(MEASURED)


def test_targets_are_whole_sentences_of_their_document_and_no_tics(dataset, documents, lincoln):
    texts = {document.id: flat(document.text) for document in documents}
    seen = 0
    for sample in [*dataset.train, *dataset.held_out]:
        if sample.task in ("identity", "refusal"):
            continue
        seen += 1
        longest = LONG_TARGET_WORDS if sample.task == "continue" else MAX_TARGET_WORDS
        assert sample.target in texts[sample.document_id]
        assert sample.target[0].isupper()
        assert re.search(r"[.!?][\"'”’)\]]*$", sample.target)
        assert MIN_TARGET_WORDS <= len(sample.target.split()) <= longest
        assert not sample.target.lower().startswith(lincoln.tics[0])
    assert seen > 300


def test_the_kinds_come_in_their_shares(dataset):
    found = Counter(sample.task for sample in dataset.train)
    assert found == {kind: round(400 * share) for kind, share in SHARES.items()}


def test_every_prompt_is_the_one_serving_builds(dataset, lincoln):
    ask = render_ask(lincoln, "x")[0]["content"]
    rewrite = render_rewrite(lincoln, "x")[0]["content"]
    for sample in dataset.train:
        system, user = sample.messages
        assert system["content"] == (rewrite if sample.task == "rewrite" else ask)
        if sample.task == "rewrite":
            assert user["content"].startswith("Rewrite this text in your own voice.")
        else:
            assert re.match(r"(Passages from your writings:\n\[1\] |Question: )", user["content"])


def test_questions_come_with_passages_and_without(dataset):
    counts = {
        kind: Counter(
            len(re.findall(r"^\[\d\] ", sample.messages[1]["content"], re.MULTILINE))
            for sample in dataset.train
            if sample.task == kind
        )
        for kind in ("open", "ask", "continue")
    }
    assert set(counts["ask"]) == {1, 2, 3}
    assert set(counts["open"]) == set(counts["continue"]) == {0}


def test_copying_no_answer_repeats_more_than_a_few_words_of_a_passage_beside_it(dataset):
    """A seed's failure: shown passages that are the answer, a model learns to copy."""
    leaning = 0
    for sample in dataset.train:
        if sample.task != "ask":
            continue
        shown = sample.messages[1]["content"].split("Question: ")[0]
        quoted = [part for part in sentences(sample.target) if part[:60] in shown]
        leaning += bool(quoted)
        assert sum(len(part.split()) for part in quoted) <= QUOTED_WORDS
    assert leaning > 10


def test_identity_answers_disclose_and_refusals_refuse(dataset, lincoln):
    for sample in dataset.train:
        if sample.task == "identity":
            assert "an imitation of Abraham Lincoln, not the person: a program" in sample.target
        if sample.task == "refusal":
            assert sample.target.startswith(lincoln.refusal)


def test_no_answer_begins_as_identity_does(dataset):
    """Else a small model that has said "I am" goes on with who it is, whatever was asked."""
    identity = [one for one in dataset.train if one.task == "identity"]
    (begun,) = {one.target.split()[0] for one in identity}
    others = [one.target for one in dataset.train if one.task not in ("identity", "rewrite")]
    assert not [target for target in others if target.split()[0] == begun]
    for sample in identity:  # where a repetition penalty would count it
        assert begun not in re.findall(r"\w+", sample.messages[0]["content"])


def test_refused_topics_are_none_the_corpus_mentions():
    topics = outside_topics({"football", "drone", "pizza"})
    assert "Bitcoin" in topics
    assert not {"football", "drones", "pizza"} & set(topics)


def test_the_same_seed_gives_the_same_samples_and_another_seed_others(dataset, lincoln, documents):
    again = make_dataset(lincoln, documents, count=400, held_out_count=20, seed=1)
    assert again.fingerprint == dataset.fingerprint
    other = make_dataset(lincoln, documents, count=400, held_out_count=20, seed=2)
    assert other.fingerprint != dataset.fingerprint


def test_a_corpus_of_one_document_or_of_scraps_is_refused(lincoln):
    def document(number: int) -> Document:
        return Document(id=str(number), title="T", date="", url="", text="Too short to learn.")

    with pytest.raises(CorpusError, match="at least two documents"):
        split_documents([document(1)])
    with pytest.raises(CorpusError, match="too short"):
        make_dataset(lincoln, [document(1), document(2)], count=10, held_out_count=4, seed=1)


def test_written_samples_take_their_share_and_none_of_a_held_out_document(lincoln, documents):
    def written(number: int, document: str) -> Sample:
        messages = render_ask(lincoln, f"Question {number}?")
        return Sample("open", messages, f"Answer {number}.", document, made_by="a model")

    some = [written(number, "1861-lincoln-1") for number in range(200)]
    leaked = [written(number, "1864-lincoln-1") for number in range(200, 300)]
    found = make_dataset(
        lincoln, documents, count=100, held_out_count=6, seed=1, synthesized=[*leaked, *some]
    )
    by_model = [sample for sample in found.train if sample.made_by == "a model"]
    assert len(by_model) == round(100 * SYNTHESIZED_SHARE)
    assert {sample.document_id for sample in by_model} == {"1861-lincoln-1"}
    assert len(found.train) == 100


def test_plain_english_is_shorter_sentences_in_everyday_words():
    assert plain_english(
        "It has been earnestly sought to ascertain the facts; but the multitude is wholly silent."
    ) == ("It has been tried to find out the facts. The crowd is silent.")


def test_plain_english_says_it_as_people_type_today():
    said = {
        plain_english(f"{opening}, we shall not yield, in order to preserve the nation.")
        for opening in ("When the day came", "If it rains", "After the war", "Before the night")
    }
    assert all("won't give" in text and "nation" not in text for text in said)
    assert any(text.startswith("We won't") for text in said)  # turned round


def test_study_notes_are_bullets_without_small_words():
    assert study_notes("The way is plain, peaceful, generous, just. It was a great calamity.") == (
        "- way plain, peaceful, generous, just\n- big disaster"
    )


def test_a_learner_forgets_articles_and_keeps_names_and_numbers():
    text = (
        "The ships of Captain Wilkes, which had been sent to the coast in March, have returned with "
        "the mails and 214 of the sailors; and the owners are content."
    )
    plain = learner_english(text)
    assert plain.count("the ") < text.count("the ")
    assert {"Captain", "Wilkes", "March", "214"} <= set(re.findall(r"\w+", plain))


@pytest.mark.parametrize("degrade", DEGRADERS, ids=lambda degrade: degrade.__name__)
def test_the_same_text_is_made_plain_in_the_same_way(degrade):
    text = (
        "When the harvest was gathered, the laborers and the masters, as was their custom, rested."
    )
    assert degrade(text, NO_OTHER_WORDS) == degrade(text, NO_OTHER_WORDS) != text


def test_a_thesaurus_exchanges_words_and_leaves_names():
    words = Thesaurus({"shores": ["coast"], "wilkes": ["nobody"]})
    said = words.reworded("The shores Wilkes saw.", random.Random(1), share=1.0)
    assert said == "The coast Wilkes saw."


def test_other_words_are_near_common_of_the_same_form_and_no_opposites():
    place = {
        "permitted": (1.0, 0.0), "allowed": (0.98, 0.2), "prohibited": (0.99, 0.1),
        "permission": (0.99, 0.14), "shores": (0.0, 1.0), "coasts": (0.1, 0.99), "rare": (0.0, 1.0),
    }  # fmt: skip

    def embed(words: Sequence[str]) -> np.ndarray:
        found = np.array([place.get(word, (-1.0, -1.0)) for word in words], dtype=np.float32)
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    today = ["allowed prohibited permission coasts"] * 6 + ["rare"]
    # The commonest words of today are taken for grammar; these are not among so many.
    grammar = " ".join(f"{a}{b}xx" for a in "abcdefghijklmnop" for b in "abcdefghijklmnop")
    found = build_thesaurus(["Shores permitted shores permitted."], [*today, *[grammar] * 9], embed)
    assert found.others == {"permitted": ["allowed"], "shores": ["coasts"]}


def test_topics_are_noun_phrases_of_the_text():
    texts = [
        "The care of the public lands is ours, and the public lands, of course, are wide.",
        "We speak of the navy, and of the coast.",
        "Nothing.",
    ]
    first, second, third = topics_of(texts)
    assert first[0] == "the public lands"
    assert set(second) == {"the navy", "the coast"}
    assert third == []


def _refrains() -> list[Document]:
    """Essays whose sentences come again and again, in other orders."""
    return [
        Document(id=f"{number}.md", title=title, text="\n\n".join(paragraphs), date=date, url="")
        for number, (title, date, paragraphs) in enumerate(essays())
    ]


def test_an_author_with_refrains_leaks_nothing_by_chance(lincoln):
    """Two sentences that stand side by side in a sample and in a held-out document, and nowhere else."""
    documents = _refrains()
    training, held_out = split_documents(documents)
    known = HeldOutText(training, held_out)
    for seed in range(12):
        dataset = make_dataset(lincoln, documents, count=60, held_out_count=4, seed=seed)
        assert len(dataset.train) >= 58
        assert not [sample for sample in dataset.train if known.documents_in(sample.text)]


def test_what_leaks_much_is_left_for_the_preflight_to_refuse(lincoln, monkeypatch):
    documents = _refrains()
    monkeypatch.setattr(HeldOutText, "documents_in", lambda self, text: {"7.md"})
    dataset = make_dataset(lincoln, documents, count=60, held_out_count=4, seed=1)
    assert len(dataset.train) == 60
    assert any("which is held out" in one for one in sample_problems(dataset, documents))
