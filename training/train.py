"""Train a LoRA adapter for one persona, on a GPU or on two CPU cores.

In: a persona, its corpus, a fetched base model. Out: a run folder (`training.run_folder`) with the adapter
in peft's files and its measured figures. A killed run goes on from its last checkpoint and ends with
the same bytes as one that was left alone. Publishing is another step (`training.publish`).

Run as: personae train run lincoln
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import math
import random
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
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
from training.encode import Encoded, check_encoded, encode, preview
from training.lora import (
    attach_lora,
    keep_freed_memory,
    label_loss,
    load_base,
    lora_tensors,
    save_adapter,
)
from training.pairs import Dataset, make_dataset
from training.run_folder import (
    ADAPTER,
    BEST,
    CHECKPOINT,
    RESULT,
    Plan,
    Result,
    TrainSettings,
    append_metrics,
    keep_metrics_until,
    settings_dict,
    write_plan,
)

__all__ = ["TrainSettings", "train_adapter"]

log = logging.getLogger(__name__)

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
    remove_leftovers(run)
    with disk_errors(run, f"training {persona.id}"):
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


def plan_batches(lengths: Sequence[int], *, batch: int, steps: int, seed: int) -> list[list[int]]:
    """Row numbers of every step. Rows of like length stand together, so that little is padded.

    Each round shuffles the rows, sorts stretches of 8 batches by length, cuts them into batches and
    shuffles those.
    """
    order = random.Random(f"batches {seed}")
    batches: list[list[int]] = []
    while len(batches) < steps:
        rows = order.sample(range(len(lengths)), len(lengths))
        found = []
        for start in range(0, len(rows), batch * 8):
            stretch = sorted(rows[start : start + batch * 8], key=lambda row: lengths[row])
            found += [stretch[at : at + batch] for at in range(0, len(stretch), batch)]
        order.shuffle(found)
        batches += found
    return batches[:steps]


def learning_rate(step: int, settings: TrainSettings) -> float:
    """Of step 0 … steps-1: a linear rise over the warm-up, then a cosine down to nearly 0."""
    warm = max(1, round(settings.steps * settings.warmup))
    if step < warm:
        return settings.learning_rate * (step + 1) / warm
    done = (step - warm) / max(1, settings.steps - warm)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


@dataclass
class _State:
    """What a checkpoint holds beside the tensors."""

    step: int = 0
    best_loss: float = math.inf
    best_step: int = 0
    seconds: float = 0.0
    before: dict[str, float] | None = None
    best: dict[str, float] | None = None


class _Optimizer:
    """AdamW over float32 copies of the bfloat16 LoRA weights, without weight decay."""

    def __init__(self, model: Any) -> None:
        import torch

        self.weights = [weight for weight in model.parameters() if weight.requires_grad]
        self.masters = [weight.detach().float().clone() for weight in self.weights]
        self.adam = torch.optim.AdamW(self.masters, lr=0.0, weight_decay=0.0)

    def step(self, rate: float) -> None:
        import torch

        for weight, master in zip(self.weights, self.masters, strict=True):
            master.grad = weight.grad.float() if weight.grad is not None else None
            weight.grad = None
        torch.nn.utils.clip_grad_norm_(self.masters, 1.0)
        self.adam.param_groups[0]["lr"] = rate
        self.adam.step()
        self.write_back()

    def write_back(self) -> None:
        import torch

        with torch.no_grad():
            for weight, master in zip(self.weights, self.masters, strict=True):
                weight.copy_(master)


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
    optimizer = _Optimizer(model)
    state = _resume(run, optimizer)
    batches = plan_batches(
        [len(row.ids) for row in rows],
        batch=settings.batch,
        steps=settings.steps,
        seed=settings.seed,
    )
    every = max(1, settings.steps // settings.evaluations)
    if state.before is None:
        state.before = evaluate(model, measured, tasks)
        append_metrics(run, {"step": 0} | state.before)
    doing = f"training {plan.persona}"
    while state.step < settings.steps:
        started = time.monotonic()
        progress(doing, state.step, settings.steps)
        batch = [rows[row] for row in batches[state.step]]
        # Each step seeds its own dropout: a resumed run needs no generator's state.
        torch.manual_seed(settings.seed * 1_000_003 + state.step)
        loss = _learn(model, batch, settings.micro_batch)
        rate = learning_rate(state.step, settings)
        optimizer.step(rate)
        state.step += 1
        seconds = time.monotonic() - started
        tokens = sum(len(row.ids) for row in batch)
        row = {"step": state.step, "loss": loss, "learning_rate": rate, "tokens": tokens}
        append_metrics(run, row | {"seconds": round(seconds, 3)})
        if state.step % every == 0 or state.step == settings.steps:
            found = evaluate(model, measured, tasks)
            append_metrics(run, {"step": state.step} | found)
            if found["held_out_loss"] < state.best_loss:
                state.best_loss, state.best_step, state.best = (
                    found["held_out_loss"],
                    state.step,
                    found,
                )
                _save_tensors(run / BEST, lora_tensors(model))
        state.seconds += time.monotonic() - started
        if state.step % settings.checkpoint_every == 0 or state.step == settings.steps:
            _checkpoint(run, optimizer, state)
    progress(doing, settings.steps, settings.steps)
    _finish(run, model, state, settings)


def _learn(model: Any, batch: Sequence[Encoded], micro_batch: int) -> float:
    """Gradients of a batch, in small parts; returns the mean loss per label, in nats."""
    model.train()
    labels = sum(row.labels for row in batch)
    total = 0.0
    for start in range(0, len(batch), micro_batch):
        loss, _count = label_loss(model, batch[start : start + micro_batch])
        (loss / labels).backward()
        total += float(loss.detach())
    if not math.isfinite(total):
        raise ModelError("The loss is not finite any more. Train again with a lower learning rate.")
    return total / labels


def evaluate(model: Any, rows: Sequence[Encoded], tasks: Sequence[str]) -> dict[str, float]:
    """Held-out loss in nats per label, in all and by task, and bits per byte of the author's text."""
    import torch

    model.eval()
    nats: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    with torch.inference_mode():
        for row, task in zip(rows, tasks, strict=True):
            loss, count = label_loss(model, [row])
            nats[task] += float(loss)
            labels[task] += count
    text_bytes = sum(row.target_bytes for row in rows)
    figures = {
        "held_out_loss": nats.total() / labels.total(),
        "bits_per_byte": nats.total() / math.log(2) / text_bytes,
    }
    return figures | {f"held_out_loss_{task}": nats[task] / labels[task] for task in sorted(nats)}


def _save_tensors(path: Path, tensors: dict[str, Any]) -> None:
    from safetensors.torch import save

    write_atomic(path, save(tensors))


def _checkpoint(run: Path, optimizer: _Optimizer, state: _State) -> None:
    import torch

    with folder_written_aside(run / CHECKPOINT, "saving a checkpoint") as aside:
        torch.save(
            {"masters": optimizer.masters, "adam": optimizer.adam.state_dict()},
            aside / "tensors.pt",
        )
        (aside / "state.json").write_text(json.dumps(vars(state)), encoding="utf-8")


def _resume(run: Path, optimizer: _Optimizer) -> _State:
    """The last checkpoint's state, with its tensors put into the optimizer; a fresh one without."""
    import torch

    folder = run / CHECKPOINT
    if not (folder / "state.json").is_file():
        keep_metrics_until(run, -1)
        return _State()
    state = _State(**json.loads((folder / "state.json").read_bytes()))
    saved = torch.load(folder / "tensors.pt", weights_only=True)
    with torch.no_grad():
        for master, tensor in zip(optimizer.masters, saved["masters"], strict=True):
            master.copy_(tensor)
    optimizer.adam.load_state_dict(saved["adam"])
    optimizer.write_back()
    keep_metrics_until(run, state.step)
    log.info("resuming at step %d", state.step)
    return state


def _finish(run: Path, model: Any, state: _State, settings: TrainSettings) -> None:
    from safetensors.torch import load_file

    if state.before is None or state.best is None:
        raise ModelError("No evaluation gave a finite loss. Train again with a lower rate.")
    with folder_written_aside(run / ADAPTER, "saving the adapter") as aside:
        save_adapter(aside, load_file(run / BEST), model)
    metrics = {f"{name}_before": value for name, value in state.before.items()}
    metrics |= {f"{name}_after": value for name, value in state.best.items()}
    metrics |= {
        "steps": settings.steps,
        "best_step": state.best_step,
        "seconds": state.seconds,
    }
    result = Result(
        metrics={name: round(value, 4) for name, value in metrics.items()},
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    write_atomic(run / RESULT, result.model_dump_json(indent=2) + "\n")
    shutil.rmtree(run / CHECKPOINT, ignore_errors=True)
