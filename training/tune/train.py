"""Train a LoRA adapter for one persona, on a GPU or on two CPU cores.

In: a persona, its corpus, a fetched base model. Out: a run folder (`training.run_folder`) with the adapter
in peft's files and its measured figures. A killed run goes on from its last checkpoint and ends with
the same bytes as one that was left alone. Publishing is another step (`training.publish`).

Run as: personae train run lincoln
"""

from __future__ import annotations

import importlib.metadata
import shutil
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from personae.corpus import read_corpus
from personae.errors import ModelError
from personae.files import (
    disk_errors,
    folder_written_aside,
    remove_leftovers,
    require_free_bytes,
    sha256_of,
    write_atomic,
)
from personae.manifest import VLLM_RANKS, BaseModelRef
from personae.persona import Persona
from personae.progress import Progress, silent
from personae.prompt import fingerprint
from personae.weights import model_folder, read_model_manifest
from training.samples.dataset import Dataset, make_dataset
from training.samples.pairs import Kind
from training.tune.checkpoint import TrainState, only_process, resume, save_checkpoint, save_tensors
from training.tune.encode import Encoded, check_encoded, encode, preview
from training.tune.lora import (
    attach_lora,
    keep_freed_memory,
    load_base,
    lora_tensors,
    save_adapter,
)
from training.tune.run_folder import (
    ADAPTER,
    BEST,
    CHECKPOINT,
    RESULT,
    Plan,
    Result,
    TrainSettings,
    append_metrics,
    settings_dict,
    write_plan,
)
from training.tune.steps import Optimizer, evaluate, learn, learning_rate, plan_batches

__all__ = ["TrainSettings", "train_adapter"]

_LIBRARIES = ("torch", "transformers", "peft", "safetensors", "personae")
_RUN_BYTES = 200_000_000
_PREVIEWED = 8


def train_adapter(
    persona: Persona,
    *,
    persona_folder: Path,
    models: Path,
    base_model: str,
    corpora: Path,
    runs: Path,
    settings: TrainSettings | None = None,
    progress: Progress = silent,
) -> Path:
    """The folder of a finished run; the same inputs give the same folder, finished only once.

    Raises:
        CorpusError: no corpus, or too small a one.
        ModelError: no base model, or one whose chat template does not fit.
        DiskFull: the last checkpoint is kept.
    """
    settings = settings or TrainSettings()
    if settings.rank not in VLLM_RANKS:
        raise ModelError(
            f"Rank {settings.rank} is none that vLLM serves; choose one of "
            f"{', '.join(map(str, VLLM_RANKS))}."
        )
    corpus, documents = read_corpus(corpora / persona.id)
    base = read_model_manifest(model_folder(models, base_model))
    progress("making samples", 0, None)
    dataset = make_dataset(
        persona,
        documents,
        count=settings.samples,
        held_out_count=settings.held_out_samples,
        seed=settings.seed,
    )
    plan = Plan(
        persona=persona.id,
        persona_file_sha256=sha256_of(persona_folder / "persona.toml"),
        base_model=BaseModelRef(id=base.id, weights_sha256=base.weights_sha256),
        prompt_fingerprint=fingerprint(persona),
        corpus_sha256=corpus.documents_sha256,
        dataset_fingerprint=dataset.fingerprint,
        held_out_documents=dataset.held_out_documents,
        samples=dict(Counter(sample.task for sample in dataset.train)),
        settings=settings_dict(settings),
        libraries=_libraries(),
    )
    run = runs / persona.id / plan.key
    if (run / RESULT).is_file():
        return run
    require_free_bytes(run, _RUN_BYTES, f"Training {persona.id}")
    run.mkdir(parents=True, exist_ok=True)
    with only_process(run), disk_errors(run, f"training {persona.id}"):
        if (run / RESULT).is_file():
            return run
        remove_leftovers(run)
        write_plan(run, plan)
        _train(run, dataset, model_folder(models, base_model), plan, settings, progress)
    return run


def _libraries() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # personae run from its source tree
    return found


def _train(
    run: Path,
    dataset: Dataset,
    base_folder: Path,
    plan: Plan,
    settings: TrainSettings,
    progress: Progress,
) -> None:
    import torch

    keep_freed_memory()
    progress("loading the base model", 0, None)
    base, tokenizer = load_base(base_folder)
    rows = encode(dataset.train, tokenizer, max_tokens=settings.max_tokens)
    measured = encode(dataset.held_out, tokenizer, max_tokens=settings.max_tokens)
    tasks = [sample.task for sample in dataset.held_out]
    check_encoded([*rows, *measured], tokenizer)
    (run / "preview.txt").write_text(
        preview(dataset.train[:_PREVIEWED], tokenizer), encoding="utf-8"
    )
    torch.manual_seed(settings.seed)
    model = attach_lora(
        base,
        rank=settings.rank,
        alpha=settings.alpha,
        dropout=settings.dropout,
        base_model=plan.base_model.id,
    )
    state = _run_steps(run, model, rows, (measured, tasks), plan.persona, settings, progress)
    _finish(run, model, state, settings)


def _run_steps(
    run: Path,
    model: Any,
    rows: list[Encoded],
    held_out: tuple[list[Encoded], list[Kind]],
    persona_id: str,
    settings: TrainSettings,
    progress: Progress,
) -> TrainState:
    """From the last checkpoint (or the start) to the last step."""
    import torch

    optimizer = Optimizer(model)
    state = resume(run, optimizer)
    batches = plan_batches(
        [len(row.ids) for row in rows],
        batch=settings.batch,
        steps=settings.steps,
        seed=settings.seed,
    )
    evaluate_every = max(1, settings.steps // settings.evaluations)
    if state.before is None:
        progress("measuring the base model", 0, None)
        state.before = evaluate(model, *held_out)
        append_metrics(run, {"step": 0} | state.before)
    while state.step < settings.steps:
        started = time.monotonic()
        progress(f"training {persona_id}", state.step, settings.steps)
        batch = [rows[number] for number in batches[state.step]]
        # Each step seeds its own dropout: a resumed run needs no generator's state.
        torch.manual_seed(settings.seed * 1_000_003 + state.step)
        loss = learn(model, batch, settings.micro_batch)
        rate = learning_rate(state.step, settings)
        optimizer.step(rate)
        state.step += 1
        figures = {
            "step": state.step,
            "loss": loss,
            "learning_rate": rate,
            "tokens": sum(len(row.ids) for row in batch),
            "seconds": round(time.monotonic() - started, 3),
        }
        append_metrics(run, figures)
        last = state.step == settings.steps
        if last or state.step % evaluate_every == 0:
            found = evaluate(model, *held_out)
            append_metrics(run, {"step": state.step} | found)
            if state.note_evaluation(found):
                save_tensors(run / BEST, lora_tensors(model))
        state.seconds += time.monotonic() - started
        if last or state.step % settings.checkpoint_every == 0:
            save_checkpoint(run, optimizer, state)
    progress(f"training {persona_id}", settings.steps, settings.steps)
    return state


def _finish(run: Path, model: Any, state: TrainState, settings: TrainSettings) -> None:
    from safetensors.torch import load_file

    if state.before is None or state.best is None:
        raise ModelError("No evaluation gave a finite loss. Train again with a lower rate.")
    with folder_written_aside(run / ADAPTER, "saving the adapter") as aside:
        save_adapter(aside, load_file(run / BEST), model)
    metrics = {f"{name}_before": value for name, value in state.before.items()}
    metrics |= {f"{name}_after": value for name, value in state.best.items()}
    metrics |= {
        "steps": float(settings.steps),
        "best_step": float(state.best_step),
        "seconds": state.seconds,
    }
    result = Result(
        metrics={name: round(value, 4) for name, value in metrics.items()},
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    write_atomic(run / RESULT, result.model_dump_json(indent=2) + "\n")
    shutil.rmtree(run / CHECKPOINT, ignore_errors=True)
