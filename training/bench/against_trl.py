"""Our trainer against TRL's SFTTrainer: the same samples, steps and machine, in turns.

In: a persona's documents and a base model. Out: ratios that can be compared between machines, with the raw
figures and loss curves behind them. Each training runs in a fresh process, and they take turns (ours, TRL,
ours, TRL, …), so that whatever else the machine does hits both alike.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from personae.corpus import Document
from personae.errors import ModelError
from personae.persona import Persona
from personae.progress import Progress, silent
from training.samples.dataset import Dataset, make_dataset
from training.tune.run_folder import TrainSettings


@dataclass(frozen=True)
class Sizes:
    steps: int
    rounds: int
    held_out: int
    batch: int = 8


FULL = Sizes(steps=16, rounds=2, held_out=32)
QUICK = Sizes(steps=8, rounds=1, held_out=16)

# SFTConfig 1.16 loads the weights in the type they are stored in (bfloat16 here), computes under bfloat16
# autocast and checkpoints gradients. The other rows change one thing each.
TRL_ROWS: dict[str, dict[str, Any]] = {
    "trl": {},
    "trl_float32": {"bf16": False, "model_init_kwargs": {"dtype": "float32"}},
    "trl_without_checkpointing": {"gradient_checkpointing": False},
}


def run_training_bench(
    persona: Persona,
    documents: Sequence[Document],
    base_folder: Path,
    *,
    sizes: Sizes = FULL,
    settings: TrainSettings | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """{"tokens_per_second_over_trl", "peak_memory_over_trl", "loss_difference", "details"}.

    Raises:
        ModelError: one of the trainings failed.
    """
    settings = replace(settings or TrainSettings(), steps=sizes.steps, batch=sizes.batch)
    dataset = make_dataset(
        persona,
        documents,
        count=settings.samples,
        held_out_count=sizes.held_out,
        seed=settings.seed,
    )
    # Other rows of TRL and our other seed once; what the ratios rest on in turns.
    turns = [*(["ours", "trl"] * sizes.rounds), "ours_other_seed", *list(TRL_ROWS)[1:]]
    found: dict[str, list[dict[str, Any]]] = {}
    for number, name in enumerate(turns):
        progress("training in turns", number, len(turns))
        found.setdefault(name, []).append(_train(name, dataset, base_folder, settings))
    progress("training in turns", len(turns), len(turns))
    ours, trl = found["ours"], found["trl"]
    noise = abs(ours[0]["held_out_loss"] - found["ours_other_seed"][0]["held_out_loss"])
    return {
        "tokens_per_second_over_trl": _median(ours, "tokens_per_second")
        / _median(trl, "tokens_per_second"),
        "peak_memory_over_trl": _median(ours, "peak_memory_bytes")
        / _median(trl, "peak_memory_bytes"),
        "loss_difference": statistics.fmean(
            abs(one["held_out_loss"] - other["held_out_loss"])
            for one, other in zip(ours, trl, strict=True)
        ),
        "details": {
            "loss_difference_of_two_seeds": noise,
            "steps": settings.steps,
            "batch": settings.batch,
            "samples": len(dataset.train),
            "settings": asdict(settings),
            "trl_rows": TRL_ROWS,
            "runs": found,
        },
    }


def _median(runs: Sequence[dict[str, Any]], key: str) -> float:
    return statistics.median(float(run[key]) for run in runs)


def _train(
    name: str, dataset: Dataset, base_folder: Path, settings: TrainSettings
) -> dict[str, Any]:
    """One training by `training.bench.worker` in a process of its own."""
    if name == "ours_other_seed":
        settings = replace(settings, seed=settings.seed + 1)
    asked = {
        "trainer": "trl" if name in TRL_ROWS else "ours",
        "trl": TRL_ROWS.get(name, {}),
        "base_folder": str(base_folder.resolve()),
        "settings": asdict(settings),
        "samples": [asdict(sample) for sample in dataset.train],
        "held_out": [asdict(sample) for sample in dataset.held_out],
    }
    with tempfile.TemporaryDirectory(prefix="personae-bench-") as folder:
        question, answer = Path(folder) / "question.json", Path(folder) / "answer.json"
        question.write_text(json.dumps(asked), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "training.bench.worker", str(question), str(answer)],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            check=False,
        )
        if done.returncode or not answer.is_file():
            last = (done.stderr.strip().splitlines() or ["it was killed"])[-1]
            raise ModelError(f"The training {name} of the bench failed: {last}.")
        found: dict[str, Any] = json.loads(answer.read_bytes())
    return found
