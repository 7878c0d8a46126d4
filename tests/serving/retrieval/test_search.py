"""Which passages are found, in which order, and whether they cover the question."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

from personae.corpus import Document, write_corpus
from serving.retrieval.build import build_index
from serving.retrieval.lexical import lexical_scores
from serving.retrieval.search import Filters, rank, spread
from serving.retrieval.snapshot import current_snapshot, open_snapshot
from tests.fakes.artefacts import WordEmbedder

TOPICS = {
    "railroads": "The railroads charge every shipper alike, and no secret rebate favours the great.",
    "forests": "Forests keep the water of the hills, and whoever wastes them wastes the rivers.",
    "navy": "A navy of armored ships guards the harbors and the commerce of the coast.",
    "labor": "Labor stands before capital, and capital is only the fruit of labor.",
    "mail": "The post office carries letters to the western territories at a loss.",
    "silver": "Silver coin and paper notes were exchanged at the treasury without delay.",
}


def document(name: str, text: str, date: str, url: str = "") -> Document:
    return Document(id=name, title=name.title(), date=date, url=url, text=text)


DOCUMENTS = [
    document(name, f"{text}\n\n{text.replace('.', ' still.')}", f"18{60 + number}-12-01")
    for number, (name, text) in enumerate(TOPICS.items())
]


@contextlib.contextmanager
def opened(tmp_path, documents):
    corpus, embedder = tmp_path / "corpora" / "lincoln", WordEmbedder()
    write_corpus(corpus, "lincoln", documents, sources=["a test"], created_at="2026-01-01")
    build_index("lincoln", corpus, tmp_path / "indexes", embedder)
    folder = current_snapshot(tmp_path / "indexes", "lincoln")
    with contextlib.closing(open_snapshot(folder, embedder)) as snapshot:
        yield snapshot


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("indexed"), DOCUMENTS) as snapshot:
        yield snapshot


def ranked(snapshot, question, **settings):
    vector = WordEmbedder().embed_queries([question])[0]
    return rank(snapshot, question, vector, "en", **settings)


def found(snapshot, question, limit=3, **settings):
    best = spread(snapshot, ranked(snapshot, question, **settings), limit)
    return [passage.document_id for _, passage in best]


@pytest.mark.parametrize(
    ("question", "best"),
    [
        ("Do railroads charge every shipper a secret rebate?", "railroads"),
        ("Why do forests keep the water of the rivers?", "forests"),
        ("which armored ships guard the harbors", "navy"),
        ("Is capital the fruit of labor?", "labor"),
    ],
)
@pytest.mark.parametrize("lexical_weight", [0.0, 0.5, 1.0])
def test_each_way_of_looking_finds_what_the_question_names(
    snapshot, question, best, lexical_weight
):
    assert found(snapshot, question, lexical_weight=lexical_weight)[0] == best


def test_words_are_found_by_their_stems_and_in_their_own_form_first(snapshot):
    scores = lexical_scores(snapshot, "the railroad charged shippers", "en")
    (best,) = snapshot.passages([max(scores, key=scores.__getitem__)])
    assert best.document_id == "railroads"
    exact = max(lexical_scores(snapshot, "railroads", "en").values())
    assert exact > max(lexical_scores(snapshot, "railroad", "en").values())


def test_neighbouring_words_count_more_together(tmp_path):
    texts = {
        "together": "The secretary of state answered the old question about money.",
        "apart": "The secretary answered. The question of old money in any state was about it.",
    }
    documents = [document(name, text, "1862") for name, text in texts.items()]
    with opened(tmp_path, documents) as snapshot:
        scores = lexical_scores(snapshot, "secretary of state", "en")
        best = max(scores, key=scores.__getitem__)
        assert snapshot.passages([best])[0].document_id == "together"


@pytest.mark.parametrize(
    ("filters", "allowed"),
    [
        (Filters(since="1864"), {"mail", "silver"}),
        (Filters(until="1860"), {"railroads"}),
        (Filters(since="1862-12-01", until="1863-12-01"), {"navy", "labor"}),
        (Filters(source="fores"), {"forests"}),
        (Filters(since="1999"), set()),
    ],
)
def test_filters_leave_only_what_they_allow(snapshot, filters, allowed):
    assert set(found(snapshot, "railroads forests navy labor", 6, filters=filters)) == allowed


def test_neighbours_of_one_page_do_not_crowd_out_other_pages(tmp_path):
    long = "\n\n".join(
        " ".join(f"The navy has ships number {n} and {m}, and harbors." for m in range(12))
        for n in range(8)
    )
    documents = [document("long", long, "1862"), *DOCUMENTS]
    with opened(tmp_path, documents) as snapshot:
        best = spread(snapshot, ranked(snapshot, "How many ships has the navy?"), 4)
        numbers = [passage.number for _, passage in best if passage.document_id == "long"]
        assert len(numbers) <= 2 and "navy" in [p.document_id for _, p in best]
        assert all(abs(a - b) > 1 for a in numbers for b in numbers if a != b)


def test_a_reranker_orders_the_best_and_only_those(snapshot):
    seen = []

    def backwards(question, texts):
        seen.append((question, list(texts)))
        return -np.arange(len(texts), dtype=np.float32)[::-1]

    plain = ranked(snapshot, "Why should we keep forests?")
    again = ranked(snapshot, "Why should we keep forests?", reranker=backwards)
    ((question, texts),) = seen
    assert question == "Why should we keep forests?" and len(texts) <= 20
    assert texts[0].startswith("Forests\n")
    assert again.rows.tolist() == plain.rows.tolist()[::-1]


@pytest.mark.parametrize(
    "question", ["", "?!", "👍", "\x00", "שלום עולם", "東京へ行く", '"quoted" AND OR NOT (']
)
def test_any_text_can_be_asked(snapshot, question):
    """Nothing in a question is taken for FTS5's own language."""
    ranked(snapshot, question)


def test_a_covered_question_has_more_evidence_than_a_foreign_one(snapshot):
    covered = ranked(snapshot, "Do the railroads give secret rebates?").evidence
    foreign = ranked(snapshot, "Which lipstick suits a giraffe?").evidence
    assert covered.relevance > foreign.relevance
    assert covered.covers() and not foreign.covers()


@pytest.mark.parametrize("question", ["Hello!", "Who are you?", "Thanks, good morning"])
def test_small_talk_is_not_for_the_writing_to_cover(snapshot, question):
    assert ranked(snapshot, question).evidence.covers()


def test_with_many_passages_frequent_words_are_left_out_and_the_rare_ones_kept(
    snapshot, monkeypatch
):
    from serving.retrieval import lexical

    monkeypatch.setattr(lexical, "POSTINGS", 4)
    asked = []
    original = snapshot.match
    monkeypatch.setattr(
        snapshot, "match", lambda query, *a, **k: asked.append(query) or original(query, *a, **k)
    )
    scores = lexical_scores(snapshot, "the secret of the railroads and the rivers", "en")
    assert scores and '"the"' not in asked[0] and '"secret"' in asked[0]
