"""A run with a random adapter on the tiny model, and an embedder of random word vectors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from personae.corpus import MANIFEST, CorpusManifest, Document
from personae.manifest import BaseModelRef
from personae.persona import Persona
from personae.prompt import fingerprint
from personae.weights import model_folder, read_model_manifest
from tests.training.conftest import TINY
from training.models.fetch import write_model_manifest
from training.samples.dataset import split_documents
from training.tune.lora import attach_lora, load_base, lora_tensors, save_adapter
from training.tune.run_folder import ADAPTER, METRICS, Plan, write_plan

EMBEDDER = "word-vectors"


@pytest.fixture(scope="session")
def tiny_models(models: Path) -> Path:
    """The models folder, with an embedder."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    folder = models / EMBEDDER
    if not folder.is_dir():
        tokenizer = Tokenizer.from_file(str(models / TINY / "tokenizer.json"))
        SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=16)]).save(
            str(folder)
        )
        write_model_manifest(folder, EMBEDDER, source="made by a test", licence="none")
    return models


def write_adapter(folder: Path, models: Path, *, scale: float, seed: int = 3) -> None:
    """A LoRA whose B is drawn at this scale; 0 leaves the base model as it is."""
    import torch

    base, _tokenizer = load_base(model_folder(models, TINY))
    model = attach_lora(base, rank=4, alpha=8, dropout=0.0, base_model=TINY)
    torch.manual_seed(seed)
    tensors = {
        name: torch.randn_like(tensor) * (scale if "lora_B" in name else 0.3)
        for name, tensor in lora_tensors(model).items()
    }
    folder.mkdir(parents=True)
    save_adapter(folder, tensors, model)


def write_run(run: Path, persona: Persona, corpora: Path, models: Path, *, scale: float) -> None:
    """A finished training's folder, as far as measuring it needs one."""
    from personae.corpus import read_corpus

    documents: list[Document] = read_corpus(corpora / persona.id)[1]
    corpus = CorpusManifest.model_validate_json((corpora / persona.id / MANIFEST).read_bytes())
    base = read_model_manifest(model_folder(models, TINY))
    write_adapter(run / ADAPTER, models, scale=scale)
    write_plan(
        run,
        Plan(
            persona=persona.id,
            persona_file_sha256="0" * 64,
            base_model=BaseModelRef(id=base.id, weights_sha256=base.weights_sha256),
            prompt_fingerprint=fingerprint(persona),
            corpus_sha256=corpus.documents_sha256,
            dataset_fingerprint="0" * 64,
            held_out_documents=[document.id for document in split_documents(documents)[1]],
            samples={"ask": 3},
            settings={"steps": 2, "rank": 4},
            libraries={},
        ),
    )
    rows = [{"step": 0, "held_out_loss": 6.0}, {"step": 1, "loss": 5.0}, {"step": 2, "loss": 4.5}]
    (run / METRICS).write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="session")
def tiny_persona(lincoln: Persona) -> Persona:
    """Lincoln with short answers: the tiny model would go on for ever."""
    ask = lincoln.ask.model_copy(
        update={"sampling": lincoln.ask.sampling.model_copy(update={"max_tokens": 12})}
    )
    rewrite = lincoln.rewrite.model_copy(
        update={"sampling": lincoln.rewrite.sampling.model_copy(update={"max_tokens": 12})}
    )
    return lincoln.model_copy(update={"ask": ask, "rewrite": rewrite})
