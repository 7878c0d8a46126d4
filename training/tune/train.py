"""Train a LoRA adapter for one persona, on two CPU cores or on GPUs.

In: a persona, its corpus, a fetched base model. Out: a run folder (`training.tune.run_folder`) with the
adapter in peft's files and its measured figures. A killed run goes on from its last checkpoint and ends with
the same bytes as one that was left alone. Publishing is another step (`training.release`).

Run as: personae train run lincoln
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from personae.errors import ModelError
from personae.files import (
    disk_errors,
    folder_written_aside,
    remove_leftovers,
    require_free_bytes,
    write_atomic,
)
from personae.persona import Persona
from personae.progress import Progress, silent
from training.evaluate.copying import CopyIndex
from training.samples.dataset import Dataset
from training.tune.checkpoint import TrainState, only_process
from training.tune.encode import encode_texts, preview
from training.tune.loop import Live, Rows, run_steps
from training.tune.lora import (
    freed_memory_kept,
    load_base,
    load_tokenizer,
    save_adapter,
    trainable,
)
from training.tune.preflight import RUN_BYTES, preflight
from training.tune.prepare import Prepared, prepare
from training.tune.run_folder import (
    ADAPTER,
    BEST,
    CHECKPOINT,
    PREFLIGHT,
    PREVIEW,
    RESULT,
    Result,
    TrainSettings,
    write_plan,
)
from training.tune.shard import shard_base
from training.tune.watch import memorization_watch
from training.tune.world import ALONE, World

__all__ = ["TrainSettings", "train_adapter"]

_PREVIEWED = 8
TEXT_TOKENS = 512
"""Longest piece of plain text in continued pre-training; attention grows with the square of it."""


def _unheard(_line: str) -> None:
    pass


def train_adapter(
    persona: Persona,
    *,
    persona_folder: Path,
    models: Path,
    base_model: str,
    corpora: Path,
    runs: Path,
    settings: TrainSettings | None = None,
    max_adapter_rank: int = 16,
    dataset: Dataset | None = None,
    world: World = ALONE,
    progress: Progress = silent,
    live: Live = _unheard,
) -> Path:
    """The folder of a finished run; the same inputs give the same folder, finished only once.

    Args:
        max_adapter_rank: the engine's.
        dataset: samples other than those that rules make of the corpus.
        world: the processes that train together; each calls this with the same arguments.
        live: gets a line with loss, speed and time left after every step.

    Raises:
        CorpusError: no corpus, or too small a one.
        ModelError: no base model, or the preflight found something wrong; all of it is told at once.
            Or the processes were given different things.
        DiskFull: the last checkpoint is kept.
    """
    prepared = prepare(
        persona,
        persona_folder=persona_folder,
        models=models,
        base_model=base_model,
        corpora=corpora,
        settings=settings,
        max_adapter_rank=max_adapter_rank,
        dataset=dataset,
        progress=progress,
    )
    run = runs / persona.id / prepared.plan.key
    if not world.all_say(prepared.plan.key):
        raise ModelError(
            "The machines of this training would not train the same: personae.toml, the persona, its corpus, "
            "the base model and the settings must be equal on all. Copy them from one to the others."
        )
    if world.said_by_first((run / RESULT).is_file()):
        return run
    require_free_bytes(run, RUN_BYTES, f"Training {persona.id}")
    run.mkdir(parents=True, exist_ok=True)
    if not world.is_first:
        _train(run, prepared, max_adapter_rank, world, progress, live)
        return run
    with only_process(run), disk_errors(run, f"training {persona.id}"):
        if (run / RESULT).is_file():
            return run
        remove_leftovers(run)
        write_plan(run, prepared.plan)
        _train(run, prepared, max_adapter_rank, world, progress, live)
    return run


@freed_memory_kept()
def _train(
    run: Path,
    prepared: Prepared,
    max_adapter_rank: int,
    world: World,
    progress: Progress,
    live: Live,
) -> None:
    dataset, settings = prepared.dataset, prepared.settings
    progress("checking the samples", 0, None)
    tokenizer = load_tokenizer(prepared.base_folder)
    checked, conversations, held_out = preflight(
        prepared.persona,
        dataset,
        prepared.documents,
        tokenizer,
        prepared.base_folder,
        settings,
        max_adapter_rank=max_adapter_rank,
        run=run,
    )
    texts = [(document.id, document.text) for document in prepared.training_documents]
    if world.is_first:
        write_atomic(run / PREFLIGHT, checked.model_dump_json(indent=2) + "\n")
        shown = preview(_one_of_each(dataset), tokenizer, max_tokens=settings.max_tokens)
        write_atomic(run / PREVIEW, shown)
    rows = Rows(
        conversations=conversations,
        held_out=held_out,
        held_out_tasks=[sample.task for sample in dataset.held_out],
        texts=encode_texts(
            [text for _id, text in texts] if settings.text_steps else [],
            tokenizer,
            chunk_tokens=min(TEXT_TOKENS, settings.max_tokens),
        ),
    )
    progress("loading the base model", 0, None)
    base, _tokenizer = load_base(prepared.base_folder, four_bit=settings.four_bit_base)
    model = trainable(base, settings, base_model=prepared.plan.base_model.id)
    if settings.shard_base and world.size > 1:
        shard_base(model)
    state = run_steps(
        run,
        model,
        rows,
        memorization_watch(CopyIndex(texts), tokenizer, dataset.held_out, settings),
        settings,
        doing=f"training {prepared.plan.persona}",
        world=world,
        progress=progress,
        live=live,
    )
    if world.is_first:
        _finish(run, model, state, settings)
    world.wait_for_all()


def _one_of_each(dataset: Dataset) -> Sequence[Any]:
    """Samples for the preview: every kind is among them."""
    seen = {sample.task: sample for sample in reversed(dataset.train)}
    return [*seen.values(), *dataset.train][:_PREVIEWED]


def _finish(run: Path, model: Any, state: TrainState, settings: TrainSettings) -> None:
    from safetensors.torch import load_file

    if state.before is None or state.best is None:
        raise ModelError("No evaluation gave a finite loss. Train again with a lower rate.")
    with folder_written_aside(run / ADAPTER, "saving the adapter") as aside:
        save_adapter(aside, load_file(run / BEST), model)
    metrics = {f"{name}_before": value for name, value in state.before.items()}
    metrics |= {f"{name}_after": value for name, value in state.best.items()}
    metrics |= {
        "steps": float(state.step),
        "best_step": float(state.best_step),
        "seconds": state.seconds,
    }
    if state.stopped:
        metrics["steps_planned"] = float(settings.all_steps)
    result = Result(
        metrics={name: round(value, 4) for name, value in metrics.items()},
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    write_atomic(run / RESULT, result.model_dump_json(indent=2) + "\n")
    shutil.rmtree(run / CHECKPOINT, ignore_errors=True)
