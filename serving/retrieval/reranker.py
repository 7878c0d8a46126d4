"""A cross-encoder that reads question and passage together, for those who have the time: optional.

In: a question and up to twenty texts. Out: a score each. Any model that sentence-transformers loads as a
`CrossEncoder`, fetched before (`personae models fetch cross-encoder/ms-marco-MiniLM-L-6-v2`).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from personae.errors import ModelError
from personae.weights import read_model_manifest

_BATCH = 20


class CrossEncoderReranker:
    """Loaded at the first call, safe to call from several threads.

    Args:
        folder: a fetched model.

    Raises:
        ModelError: there is none.
    """

    def __init__(self, folder: Path) -> None:
        self.id = read_model_manifest(folder).id
        self._folder = folder
        self._lock = threading.Lock()
        self._model: Any = None

    def __call__(self, question: str, texts: Sequence[str]) -> np.ndarray:
        """(len(texts),) float32, larger is better."""
        with self._lock:
            model = self._load()
            scores = model.predict(
                [(question, text) for text in texts], batch_size=_BATCH, show_progress_bar=False
            )
        return np.asarray(scores, dtype=np.float32).reshape(len(texts))

    def _load(self) -> Any:
        if self._model is None:
            from sentence_transformers import CrossEncoder

            try:
                model = CrossEncoder(str(self._folder), device="cpu", local_files_only=True)
            except (OSError, ValueError, RuntimeError) as err:
                raise ModelError(
                    f"The reranker in {self._folder} can't be loaded ({err}). "
                    f"Delete the folder and run `personae models fetch {self.id}`."
                ) from err
            if getattr(model, "num_labels", 1) != 1:
                raise ModelError(
                    f"{self.id} gives {model.num_labels} numbers for a pair; a reranker gives one. "
                    "Choose another for [retrieval] reranker in personae.toml."
                )
            self._model = model
        return self._model
