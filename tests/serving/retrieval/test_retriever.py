"""The search as the gateway uses it: off the loop, on the current snapshot, with the conversation in mind."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from personae.corpus import Document, write_corpus
from serving.admission import Effort
from serving.retrieval.build import build_index
from serving.retrieval.retriever import Retriever
from serving.retrieval.search import Filters
from serving.retrieval.snapshot import PASSAGES, current_snapshot
from tests.conftest import with_floor
from tests.fakes.artefacts import DOCUMENTS, WordEmbedder, write_test_corpus

RAILROADS = "What did you say of railroads and a secret rebate?"


@pytest.fixture
def home(tmp_path):
    write_test_corpus(tmp_path / "corpora" / "lincoln", "lincoln")
    build(tmp_path)
    return tmp_path


def build(home):
    build_index("lincoln", home / "corpora" / "lincoln", home / "indexes", WordEmbedder())


def write_other_corpus(home):
    documents = [
        Document(
            id="new", title="New", date="1905", url="", text="A new word on railroads. And more."
        ),
        *DOCUMENTS,
    ]
    write_corpus(
        home / "corpora" / "lincoln", "lincoln", documents, sources=["a test"], created_at="2026"
    )


@contextlib.asynccontextmanager
async def retriever_over(home, cast, embedder=None, **settings):
    retriever = Retriever(
        cast=cast, indexes=home / "indexes", embedder=embedder or WordEmbedder(), **settings
    )
    try:
        await retriever.open()
        yield retriever
    finally:
        retriever.close()


async def test_passages_come_with_citations_in_the_same_order(home, cast):
    async with retriever_over(home, cast) as retriever:
        found = await retriever.search(cast["lincoln"], RAILROADS)
    assert [c.number for c in found.citations] == list(range(1, len(found.passages) + 1))
    assert found.citations[0].title == found.passages[0].title == "Message on railroads"
    assert found.citations[0].url == "https://example.org/1904"
    assert found.citations[0].quote == "No secret rebate may favour the great."
    assert found.covered and 0.0 <= found.relevance <= 1.0


async def test_a_foreign_question_is_not_covered(home, cast):
    async with retriever_over(home, cast) as retriever:
        lincoln = with_floor(cast["lincoln"], None)
        found = await retriever.search(lincoln, "Which lipstick suits giraffes?")
        told = await retriever.search(with_floor(lincoln, 0.0), "Which lipstick suits giraffes?")
    assert not found.covered and told.covered


async def test_without_an_index_nothing_is_judged(home, cast):
    async with retriever_over(home, cast) as retriever:
        found = await retriever.search(cast["pg"], RAILROADS)
    assert found.passages == [] and found.covered


async def test_a_follow_up_is_searched_with_what_it_follows(home, cast):
    history = [
        {"role": "user", "content": RAILROADS},
        {"role": "assistant", "content": "That it was wrong."},
    ]
    async with retriever_over(home, cast) as retriever:
        alone = await retriever.search(cast["lincoln"], "and why?")
        found = await retriever.search(cast["lincoln"], "and why?", history=history)
    assert found.passages[0].title == "Message on railroads"
    assert alone.passages == []


async def test_filters_limit_what_is_found(home, cast):
    async with retriever_over(home, cast) as retriever:
        found = await retriever.search(cast["lincoln"], RAILROADS, filters=Filters(until="1862"))
        lincoln = with_floor(cast["lincoln"], None)
        none = await retriever.search(lincoln, RAILROADS, filters=Filters(since="1999"))
    assert {citation.date for citation in found.citations} == {"1862-12-01"}
    assert none.citations == [] and not none.covered


async def test_a_short_effort_finds_half_and_asks_no_reranker(home, cast):
    asked = []

    def reranker(question, texts):
        asked.append(question)
        return [0.0] * len(texts)

    import numpy as np

    async with retriever_over(
        home, cast, reranker=lambda q, t: np.asarray(reranker(q, t), dtype=np.float32)
    ) as retriever:
        short = await retriever.search(cast["lincoln"], RAILROADS, effort=Effort.SHORT)
        plain = await retriever.search(cast["lincoln"], RAILROADS, effort=Effort.NO_RERANK)
        assert asked == []
        full = await retriever.search(cast["lincoln"], RAILROADS)
    assert asked == [RAILROADS]
    assert len(short.passages) == 1 < len(plain.passages) == len(full.passages)


async def test_the_same_question_is_searched_once(home, cast, monkeypatch):
    embedder = WordEmbedder()
    async with retriever_over(home, cast, embedder) as retriever:
        first = await retriever.search(cast["lincoln"], RAILROADS)
        before = embedder.embedded
        assert await retriever.search(cast["lincoln"], RAILROADS) is first
        assert embedder.embedded == before


async def test_a_new_snapshot_is_taken_up_and_answers_differ(home, cast):
    async with retriever_over(home, cast) as retriever:
        before = await retriever.search(cast["lincoln"], RAILROADS)
        assert await retriever.refresh() == []
        write_other_corpus(home)
        await asyncio.to_thread(build, home)
        assert await retriever.refresh() == ["lincoln"]
        after = await retriever.search(cast["lincoln"], RAILROADS)
        assert retriever.passages("lincoln") == 3
    assert len(after.citations) > len(before.citations)


async def test_a_damaged_new_snapshot_leaves_the_old_one_in_use(home, cast):
    async with retriever_over(home, cast) as retriever:
        write_other_corpus(home)
        await asyncio.to_thread(build, home)
        (current_snapshot(home / "indexes", "lincoln") / PASSAGES).unlink()
        assert await retriever.refresh() == []
        problem = retriever.problem("lincoln")
        assert "personae index build lincoln" in problem and "stays in use" in problem
        found = await retriever.search(cast["lincoln"], RAILROADS)
        assert found.citations and retriever.passages("lincoln") == 2
        await asyncio.to_thread(build, home)
        assert await retriever.refresh() == ["lincoln"] and retriever.problem("lincoln") is None


async def test_swapping_snapshots_under_load_drops_nothing(home, cast):
    """Eight clients ask without pause, new questions each, while the index is built anew three times."""
    answered, stop = 0, asyncio.Event()

    async with retriever_over(home, cast) as retriever:

        async def client(number):
            nonlocal answered
            count = 0
            while not stop.is_set():
                count += 1
                question = f"railroads and rebates, {number} times {count}?"
                found = await retriever.search(cast["lincoln"], question)
                assert found.citations
                answered += 1

        clients = [asyncio.create_task(client(number)) for number in range(8)]
        for _ in range(3):
            before = answered
            await asyncio.to_thread(build, home)
            assert await retriever.refresh() == ["lincoln"]
            while answered < before + 20:
                await asyncio.sleep(0.01)
        stop.set()
        await asyncio.gather(*clients)


async def test_style_passages_are_the_author_s_own_words(home, cast):
    async with retriever_over(home, cast) as retriever:
        near = await retriever.style(cast["lincoln"], "Our railroads must charge alike.", 1)
        assert await retriever.style(cast["pg"], "Anything.", 1) == []
    assert near[0].startswith("The railroads shall charge every shipper alike.")
