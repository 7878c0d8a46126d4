"""Finding the passages a question leans on, off the event loop.

In: a persona and a question. Out: passages with their similarity, cut for the prompt, and the
citations that go with them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from personae.corpus import first_words
from personae.errors import CorpusError, ModelError
from personae.persona import Cast, Persona
from personae.prompt import PromptPassage
from personae.wire import Citation
from serving.admission import Effort
from serving.retrieval.embedder import TextEmbedder
from serving.retrieval.snapshot import Hit, Snapshot, current_snapshot, open_snapshot

log = logging.getLogger(__name__)

_EXCERPT_WORDS = 40
_CANDIDATES_PER_PASSAGE = 4


@dataclass(frozen=True)
class Found:
    """Passages for the prompt and their citations, in the same order."""

    passages: list[PromptPassage]
    citations: list[Citation]


class Retriever:
    """Searches the current snapshot of each persona.

    Embedding and FAISS run in one thread of their own: they never hold the event loop, and one
    search at a time leaves the second core to the engine.
    """

    def __init__(self, *, cast: Cast, indexes: Path, embedder: TextEmbedder) -> None:
        self._cast = cast
        self._indexes = indexes
        self._embedder = embedder
        self._snapshots: dict[str, Snapshot] = {}
        self._problems: dict[str, str] = {}
        self._opening: asyncio.Future[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="retrieval")

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def open(self) -> None:
        """Open the snapshots and load the embedder, once; further calls wait for the first.

        A damaged snapshot or embedder is told (`problem`), not fatal: answers go without citations.
        """
        if self._opening is None:
            self._opening = asyncio.get_running_loop().run_in_executor(self._thread, self._open)
        await asyncio.shield(self._opening)

    def passages(self, persona: str) -> int:
        """Indexed passages of a persona; 0 when there is no usable index."""
        return len(self._snapshots[persona]) if persona in self._snapshots else 0

    def problem(self, persona: str) -> str | None:
        return self._problems.get(persona)

    async def search(
        self, persona: Persona, question: str, *, effort: Effort = Effort.FULL
    ) -> Found:
        """The passages for a question; empty when nothing is indexed or nothing is near enough.

        Args:
            effort: SHORT finds half as many.
        """
        snapshot = self._snapshots.get(persona.id)
        if snapshot is None or persona.retrieval.passages == 0:
            return Found([], [])
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, self._search, snapshot, persona, question, effort
        )

    def _open(self) -> None:
        for persona in self._cast:
            folder = current_snapshot(self._indexes, persona)
            if folder is None:
                continue
            try:
                self._snapshots[persona] = open_snapshot(folder, self._embedder)
            except CorpusError as err:
                log.error("%s answers without citations: %s", persona, err)
                self._problems[persona] = str(err)
        if not self._snapshots:
            return
        try:
            self._embedder.load()
            self._embedder.embed(["warm up"])
        except ModelError as err:
            log.error("answers carry no citations: %s", err)
            self._problems |= dict.fromkeys(self._snapshots, str(err))
            self._snapshots.clear()

    def _search(self, snapshot: Snapshot, persona: Persona, question: str, effort: Effort) -> Found:
        query = self._embedder.embed([question])
        settings = persona.retrieval
        wanted = settings.passages
        if effort is Effort.SHORT:
            wanted = max(1, wanted // 2)
        hits = snapshot.search(query, wanted * _CANDIDATES_PER_PASSAGE)
        near = [hit for hit in hits if hit.similarity >= settings.min_similarity]
        return _found(_spread(near, wanted), settings.passage_words)


def _spread(hits: Sequence[Hit], limit: int) -> list[Hit]:
    """The best hits without direct neighbours of one page, which mostly repeat each other."""
    chosen: list[Hit] = []
    for hit in hits:
        neighbour = any(
            other.passage.document_id == hit.passage.document_id
            and abs(other.passage.number - hit.passage.number) <= 1
            for other in chosen
        )
        if not neighbour:
            chosen.append(hit)
        if len(chosen) == limit:
            break
    return chosen


def _found(hits: Sequence[Hit], passage_words: int) -> Found:
    passages = [
        PromptPassage(
            title=hit.passage.title,
            date=hit.passage.date,
            text=first_words(hit.passage.text, passage_words),
        )
        for hit in hits
    ]
    citations = [
        Citation(
            number=number,
            title=hit.passage.title,
            date=hit.passage.date,
            url=hit.passage.url,
            excerpt=first_words(hit.passage.text, _EXCERPT_WORDS),
        )
        for number, hit in enumerate(hits, start=1)
    ]
    return Found(passages, citations)
