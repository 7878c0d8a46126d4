"""Text to vectors: the one module of this room, beside the vLLM plugin, that may import torch.

In: texts. Out: (n_texts, dim) float32, L2-normalised, so that an inner product is the cosine.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from personae.errors import ModelError
from personae.progress import Progress, silent
from personae.weights import read_model_manifest

_BATCH = 32
_PROGRESS_EVERY = 8 * _BATCH


class TextEmbedder(Protocol):
    """What the index and the search need. `weights_sha256` tells one embedder from another."""

    id: str
    weights_sha256: str

    def load(self) -> None: ...

    def embed(self, texts: Sequence[str], *, progress: Progress = silent) -> np.ndarray: ...


class Embedder:
    """A sentence-transformers model, loaded on first use and safe to call from several threads.

    Args:
        folder: a fetched model (`personae models fetch minilm`).
        threads: CPU threads of one call; 1 leaves the other cores to the engine.
    """

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        self._folder = folder
        self._threads = threads
        self._lock = threading.Lock()
        self._model: Any = None
        manifest = read_model_manifest(folder)
        self.id = manifest.id
        self.weights_sha256 = manifest.weights_sha256

    def load(self) -> None:
        """Load the weights now instead of at the first call.

        Raises:
            ModelError: the folder can't be loaded.
        """
        with self._lock:
            self._ensure_loaded()

    def embed(self, texts: Sequence[str], *, progress: Progress = silent) -> np.ndarray:
        """(len(texts), dim) float32, L2-normalised."""
        rows: list[np.ndarray] = []
        for start in range(0, len(texts), _PROGRESS_EVERY):
            # The library sorts what it gets by length, so that batches carry little padding.
            batch = list(texts[start : start + _PROGRESS_EVERY])
            with self._lock:
                model = self._ensure_loaded()
                encoded = model.encode(
                    batch, batch_size=_BATCH, convert_to_numpy=True, show_progress_bar=False
                )
            # Normalised here in float32: in bfloat16 a length of 1 is off by up to half a percent.
            vectors = np.asarray(encoded, dtype=np.float32)
            rows.append(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
            progress("embedding passages", start + len(batch), len(texts))
        if not rows:
            raise ValueError("embed() needs at least one text")
        return np.ascontiguousarray(np.vstack(rows), dtype=np.float32)

    def _ensure_loaded(self) -> Any:
        if self._model is None:
            import torch
            from sentence_transformers import SentenceTransformer
            from transformers.utils import logging as transformers_logging

            transformers_logging.disable_progress_bar()
            try:
                torch.set_num_threads(self._threads)
                self._model = SentenceTransformer(
                    str(self._folder),
                    device="cpu",
                    local_files_only=True,
                    model_kwargs={"dtype": torch.bfloat16 if _has_quick_bfloat16() else None},
                )
            except (OSError, ValueError, RuntimeError) as err:
                raise ModelError(
                    f"The embedder in {self._folder} can't be loaded ({err}). "
                    f"Delete the folder and run `personae models fetch {self.id}`."
                ) from err
        return self._model


def _has_quick_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 matrices in hardware.

    There, embedding is 3.5 times as quick at the same recall (docs/decisions.md); elsewhere torch
    emulates it, slower than float32.
    """
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
