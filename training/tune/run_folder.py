"""Settings of a training, and reading and writing its folder (`personae.training_run` names the files)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from personae.errors import AdapterError
from personae.files import write_atomic
from personae.training_run import (
    ADAPTER,
    BEST,
    CHECKPOINT,
    METRICS,
    PLAN,
    PREFLIGHT,
    PREVIEW,
    RESULT,
    Plan,
    Result,
)

__all__ = [
    "ADAPTER",
    "BEST",
    "CHECKPOINT",
    "METRICS",
    "PLAN",
    "PREFLIGHT",
    "PREVIEW",
    "RESULT",
    "Plan",
    "Result",
    "TrainSettings",
    "append_metrics",
    "keep_metrics_until",
    "read_run",
    "settings_dict",
    "write_plan",
]


@dataclass(frozen=True)
class TrainSettings:
    """Hyper-parameters. The defaults were measured on SmolLM2-135M and 20k-140k words of one author.

    What machines of other sizes take is in `training.tune.profiles`.
    """

    steps: int = 100
    batch: int = 8
    micro_batch: int = 4
    """Rows computed at once; the result is the same. On a CPU 4 is faster than 8 and than 2: what is
    between two layers then stays in the cache."""
    micro_tokens: int = 1024
    """Tokens computed at once, at most (one row always is): long samples then take no more memory."""
    rank: int = 8
    alpha: int = 16
    dropout: float = 0.0
    """0.05 costs a quarter of the speed on a CPU; best-of-evaluations guards against overfitting."""
    learning_rate: float = 7e-4
    b_rate_ratio: float = 1.0
    """Rate of the B matrices over that of A; LoRA+ takes 16 (https://arxiv.org/abs/2402.12354)."""
    warmup: float = 0.08
    """Share of the steps in which the rate rises from 0; then it falls as a cosine."""
    evaluations: int = 4
    """Times the held-out loss is measured. Each costs about a step for eight held-out samples."""
    patience: int = 3
    """Evaluations in a row without a better one after which training stops."""
    held_out_samples: int = 32
    probes: int = 2
    """Greedy continuations at each evaluation, searched for stretches of the training text; on two
    CPU cores each costs about two seconds. 0 switches the watch on memorization off."""
    probe_tokens: int = 64
    copied_words: int = 40
    """A checkpoint that copies a longer stretch is only kept where all do."""
    checkpoint_every: int = 10
    text_steps: int = 0
    """Steps on the plain corpus before the conversations (continued pre-training)."""
    max_tokens: int = 1024
    four_bit_base: bool = False
    """QLoRA: the frozen weights in 4 bit while training (a quarter of their memory, a third slower). The
    adapter is 16 bit, and so is the base it is merged into or served with."""
    gradient_checkpointing: bool = False
    """Forgets activations and computes them again: about a third slower, a fraction of the memory."""
    shard_base: bool = False
    """Several GPUs hold parts of the frozen weights (FSDP) instead of a copy each."""
    seed: int = 17

    @property
    def samples(self) -> int:
        """Each sample is met about once: a new stretch of text is worth more than a second look."""
        return self.steps * self.batch

    @property
    def all_steps(self) -> int:
        return self.text_steps + self.steps


def settings_dict(settings: TrainSettings) -> dict[str, Any]:
    return asdict(settings)


def write_plan(run: Path, plan: Plan) -> None:
    write_atomic(run / PLAN, plan.model_dump_json(indent=2) + "\n")


def read_run(run: Path) -> tuple[Plan, Result]:
    """Plan and result of a finished run.

    Raises:
        AdapterError: it is not finished, or its files were damaged.
    """
    try:
        plan = Plan.model_validate_json((run / PLAN).read_bytes())
        result = Result.model_validate_json((run / RESULT).read_bytes())
    except FileNotFoundError as err:
        raise AdapterError(
            f"The training run {run} is not finished. Run the same `personae train run` again; "
            "it goes on where it stopped."
        ) from err
    except ValidationError as err:
        raise AdapterError(f"The files of the training run {run} are damaged ({err}).") from err
    return plan, result


def append_metrics(run: Path, row: dict[str, Any]) -> None:
    with (run / METRICS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def keep_metrics_until(run: Path, step: int) -> None:
    """Drop lines after `step`: a killed run wrote them, and the resumed one writes them again."""
    path = run / METRICS
    if not path.is_file():
        return
    kept = []
    for line in path.read_text("utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue  # the line the kill cut short
        if row["step"] <= step:
            kept.append(line + "\n")
    write_atomic(path, "".join(kept))
