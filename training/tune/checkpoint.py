"""Stop anywhere, go on from the last checkpoint: the LoRA weights in float32, the optimizer, the step.

In and out: a run folder. A checkpoint is replaced as a whole, so a kill in the middle of writing leaves the
one before it. No generator's state is kept: each step seeds its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from personae.errors import AdapterError
from personae.files import folder_written_aside, write_atomic
from personae.training_run import LOCK
from training.tune.run_folder import CHECKPOINT, TrainSettings, keep_metrics_until
from training.tune.steps import Optimizer
from training.tune.world import ALONE, World

log = logging.getLogger(__name__)


@dataclass
class TrainState:
    """What a checkpoint holds beside the tensors."""

    step: int = 0
    best_step: int = 0
    without_better: int = 0
    """Evaluations since the best one."""
    seconds: float = 0.0
    before: dict[str, float] | None = None
    best: dict[str, float] | None = None
    stopped: str = ""
    """Why it ended before the last step: "held-out loss" or "memorization"; "" when it did not."""

    def note_evaluation(self, found: dict[str, float], settings: TrainSettings) -> bool:
        """Whether this is the best so far; if so it is remembered.

        One that recites is only better than another that does. Training stops after `patience` that
        were not better, or where the same number recite.
        """

        def worth(figures: dict[str, float]) -> tuple[bool, float]:
            return recites(figures), figures["held_out_loss"]

        def recites(figures: dict[str, float]) -> bool:
            return figures.get("copied_words", 0.0) > settings.copied_words

        loss = found["held_out_loss"]
        if math.isfinite(loss) and (self.best is None or worth(found) < worth(self.best)):
            self.best_step, self.best, self.without_better = self.step, found, 0
            return True
        self.without_better += 1
        if self.without_better >= settings.patience:
            self.stopped = "memorization" if recites(found) else "held-out loss"
        return False


@contextlib.contextmanager
def only_process(run: Path) -> Iterator[None]:
    """Hold a run folder alone; the lock goes with the process, however it ends.

    Raises:
        AdapterError: another process is training this very run.
    """
    with (run / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            raise AdapterError(
                f"Another process is training {run}. Wait for it, or stop it first."
            ) from err
        yield


def save_tensors(path: Path, tensors: dict[str, Any]) -> None:
    from safetensors.torch import save

    write_atomic(path, save(tensors))


def save_checkpoint(run: Path, optimizer: Optimizer, state: TrainState) -> None:
    import torch

    with folder_written_aside(run / CHECKPOINT, "saving a checkpoint") as aside:
        torch.save(
            {"masters": optimizer.masters, "adam": optimizer.adam.state_dict()},
            aside / "tensors.pt",
        )
        (aside / "state.json").write_text(json.dumps(vars(state)), encoding="utf-8")


def resume(run: Path, optimizer: Optimizer, *, world: World = ALONE) -> TrainState:
    """The last checkpoint's state, with its tensors put into the optimizer; a fresh one without.

    Only the first process reads it, and sends it to the others: their machines need not see its disk.
    """
    import torch

    kept = world.said_by_first(_read_checkpoint(run) if world.is_first else None)
    if kept is None:
        if world.is_first:
            keep_metrics_until(run, -1)
        return TrainState()
    facts, tensors = kept
    state = TrainState(**facts)
    saved = torch.load(io.BytesIO(tensors), weights_only=True, map_location="cpu")
    with torch.no_grad():
        for master, tensor in zip(optimizer.masters, saved["masters"], strict=True):
            master.copy_(tensor)
    optimizer.adam.load_state_dict(saved["adam"])
    optimizer.write_back()
    if world.is_first:
        keep_metrics_until(run, state.step)
    log.info("resuming at step %d", state.step)
    return state


def _read_checkpoint(run: Path) -> tuple[dict[str, Any], bytes] | None:
    """(fields of the state, tensors as they were saved)"""
    folder = run / CHECKPOINT
    if not (folder / "state.json").is_file():
        return None
    return json.loads((folder / "state.json").read_bytes()), (folder / "tensors.pt").read_bytes()
