"""Measure an adapter: against its base model, against the base with a prompt, against the author's own text.

In: a finished run (or any adapter's folder), its persona, corpus, base model and embedder. Out:
`<run>/evaluation/` with the replies, evidence.json, report.html and, last, evaluation.json. Killed at any
moment, a rerun makes only the replies that are missing; a finished evaluation of the same adapter, prompts
and documents is read, not made again. What is good enough is decided in `training.release.gates`.

Run as: personae train evaluate lincoln
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from personae.corpus import Document, read_corpus
from personae.errors import AdapterError, CorpusError
from personae.files import disk_errors, write_atomic
from personae.manifest import content_sha256, hash_files
from personae.persona import Persona
from personae.progress import Progress, silent
from personae.prompt import fingerprint
from personae.training_run import EVALUATIONS
from personae.weights import model_folder, read_model_manifest
from training.evaluate.attribution import Attribution, train_attribution
from training.evaluate.bits import NEUTRAL_QUESTION, bits_of, questions_about
from training.evaluate.evaluation import EVALUATION, Evaluation, read_evaluation, write_evaluation
from training.evaluate.evidence import Evidence, write_evidence
from training.evaluate.made_of import MadeOf, made_of_run
from training.evaluate.measures import (
    Bits,
    Seen,
    measure_bits,
    measure_copying,
    measure_form,
    measure_honesty,
    measure_rewrites,
    measure_voice,
    sample_rows,
)
from training.evaluate.others import documents_of_others
from training.evaluate.prompts import Counts, Probe, make_probes
from training.evaluate.replies import load_adapted, speaking
from training.evaluate.report import write_report
from training.evaluate.told import Teller
from training.tune.run_folder import ADAPTER

FOLDER = EVALUATIONS
"""Of a run."""
SHARED = ".base-replies"
_KEY = "evaluated.json"
_MEASURE = 2
"""Goes up when the same replies would give other figures."""


@dataclass(frozen=True)
class EvaluationSettings:
    """How much is measured. The defaults take five minutes on two CPU cores with a 135M model."""

    counts: Counts = field(default_factory=Counts)
    author_stretches: int = 32
    """Stretches whose bits are counted: about 2,500 words bound bits per byte to ±2 %."""
    others_stretches: int = 24
    seed: int = 17


def evaluate_run(
    persona: Persona,
    run: Path,
    *,
    persona_folder: Path,
    corpora: Path,
    models: Path,
    base_model: str,
    embedder: str = "minilm",
    settings: EvaluationSettings | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Measure a run's adapter; the same run again gives the same evaluation, measured once.

    Raises:
        AdapterError: the run is unfinished, or the persona's prompts were changed after it.
        CorpusError: the corpus is another than it was trained on, or other authors can't be read.
        ModelError: base model or embedder are not there.
        DiskFull: replies made so far are kept.
    """
    return evaluate_adapter(
        persona,
        run / ADAPTER,
        run / FOLDER,
        made_of=made_of_run(run, corpora / persona.id),
        shared=run.parent / SHARED,
        persona_folder=persona_folder,
        corpora=corpora,
        models=models,
        base_model=base_model,
        embedder=embedder,
        settings=settings,
        progress=progress,
    )


def evaluate_adapter(
    persona: Persona,
    adapter: Path,
    folder: Path,
    *,
    made_of: MadeOf,
    persona_folder: Path,
    corpora: Path,
    models: Path,
    base_model: str,
    embedder: str = "minilm",
    shared: Path | None = None,
    settings: EvaluationSettings | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """As `evaluate_run`, for an adapter's folder wherever it is: a published version, for example.

    Args:
        folder: where the evaluation is written.
        made_of: what it was made of; `training.evaluate.made_of` reads it from a run or a manifest.
        shared: keeps what the base model said for other evaluations of this persona.

    Raises:
        as `evaluate_run`.
    """
    settings = settings or EvaluationSettings()
    started = time.monotonic()
    _check(persona, made_of, base_model)
    read_model_manifest(model_folder(models, embedder))
    base_sha256 = read_model_manifest(model_folder(models, base_model)).weights_sha256
    documents = _documents(persona, made_of, corpora)
    adapter_sha256 = content_sha256(hash_files(adapter))
    key = _key(persona, made_of, adapter_sha256, base_sha256, embedder, settings)
    if (found := _finished(folder, key)) is not None:
        return found
    folder.mkdir(parents=True, exist_ok=True)
    with disk_errors(folder, f"evaluating {persona.id}"):
        (folder / EVALUATION).unlink(missing_ok=True)
        loaded = _loading(model_folder(models, base_model), adapter, progress)
        work = _Work(persona, documents, made_of, settings, loaded, progress)
        known = work.attribution(persona_folder, corpora / ".crawl" / f"{persona.id}-others")
        probes = make_probes(persona, documents, made_of.held_out_documents, settings.counts)
        teller = Teller(
            folder,
            shared=folder if shared is None else shared,
            load=loaded,
            base_sha256=base_sha256,
            adapter_sha256=adapter_sha256,
            seed=settings.seed,
        )
        seen = work.measure(known, probes, teller, model_folder(models, embedder))
        told = teller.all_replies(persona, probes, progress=lambda _made, _all: None)
        evaluation = Evaluation(
            persona=persona.id,
            base_model=base_model,
            adapter_sha256=adapter_sha256,
            prompt_fingerprint=fingerprint(persona),
            held_out_documents=made_of.held_out_documents,
            others=known.others,
            seed=settings.seed,
            figures=seen.figures,
            samples=sample_rows(probes, told),
            seconds=round(time.monotonic() - started, 1),
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        write_evidence(folder, _evidence(made_of, documents, known, probes, seen))
        write_report(folder, evaluation)
        write_atomic(folder / _KEY, json.dumps({"key": key}) + "\n")
        write_evaluation(folder, evaluation)
    return evaluation


@dataclass(frozen=True)
class _Work:
    """The long parts of one evaluation."""

    persona: Persona
    documents: Sequence[Document]
    made_of: MadeOf
    settings: EvaluationSettings
    load: Callable[[], tuple[Any, Any]]
    progress: Progress

    @property
    def training(self) -> list[Document]:
        away = set(self.made_of.held_out_documents)
        return [document for document in self.documents if document.id not in away]

    def attribution(self, persona_folder: Path, crawls: Path) -> Attribution:
        away = set(self.made_of.held_out_documents)
        others = documents_of_others(self.persona, persona_folder, crawls, progress=self.progress)
        self.progress("telling the author from others", 0, 1)
        known = train_attribution(
            self.training,
            [document for document in self.documents if document.id in away],
            others,
            seed=self.settings.seed,
        )
        self.progress("telling the author from others", 1, 1)
        return known

    def measure(
        self, known: Attribution, probes: Sequence[Probe], teller: Teller, embedder: Path
    ) -> Seen:
        told = teller.all_replies(
            self.persona,
            probes,
            progress=lambda made, every: self.progress("asking questions", made, every),
        )
        seen = Seen()
        measure_voice(seen, probes, told, known)
        measure_form(seen, self.persona, probes, told, self.training)
        measure_copying(seen, probes, told, self.training)
        measure_honesty(seen, self.persona, probes, told)
        self.progress("comparing rewrites", 0, 1)
        measure_rewrites(seen, probes, told, embedder)
        self.progress("comparing rewrites", 1, 1)
        measure_bits(seen, self._bits(known))
        return seen

    def _bits(self, known: Attribution) -> Bits:
        model, tokenizer = self.load()
        author = known.author_held_out[: self.settings.author_stretches]
        # One of each other author in turn, so that all of them count alike.
        others = _spread(known.others_held_out, self.settings.others_stretches)
        nothing = [NEUTRAL_QUESTION] * max(len(author), len(others))
        asked = (
            (author, questions_about(author)),
            (author, nothing[: len(author)]),
            (others, nothing[: len(others)]),
        )
        found: list[list[tuple[float, int]]] = []
        total = 2 * sum(len(texts) for texts, _questions in asked)
        for texts, questions in asked:
            for adapted in (False, True):
                before = sum(map(len, found))
                with speaking(model, adapted=adapted):
                    found.append(
                        bits_of(
                            model,
                            tokenizer,
                            self.persona,
                            texts,
                            questions,
                            done=lambda made, before=before: self.progress(  # type: ignore[misc]
                                "counting bits of held-out text", before + made, total
                            ),
                        )
                    )
        return Bits(*found)


def _loading(base: Path, adapter: Path, progress: Progress) -> Callable[[], tuple[Any, Any]]:
    """Loads the model when it is first asked for."""

    @cache
    def load() -> tuple[Any, Any]:
        progress("loading the model", 0, 1)
        loaded = load_adapted(base, adapter)
        progress("loading the model", 1, 1)
        return loaded

    return load


def _spread(texts: Sequence[str], most: int) -> list[str]:
    """`most` texts at even distances."""
    if len(texts) <= most:
        return list(texts)
    return [texts[number * len(texts) // most] for number in range(most)]


def _check(persona: Persona, made_of: MadeOf, base_model: str) -> None:
    if made_of.persona != persona.id:
        raise AdapterError(f"This adapter is one of {made_of.persona}, not of {persona.id}.")
    if made_of.base_model != base_model:
        raise AdapterError(
            f"This adapter was trained on {made_of.base_model}, not on {base_model}. "
            "Set base_model in the persona file, or in personae.toml, to it."
        )
    if made_of.prompt_fingerprint != fingerprint(persona):
        raise AdapterError(
            f"The prompts of {persona.id} were changed after this adapter was trained. Undo the change "
            f"of its system prompts, or train again with `personae train run {persona.id}`."
        )


def _documents(persona: Persona, made_of: MadeOf, corpora: Path) -> list[Document]:
    manifest, documents = read_corpus(corpora / persona.id)
    if manifest.documents_sha256 != made_of.corpus_sha256:
        raise CorpusError(
            f"The corpus of {persona.id} is another than this adapter was trained on, so nobody knows which "
            "of its documents were held out. Ingest the sources as they were, or train again with "
            f"`personae train run {persona.id}`."
        )
    return documents


def _key(
    persona: Persona,
    made_of: MadeOf,
    adapter_sha256: str,
    base_sha256: str,
    embedder: str,
    settings: EvaluationSettings,
) -> str:
    decisive = [
        _MEASURE,
        persona.model_dump(mode="json"),
        made_of.held_out_documents,
        made_of.corpus_sha256,
        adapter_sha256,
        base_sha256,
        embedder,
        asdict(settings),
    ]
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _finished(folder: Path, key: str) -> Evaluation | None:
    try:
        if json.loads((folder / _KEY).read_text("utf-8")).get("key") != key:
            return None
        evaluation = read_evaluation(folder)
    except (OSError, ValueError, AttributeError, ValidationError, AdapterError):
        return None  # never finished, or damaged: measured again
    return evaluation


def _evidence(
    made_of: MadeOf,
    documents: Sequence[Document],
    known: Attribution,
    probes: Sequence[Probe],
    seen: Seen,
) -> Evidence:
    tasks = [probe.task for probe in probes]
    return Evidence(
        recipe=made_of.recipe,
        documents=made_of.rows(documents),
        losses=made_of.losses,
        cleaning=made_of.cleaning,
        scores={name: [round(s, 4) for s in scores] for name, scores in seen.scores.items()},
        accuracy=known.accuracy,
        tics=seen.tics,
        copies=seen.copies,
        identity=seen.identity,
        counts={task: tasks.count(task) for task in dict.fromkeys(tasks)},
    )
