"""Finding the passages a question leans on, off the event loop.

In: a persona and a question, with the conversation before it. Out: passages cut for the prompt, the citations
that go with them, and whether the writing covers the question at all.

    question ─ follow_up → searchable text ─ QueryVectors (embedder, a batch at a time) ─┐
                                                       search.rank → spread → Found  ←───┘

Everything runs in one thread of its own: it never holds the event loop, one search at a time leaves the
second core to the engine, and a snapshot is closed by the thread that searched it, so never under a search.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from personae.corpus import Passage, first_words
from personae.errors import CorpusError, ModelError
from personae.persona import Cast, Persona
from personae.prompt import Message, PromptPassage
from personae.wire import Citation
from serving.admission import Effort
from serving.retrieval.embedder import TextEmbedder
from serving.retrieval.follow_up import standalone
from serving.retrieval.query_vectors import QueryVectors
from serving.retrieval.relevance import FLOOR, Evidence
from serving.retrieval.search import Filters, Reranker, nearest_sentences, rank, spread
from serving.retrieval.snapshot import Snapshot, current_snapshot, open_snapshot

log = logging.getLogger(__name__)

_EXCERPT_WORDS = 40
_REMEMBERED = 256
_STYLE_QUERY_WORDS = 200
_LOOK_SECONDS = 2.0


@dataclass(frozen=True)
class Found:
    """Passages for the prompt and their citations, in the same order.

    Attributes:
        relevance: how likely it is that the writing covers the question, in [0, 1].
        covered: whether that is enough to answer; true where there is nothing to judge by.
    """

    passages: list[PromptPassage]
    citations: list[Citation]
    relevance: float = 1.0
    covered: bool = True


class Retriever:
    """Searches the current snapshot of each persona.

    Args:
        reranker: None leaves the order as it was fused.
    """

    def __init__(
        self,
        *,
        cast: Cast,
        indexes: Path,
        embedder: TextEmbedder,
        reranker: Reranker | None = None,
    ) -> None:
        self._cast = cast
        self._indexes = indexes
        self._embedder = embedder
        self._reranker = reranker
        self._snapshots: dict[str, Snapshot] = {}
        self._folders: dict[str, Path] = {}
        self._problems: dict[str, str] = {}
        self._opening: asyncio.Future[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="retrieval")
        self._vectors = QueryVectors(embedder, self._thread)
        self._remembered: OrderedDict[tuple[object, ...], Found] = OrderedDict()

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def open(self) -> None:
        """Open the snapshots and load the embedder, once; further calls wait for the first.

        A damaged snapshot or embedder is told (`problem`), not fatal: answers go without citations.
        """
        if self._opening is None:
            self._opening = asyncio.get_running_loop().run_in_executor(self._thread, self._open)
        await asyncio.shield(self._opening)

    async def refresh(self) -> list[str]:
        """Take up snapshots that were put in place since, and let go those of personas that left the cast;
        searches under way end on the old ones.

        Returns:
            the personas whose snapshot changed.
        """
        if self._opening is None:
            await self.open()
            return []
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._refresh)

    def passages(self, persona: str) -> int:
        """Indexed passages of a persona; 0 when there is no usable index."""
        return len(self._snapshots[persona]) if persona in self._snapshots else 0

    def problem(self, persona: str) -> str | None:
        return self._problems.get(persona)

    async def search(
        self,
        persona: Persona,
        question: str,
        *,
        effort: Effort = Effort.FULL,
        history: Sequence[Message] = (),
        filters: Filters | None = None,
    ) -> Found:
        """The passages for a question; empty when nothing is indexed.

        Args:
            effort: NO_RERANK leaves the reranker out, SHORT finds half as many besides.
            history: earlier turns, oldest first, for what a follow-up question leaves unsaid.
        """
        if persona.id not in self._snapshots or persona.retrieval.passages == 0:
            return Found([], [])
        text = standalone(question, history, persona.language)
        folder = self._folders.get(persona.id)
        key = (persona.id, folder, persona.retrieval, text, effort, filters)
        if key in self._remembered:
            self._remembered.move_to_end(key)
            return self._remembered[key]
        vector = await self._vectors.of(text)
        found = await asyncio.get_running_loop().run_in_executor(
            self._thread, self._search, persona, text, vector, effort, filters
        )
        self._remembered[key] = found
        while len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)
        return found

    async def style(self, persona: Persona, text: str, limit: int = 2) -> list[str]:
        """Passages of the writing near a text, to show a model without an adapter how they are written."""
        if persona.id not in self._snapshots or limit == 0:
            return []
        near = first_words(text, _STYLE_QUERY_WORDS)
        vector = await self._vectors.of(near)
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, self._style, persona, near, vector, limit
        )

    async def named(self, persona: Persona, names: Sequence[str]) -> list[PromptPassage | None]:
        """Passages by `Citation.passage`, as the prompt shows them; None for one that is gone or changed."""
        if not names or persona.id not in self._snapshots:
            return [None] * len(names)
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, self._named, persona, names
        )

    # -- in the thread -----------------------------------------------------------------------------

    def _open(self) -> None:
        for persona in self._cast:
            self._open_one(persona, current_snapshot(self._indexes, persona))
        if not self._snapshots:
            return
        try:
            self._embedder.load()
            self._embedder.embed_queries(["warm up"])
        except ModelError as err:
            log.error("answers carry no citations: %s", err)
            self._problems |= dict.fromkeys(self._snapshots, str(err))
            self._snapshots.clear()

    def _open_one(self, persona: str, folder: Path | None) -> bool:
        """Whether this snapshot is in use now; a bad one leaves the one before in use."""
        if folder is None:
            return False
        try:
            opened = open_snapshot(folder, self._embedder)
        except CorpusError as err:
            before = self._snapshots.get(persona)
            kept = "" if before is None else " The index before it stays in use."
            log.error("%s: %s%s", persona, err, kept)
            self._problems[persona] = f"{err}{kept}"
            self._folders[persona] = folder  # tried; not again until it changes
            return False
        before = self._snapshots.get(persona)
        self._snapshots[persona], self._folders[persona] = opened, folder
        self._problems.pop(persona, None)
        if before is not None:
            before.close()
        return True

    def _refresh(self) -> list[str]:
        changed = []
        for persona in [name for name in self._folders if name not in self._cast]:
            self._let_go(persona)
        for persona in self._cast:
            folder = current_snapshot(self._indexes, persona)
            if folder != self._folders.get(persona) and self._open_one(persona, folder):
                changed.append(persona)
        return changed

    def _let_go(self, persona: str) -> None:
        del self._folders[persona]
        self._problems.pop(persona, None)
        snapshot = self._snapshots.pop(persona, None)
        if snapshot is not None:
            snapshot.close()

    def _search(
        self,
        persona: Persona,
        question: str,
        vector: np.ndarray,
        effort: Effort,
        filters: Filters | None,
    ) -> Found:
        snapshot = self._snapshots.get(persona.id)
        if snapshot is None:  # it left the cast meanwhile
            return Found([], [])
        settings = persona.retrieval
        wanted = max(1, settings.passages // 2) if effort is Effort.SHORT else settings.passages
        reranker = self._reranker if effort is Effort.FULL else None
        ranked = rank(
            snapshot, question, vector, persona.language, filters=filters, reranker=reranker
        )
        chosen = spread(snapshot, ranked, wanted)
        return _found(
            [passage for _, passage in chosen],
            nearest_sentences(snapshot, chosen, vector),
            ranked.evidence,
            settings.passage_words,
            settings.floor,
        )

    def _named(self, persona: Persona, names: Sequence[str]) -> list[PromptPassage | None]:
        snapshot, words = self._snapshots.get(persona.id), persona.retrieval.passage_words
        if snapshot is None:
            return [None] * len(names)
        found = (snapshot.passage_named(name) for name in names)
        return [None if passage is None else _shown(passage, words) for passage in found]

    def _style(self, persona: Persona, text: str, vector: np.ndarray, limit: int) -> list[str]:
        snapshot = self._snapshots.get(persona.id)
        if snapshot is None:
            return []
        ranked = rank(snapshot, text, vector, persona.language)
        words = persona.retrieval.passage_words
        return [first_words(p.text, words) for _, p in spread(snapshot, ranked, limit)]


async def keep_refreshed(retriever: Retriever) -> None:
    """Take up new snapshots as they come, until cancelled."""
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        try:
            for persona in await retriever.refresh():
                log.info("%s: a new index is in use", persona)
        except OSError as err:
            log.error("new indexes can't be looked for: %s", err)


def _found(
    passages: Sequence[Passage],
    quotes: Sequence[str],
    evidence: Evidence,
    passage_words: int,
    floor: float | None,
) -> Found:
    if not evidence.asks_something:  # "Hello!" is answered, and from no source
        return Found([], [])
    shown = [_shown(passage, passage_words) for passage in passages]
    citations = [
        Citation(
            number=number,
            title=passage.title,
            section=passage.section,
            date=passage.date,
            url=passage.url,
            excerpt=first_words(passage.text, _EXCERPT_WORDS),
            quote=quote,
            passage=passage.name,
        )
        for number, (passage, quote) in enumerate(zip(passages, quotes, strict=True), start=1)
    ]
    covered = evidence.covers(FLOOR if floor is None else floor)
    return Found(shown, citations, evidence.relevance, covered)


def _shown(passage: Passage, words: int) -> PromptPassage:
    return PromptPassage(
        title=passage.title, date=passage.date, text=first_words(passage.text, words)
    )
