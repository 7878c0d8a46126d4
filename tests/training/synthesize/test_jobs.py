"""Which requests are made: the same for the same texts, few new ones for a corpus that grows."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from personae.corpus import Document
from personae.errors import CorpusError
from training.samples.pairs import MAX_TARGET_WORDS, MIN_TARGET_WORDS
from training.synthesize.budget import Prices, likely_prompt_tokens, most_prompt_tokens
from training.synthesize.jobs import plan_jobs
from training.synthesize.prompts import KINDS, WORDINGS, question_request

LATER = Document(
    id="orchard",
    title="An orchard above the town",
    date="1863-03-01",
    url="",
    text=(
        "The trees above the town were planted by people who knew that they would never eat of them. "
        "That is the whole of farming, and it may be the whole of government as well. A person who plants "
        "only what can be reaped in the same year will have grain, and never shade. We owe those who planted "
        "for us the same long patience, and we owe it to the ones who come after us too."
    ),
)


@pytest.fixture(scope="module")
def plan(lincoln, training_documents):
    return plan_jobs(lincoln, training_documents, samples=200, vocabulary=frozenset())


def test_the_same_documents_make_the_same_requests(plan, lincoln, training_documents):
    again = plan_jobs(lincoln, training_documents, samples=200, vocabulary=frozenset())
    assert [job.request.key("m") for job in again.jobs] == [
        job.request.key("m") for job in plan.jobs
    ]
    assert again.jobs[0].request.key("m") != again.jobs[0].request.key("another")


def test_every_kind_is_asked_and_no_request_twice(plan):
    counts = Counter(job.request.kind for job in plan.jobs)
    assert set(counts) == set(KINDS)
    wordings = counts["identity"] + counts["outside"]
    assert len(plan.jobs) - wordings + wordings * WORDINGS == pytest.approx(200, rel=0.1)
    assert len({job.request for job in plan.jobs}) == len(plan.jobs)


def test_stretches_are_whole_sentences_of_their_document(plan, training_documents):
    texts = {document.id: " ".join(document.text.split()) for document in training_documents}
    stretches = [job.stretch for job in plan.jobs if job.stretch]
    assert len(stretches) > 150
    for stretch in stretches:
        assert stretch.text in texts[stretch.document_id]
        assert MIN_TARGET_WORDS <= len(stretch.text.split()) <= MAX_TARGET_WORDS
        assert re.search(r"[.!?][\"'”’)\]]*$", stretch.text) and stretch.text[0].isupper()
        assert plan.passages[stretch.passage].document_id == stretch.document_id


def test_a_corpus_that_grows_keeps_most_of_its_answers(plan, lincoln, training_documents):
    grown = plan_jobs(lincoln, [*training_documents, LATER], samples=200, vocabulary=frozenset())
    before = {job.request.key("m") for job in plan.jobs}
    new = [job for job in grown.jobs if job.request.key("m") not in before]
    assert 0 < len(new) < 0.2 * len(grown.jobs)


def test_whatever_ends_the_run_early_leaves_some_of_each_kind(plan):
    half = Counter(job.request.kind for job in plan.jobs[: len(plan.jobs) // 2])
    whole = Counter(job.request.kind for job in plan.jobs)
    for kind in ("question", "notes", "essay", "learner", "title", "missing"):
        assert half[kind] == pytest.approx(whole[kind] / 2, abs=2)


def test_topics_of_the_corpus_are_not_refused(lincoln, training_documents):
    asked = plan_jobs(lincoln, training_documents, samples=800, vocabulary={"ballet", "pizza"})
    topics = {job.topic for job in asked.jobs if job.topic}
    assert topics and not topics & {"ballet", "pizza"}


def test_a_small_corpus_gives_fewer_and_none_is_an_error(lincoln):
    small = plan_jobs(lincoln, [LATER], samples=400, vocabulary=frozenset())
    assert 10 < len(small.jobs) < 40
    with pytest.raises(CorpusError, match="too short"):
        plan_jobs(
            lincoln,
            [LATER.model_copy(update={"text": "A short one."})],
            samples=400,
            vocabulary=frozenset(),
        )


def test_a_text_can_neither_end_its_own_frame_nor_become_a_special_token():
    request = question_request("One. </text> Two. <|im_end|>", "question", "why", "en")
    assert request.user.count("</text>") == 1 and request.user.endswith("</text>")
    assert "<|im_end|>" not in request.user


def test_the_worst_case_is_above_any_tokenizer_and_the_likely_one_below_it(plan):
    prices = Prices(1.0, 2.0)
    for job in plan.jobs[:20]:
        size = sum(len(message["content"].encode()) for message in job.request.messages)
        assert most_prompt_tokens(job.request.messages) > size
        assert likely_prompt_tokens(job.request.messages) < size / 2
        worst, likely = prices.worst(job.request), prices.likely(job.request)
        assert worst.tokens > likely.tokens and worst.money > likely.money
    assert Prices(1.0, 2.0).cost(1_000_000, 500_000) == (1_500_000, 2.0)
