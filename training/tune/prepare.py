"""All that decides a training, before any of it is done.

In: a persona, its corpus, a base model's folder, settings. Out: the samples, and the plan whose hash names
the run. It makes samples, and loads no weights.
"""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from personae.corpus import CorpusManifest, Document, read_corpus
from personae.errors import ModelError
from personae.files import sha256_of
from personae.manifest import BaseModelRef
from personae.persona import Persona
from personae.progress import Progress, silent
from personae.prompt import fingerprint
from personae.weights import model_folder, read_model_manifest
from training.samples.dataset import Dataset, make_dataset
from training.samples.revisions import revisions_in
from training.tune.legal import lora_problems
from training.tune.run_folder import Plan, TrainSettings, settings_dict

_LIBRARIES = ("torch", "transformers", "peft", "safetensors", "personae")


@dataclass(frozen=True)
class Prepared:
    """All that decides a training, before any of it is done."""

    persona: Persona
    documents: list[Document]
    dataset: Dataset
    base_folder: Path
    settings: TrainSettings
    plan: Plan

    @property
    def training_documents(self) -> list[Document]:
        away = set(self.dataset.held_out_documents)
        return [document for document in self.documents if document.id not in away]


def prepare(
    persona: Persona,
    *,
    persona_folder: Path,
    models: Path,
    base_model: str,
    corpora: Path,
    settings: TrainSettings | None = None,
    max_adapter_rank: int = 16,
    dataset: Dataset | None = None,
    progress: Progress = silent,
) -> Prepared:
    """The samples and the plan of a training; `dataset` replaces the samples made by rules.

    Raises:
        CorpusError: no corpus, or too small a one.
        ModelError: no base model, or an adapter that no engine serves.
    """
    settings = settings or TrainSettings()
    if problems := lora_problems(settings, max_adapter_rank):
        raise ModelError(f"{'; '.join(problems)}.")
    corpus, documents = read_corpus(corpora / persona.id)
    base = read_model_manifest(model_folder(models, base_model))
    if dataset is None:
        progress("making samples", 0, None)
        dataset = make_dataset(
            persona,
            documents,
            count=settings.samples,
            held_out_count=settings.held_out_samples,
            seed=settings.seed,
        )
    return Prepared(
        persona=persona,
        documents=documents,
        dataset=dataset,
        base_folder=model_folder(models, base_model),
        settings=settings,
        plan=_plan(
            persona,
            persona_folder,
            corpus,
            dataset,
            BaseModelRef(id=base.id, weights_sha256=base.weights_sha256),
            settings,
        ),
    )


def _plan(
    persona: Persona,
    persona_folder: Path,
    corpus: CorpusManifest,
    dataset: Dataset,
    base: BaseModelRef,
    settings: TrainSettings,
) -> Plan:
    return Plan(
        persona=persona.id,
        persona_file_sha256=sha256_of(persona_folder / "persona.toml"),
        base_model=base,
        prompt_fingerprint=fingerprint(persona),
        corpus_sha256=corpus.documents_sha256,
        dataset_fingerprint=dataset.fingerprint,
        held_out_documents=dataset.held_out_documents,
        samples=dict(Counter(sample.task for sample in dataset.train)),
        revisions=revisions_in(dataset.train),
        settings=settings_dict(settings),
        libraries=_libraries(),
    )


def _libraries() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # personae run from its source tree
    return found
