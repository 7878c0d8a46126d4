"""Vectors of questions, several at a time.

While one batch is in the embedder, whoever asks meanwhile is put in the next one, so that a burst of
questions costs a few calls and nobody waits for a batch to fill. A question asked before is not embedded
again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from serving.retrieval.embedder import TextEmbedder

_BATCH = 16
_REMEMBERED = 512


class QueryVectors:
    """Asks the embedder in a thread.

    Args:
        thread: where the embedder runs; it outlives this.
    """

    def __init__(self, embedder: TextEmbedder, thread: ThreadPoolExecutor) -> None:
        self._embedder = embedder
        self._thread = thread
        self._waiting: dict[str, asyncio.Future[np.ndarray]] = {}
        self._remembered: OrderedDict[str, np.ndarray] = OrderedDict()
        self._worker: asyncio.Task[None] | None = None

    async def of(self, text: str) -> np.ndarray:
        """(dim,) float32, L2-normalised.

        Raises:
            ModelError: the embedder can't be loaded.
        """
        if text in self._remembered:
            self._remembered.move_to_end(text)
            return self._remembered[text]
        future = self._waiting.get(text)
        if future is None:
            future = self._waiting[text] = asyncio.get_running_loop().create_future()
            if self._worker is None or self._worker.done():
                self._worker = asyncio.create_task(self._work(), name="query-vectors")
        # Two may ask the same at once, and one of them may leave.
        return await asyncio.shield(future)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch = list(self._waiting)[:_BATCH]
            try:
                vectors = await loop.run_in_executor(
                    self._thread, self._embedder.embed_queries, batch
                )
            except Exception as err:
                for text in batch:
                    future = self._waiting.pop(text)
                    future.set_exception(err)
                    future.exception()  # told to those who wait; nobody may
                continue
            for text, vector in zip(batch, vectors, strict=True):
                self._remembered[text] = vector
                self._waiting.pop(text).set_result(vector)
            while len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)
