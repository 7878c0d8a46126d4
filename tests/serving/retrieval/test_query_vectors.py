"""Questions are embedded in batches, once each, and off the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from personae.errors import ModelError
from serving.retrieval.query_vectors import QueryVectors
from tests.fakes.artefacts import WordEmbedder


class GatedEmbedder(WordEmbedder):
    """Waits in each call until it is let go, and remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.batches: list[list[str]] = []
        self.error: Exception | None = None

    def embed_queries(self, texts: Sequence[str]) -> np.ndarray:
        self.batches.append(list(texts))
        assert self.gate.wait(10)
        if self.error is not None:
            raise self.error
        return super().embed_queries(texts)


@pytest.fixture
def embedder():
    return GatedEmbedder()


@pytest.fixture
def vectors(embedder):
    with ThreadPoolExecutor(max_workers=1) as thread:
        yield QueryVectors(embedder, thread)
        embedder.gate.set()


async def test_who_asks_while_a_batch_is_under_way_shares_the_next_one(vectors, embedder):
    first = asyncio.create_task(vectors.of("one"))
    while not embedder.batches:
        await asyncio.sleep(0.001)
    others = [asyncio.create_task(vectors.of(text)) for text in ("two", "three", "two")]
    await asyncio.sleep(0.01)
    embedder.gate.set()
    alone, *found = await asyncio.gather(first, *others)
    assert embedder.batches == [["one"], ["two", "three"]]
    assert np.array_equal(found[0], found[2]) and not np.array_equal(found[0], alone)


async def test_a_question_asked_before_is_not_embedded_again(vectors, embedder):
    embedder.gate.set()
    assert np.array_equal(await vectors.of("again"), await vectors.of("again"))
    assert embedder.batches == [["again"]]


async def test_one_who_leaves_takes_nothing_from_the_others(vectors, embedder):
    leaving = asyncio.create_task(vectors.of("shared"))
    staying = asyncio.create_task(vectors.of("shared"))
    await asyncio.sleep(0.01)
    leaving.cancel()
    embedder.gate.set()
    assert (await staying).shape == (await vectors.of("shared")).shape


async def test_an_embedder_that_fails_is_told_to_those_who_wait_and_asked_again(vectors, embedder):
    embedder.error = ModelError("The embedder is gone.")
    embedder.gate.set()
    with pytest.raises(ModelError, match="gone"):
        await vectors.of("question")
    embedder.error = None
    assert (await vectors.of("question")).ndim == 1
