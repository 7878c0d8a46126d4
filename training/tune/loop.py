"""The steps of a training, from its last checkpoint to its last step.

In: a model with an adapter, encoded rows. Out: in the run folder metrics, checkpoints and the best weights so
far; the state at the end. Stages follow each other in one count of steps: plain text first where there
is any, then conversations. It knows neither personas nor corpora.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from personae.progress import Progress
from training.tune.checkpoint import TrainState, resume, save_checkpoint, save_tensors
from training.tune.encode import Encoded
from training.tune.lora import lora_tensors
from training.tune.run_folder import BEST, TrainSettings, append_metrics
from training.tune.steps import Optimizer, evaluate, learn, learning_rate, plan_batches
from training.tune.watch import Watch
from training.tune.world import World

Live = Callable[[str], None]
"""Gets the live line after every step."""


@dataclass(frozen=True)
class Rows:
    conversations: list[Encoded]
    held_out: list[Encoded]
    held_out_tasks: list[str]
    texts: list[Encoded]
    """Of the training documents; empty without continued pre-training."""

    def batches(self, settings: TrainSettings) -> list[list[Encoded]]:
        """The rows of every step."""
        stages = [(self.texts, settings.text_steps), (self.conversations, settings.steps)]
        return [
            [rows[number] for number in batch]
            for rows, steps in stages
            if steps
            for batch in plan_batches(
                [len(row.ids) for row in rows],
                batch=settings.batch,
                steps=steps,
                seed=settings.seed,
            )
        ]


def run_steps(
    run: Path,
    model: Any,
    rows: Rows,
    watch: Watch,
    settings: TrainSettings,
    *,
    doing: str,
    world: World,
    progress: Progress,
    live: Live,
) -> TrainState:
    import torch

    optimizer = Optimizer(model, b_rate_ratio=settings.b_rate_ratio)
    state = resume(run, optimizer, world=world)
    batches = rows.batches(settings)
    steps = settings.all_steps
    if state.before is None:
        progress("measuring the base model", 0, None)
        state.before = evaluate(model, rows.held_out, rows.held_out_tasks)
        _note(run, world, {"step": 0} | state.before)
    speed = _Speed()
    while state.step < steps and not state.stopped:
        started = time.monotonic()
        progress(doing, state.step, steps)
        batch = batches[state.step]
        # Each step seeds its own dropout: a resumed run needs no generator's state.
        torch.manual_seed((settings.seed * 1_000_003 + state.step) * world.size + world.rank)
        loss = learn(model, batch, settings, world=world)
        rate = learning_rate(state.step, settings)
        optimizer.step(rate)
        state.step += 1
        tokens, seconds = sum(len(row.ids) for row in batch), time.monotonic() - started
        live(speed.line(loss, tokens, seconds, steps - state.step))
        figures = {"step": state.step, "loss": loss, "learning_rate": rate, "tokens": tokens}
        _note(run, world, figures | {"seconds": round(seconds, 3)})
        if _is_evaluated(state.step, settings):
            found = evaluate(model, rows.held_out, rows.held_out_tasks)
            found = world.said_by_first(found | watch(model))
            _note(run, world, {"step": state.step} | found)
            if state.note_evaluation(found, settings) and world.is_first:
                save_tensors(run / BEST, lora_tensors(model))
        state.seconds += time.monotonic() - started
        last = state.step == steps or bool(state.stopped)
        if world.is_first and (last or state.step % settings.checkpoint_every == 0):
            save_checkpoint(run, optimizer, state)
    progress(doing, steps, steps)
    return state


def _note(run: Path, world: World, figures: dict[str, Any]) -> None:
    if world.is_first:
        append_metrics(run, figures)


def _is_evaluated(step: int, settings: TrainSettings) -> bool:
    """`evaluations` times over the conversations, the last of them after the last step."""
    step -= settings.text_steps
    every = max(1, settings.steps // settings.evaluations)
    return step > 0 and (step == settings.steps or step % every == 0)


class _Speed:
    """The live line: loss, tokens a second and time left, smoothed over the last few steps."""

    _STEPS = 8

    def __init__(self) -> None:
        self._last: list[tuple[float, int, float]] = []

    def line(self, loss: float, tokens: int, seconds: float, steps_left: int) -> str:
        """
        >>> _Speed().line(3.456, 1600, 4.0, 90)
        'loss 3.46, 400 tokens/s, 6 min left'
        """
        self._last = [*self._last, (loss, tokens, seconds)][-self._STEPS :]
        count = len(self._last)
        loss = sum(loss for loss, _tokens, _seconds in self._last) / count
        tokens = sum(tokens for _loss, tokens, _seconds in self._last)
        seconds = sum(seconds for _loss, _tokens, seconds in self._last)
        left = seconds / count * steps_left
        shown = f"{left / 60:.0f} min" if left >= 90 else f"{left:.0f} s"
        return f"loss {loss:.2f}, {tokens / max(seconds, 1e-9):.0f} tokens/s, {shown} left"
