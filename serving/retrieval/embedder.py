"""Text to vectors: the one module of this room, beside the vLLM plugin, that may import torch.

In: texts. Out: (n_texts, dim) float32, L2-normalised, so that an inner product is the cosine.
Some models (e5, bge) want a few words before a question or a passage; which ones is read from the model's
own `config_sentence_transformers.json`, and nothing is guessed from its name.
"""

from __future__ import annotations

import json
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
_MAX_TOKENS = 512


class TextEmbedder(Protocol):
    """What the index and the search need. `weights_sha256` tells one embedder from another.

    `embed` is for passages, `embed_queries` for questions; each puts its own prefix before the texts.
    What is longer than `max_tokens` is cut off unread; `count_tokens` counts as `embed` does.
    """

    id: str
    weights_sha256: str
    max_tokens: int
    pooling: str
    query_prefix: str
    passage_prefix: str

    def load(self) -> None: ...

    def embed(self, texts: Sequence[str], *, progress: Progress = silent) -> np.ndarray: ...

    def embed_queries(self, texts: Sequence[str]) -> np.ndarray: ...

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]: ...


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
        self._tokenizer: Any = None
        manifest = read_model_manifest(folder)
        self.id = manifest.id
        self.weights_sha256 = manifest.weights_sha256
        # From the files: whether an index fits is asked at every start, without loading torch.
        self.max_tokens = _max_tokens(folder)
        self.pooling = _pooling(folder)
        prompts = _read_json(folder / "config_sentence_transformers.json").get("prompts") or {}
        self.query_prefix = str(prompts.get("query") or "")
        self.passage_prefix = str(prompts.get("passage") or prompts.get("document") or "")

    def load(self) -> None:
        """Load the weights now instead of at the first call.

        Raises:
            ModelError: the folder can't be loaded.
        """
        with self._lock:
            self._ensure_loaded()

    def embed(self, texts: Sequence[str], *, progress: Progress = silent) -> np.ndarray:
        """(len(texts), dim) float32, L2-normalised."""
        return self._embed([self.passage_prefix + text for text in texts], progress)

    def embed_queries(self, texts: Sequence[str]) -> np.ndarray:
        """(len(texts), dim) float32, L2-normalised."""
        return self._embed([self.query_prefix + text for text in texts], silent)

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        """Tokens of each text as a passage, with its prefix and the model's own marks around it."""
        prefixed = [self.passage_prefix + text for text in texts]
        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = self._load_tokenizer()
            return [len(encoding) for encoding in self._tokenizer.encode_batch_fast(prefixed)]

    def _embed(self, texts: Sequence[str], progress: Progress) -> np.ndarray:
        rows: list[np.ndarray] = []
        for start in range(0, len(texts), _PROGRESS_EVERY):
            # The library sorts what it gets by length, so that batches carry little padding.
            batch = list(texts[start : start + _PROGRESS_EVERY])
            with self._lock:
                model = self._ensure_loaded()
                # prompt="": the library would add a default prompt of the model's by itself.
                encoded = model.encode(
                    batch,
                    batch_size=_BATCH,
                    prompt="",
                    convert_to_numpy=True,
                    show_progress_bar=False,
                )
            # Normalised here in float32: in bfloat16 a length of 1 is off by up to half a percent.
            vectors = np.asarray(encoded, dtype=np.float32)
            rows.append(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
            progress("embedding passages", start + len(batch), len(texts))
        if not rows:
            raise ValueError("embed() needs at least one text")
        return np.ascontiguousarray(np.vstack(rows), dtype=np.float32)

    def _load_tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        path = self._folder / "tokenizer.json"
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as err:  # the library raises nothing narrower
            raise ModelError(
                f"{path} can't be read ({err}). An embedder needs a tokenizer.json; delete the folder "
                f"and run `personae models fetch {self.id}`, or choose another [retrieval] embedder."
            ) from err
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

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
                self._model.max_seq_length = self.max_tokens
            except (OSError, ValueError, RuntimeError) as err:
                raise ModelError(
                    f"The embedder in {self._folder} can't be loaded ({err}). "
                    f"Delete the folder and run `personae models fetch {self.id}`."
                ) from err
        return self._model


def _read_json(path: Path) -> dict[str, Any]:
    """{} where there is none: not every model has every file.

    Raises:
        ModelError: there is one, and it is not JSON.
    """
    try:
        read = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError as err:
        raise ModelError(
            f"{path} is damaged ({err}). Delete the folder and fetch it again."
        ) from err
    return read if isinstance(read, dict) else {}


def _max_tokens(folder: Path) -> int:
    """What the model reads at most: its own setting, else what it has positions for."""
    own = _read_json(folder / "sentence_bert_config.json").get("max_seq_length")
    positions = _read_json(folder / "config.json").get("max_position_embeddings")
    limits = [limit for limit in (own, positions) if isinstance(limit, int) and limit > 0]
    return min(limits, default=_MAX_TOKENS)


def _pooling(folder: Path) -> str:
    """How token vectors become one: "mean", "cls", …"""
    settings = _read_json(folder / "1_Pooling" / "config.json")
    named = settings.get("pooling_mode")
    if named is not None:
        return "+".join(named) if isinstance(named, list) else str(named)
    modes = [
        key.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token")
        for key, on in settings.items()
        if key.startswith("pooling_mode_") and on is True
    ]
    return "+".join(sorted(modes)) or "mean"


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
