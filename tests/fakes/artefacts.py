"""Small real artefacts for tests: adapters on disk, a corpus, an embedder without weights."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from personae.corpus import Document, write_corpus
from personae.manifest import AdapterManifest, BaseModelRef, ReferenceAnswer, hash_files
from personae.persona import Persona
from personae.progress import Progress, silent
from personae.prompt import fingerprint
from personae.reference import reference_prompts
from personae.registry import RegisteredVersion, Registry, engine_name
from tests.fakes.engine import log_prob, spoken, weights_key

BASE = BaseModelRef(id="smollm2-135m", weights_sha256="ab" * 32)


def safetensors_bytes(tensors: Mapping[str, Sequence[float] | Sequence[Sequence[float]]]) -> bytes:
    """A safetensors file of float32 vectors or matrices (8-byte length, JSON header, data)."""
    header, data = {}, b""
    for name, values in tensors.items():
        array = np.asarray(values, dtype="<f4")
        span = [len(data), len(data) + array.nbytes]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": span}
        data += array.tobytes()
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + data


def add_adapter(
    registry: Registry,
    persona: Persona,
    version: int,
    scratch: Path,
    *,
    base: BaseModelRef = BASE,
    config: dict[str, object] | None = None,
    prompt_fingerprint: str | None = None,
    leave_out: str | None = None,
    reference: Literal["true", "false"] | None = None,
) -> RegisteredVersion:
    """A version with real files and a true manifest; the weights depend on persona and version.

    Args:
        reference: reference answers as the fake engine will give them, or others.
    """
    folder = scratch / f"{persona.id}-{version}"
    folder.mkdir(parents=True)
    settings = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "bias": "none"}
    settings |= {"base_model_name_or_path": base.id}
    (folder / "adapter_config.json").write_text(json.dumps(settings | (config or {})))
    seed = float(int(hashlib.sha256(f"{persona.id}{version}".encode()).hexdigest()[:4], 16))
    module = "base_model.model.model.layers.0.self_attn.q_proj"
    weights = {
        f"{module}.lora_A.weight": [[seed, 1.0]] * 8,
        f"{module}.lora_B.weight": [[seed] * 8] * 2,
    }
    if leave_out is not None:
        weights = {name: rows for name, rows in weights.items() if leave_out not in name}
    (folder / "adapter_model.safetensors").write_bytes(safetensors_bytes(weights))
    manifest = AdapterManifest(
        persona=persona.id,
        version=version,
        base_model=base,
        prompt_fingerprint=prompt_fingerprint or fingerprint(persona),
        rank=8,
        recipe={"command": "written by a test"},
        dataset_fingerprint="00" * 32,
        metrics={},
        gate="not gated",
        files=hash_files(folder),
        reference=None if reference is None else _reference(persona, version, folder, reference),
        created_at="2026-01-01T00:00:00+00:00",
    )
    return registry.add(folder, manifest)


def _reference(
    persona: Persona, version: int, folder: Path, kind: Literal["true", "false"]
) -> list[ReferenceAnswer]:
    weights = weights_key(folder) if kind == "true" else "others"
    tokens = spoken(engine_name(persona.id, version))
    return [
        ReferenceAnswer(
            prompt=name,
            tokens=tokens,
            log_probs=[log_prob(weights, messages, place) for place in range(len(tokens))],
            base_log_probs=[-4.0] * len(tokens),
        )
        for name, messages in reference_prompts(persona).items()
    ]


DOCUMENTS = [
    Document(
        id="union-1862",
        title="Message on the Union",
        date="1862-12-01",
        url="https://example.org/1862",
        text="The Union must be kept whole by every loyal hand. A nation is its land and its laws.\n\n"
        "Labor stands before capital and deserves the higher thought. Capital is the fruit of labor.",
    ),
    Document(
        id="railroads-1904",
        title="Message on railroads",
        date="1904-12-06",
        url="https://example.org/1904",
        text="The railroads shall charge every shipper alike. No secret rebate may favour the great.\n\n"
        "Forests are the nation's storehouse of water and wood. We must not waste the forests.",
    ),
]


def write_test_corpus(folder: Path, persona: str) -> None:
    write_corpus(
        folder,
        persona,
        DOCUMENTS,
        sources=["written by a test"],
        created_at="2026-01-01T00:00:00+00:00",
    )


class WordEmbedder:
    """Bag of hashed words, L2-normalised: near when words are shared. No weights, no torch.

    Like the real one it reads `max_tokens` words at most, and tells questions from passages.
    """

    id = "words"
    max_tokens = 256
    pooling = "mean"
    query_prefix = ""
    passage_prefix = ""

    def __init__(self, weights_sha256: str = "cd" * 32) -> None:
        self.weights_sha256 = weights_sha256
        self.embedded = 0

    def load(self) -> None:
        pass

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(self._words(self.passage_prefix + text)) + 2 for text in texts]

    def embed(self, texts: Sequence[str], *, progress: Progress = silent) -> np.ndarray:
        vectors = self._vectors([self.passage_prefix + text for text in texts])
        self.embedded += len(texts)
        progress("embedding passages", len(texts), len(texts))
        return vectors

    def embed_queries(self, texts: Sequence[str]) -> np.ndarray:
        return self._vectors([self.query_prefix + text for text in texts])

    def _words(self, text: str) -> list[str]:
        # A long run of letters is many tokens for the real one too.
        return re.findall(r"\w{1,16}|[^\w\s]", text.lower())

    def _vectors(self, texts: Sequence[str]) -> np.ndarray:
        if not texts:
            raise ValueError("embed() needs at least one text")
        rows = np.zeros((len(texts), 64), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in self._words(text)[: self.max_tokens - 2] or [" "]:
                weight = 1.0 if word[0].isalnum() else 0.01
                rows[row, int(hashlib.sha256(word.encode()).hexdigest(), 16) % 64] += weight
            rows[row] /= max(float(np.linalg.norm(rows[row])), 1e-9)
        return rows
