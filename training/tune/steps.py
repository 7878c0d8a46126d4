"""One step of training, and what surrounds it: batches, learning rate, optimizer, evaluation.

In: encoded rows and a peft model. Nothing here touches the disk; `training.tune.loop` puts the steps
together.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

from personae.errors import ModelError
from training.tune.encode import Encoded
from training.tune.lora import row_losses
from training.tune.run_folder import TrainSettings
from training.tune.world import ALONE, World

_MEASURED_AT_ONCE = 4


def plan_batches(lengths: Sequence[int], *, batch: int, steps: int, seed: int) -> list[list[int]]:
    """Row numbers of every step. Rows of like length stand together, so that little is padded.

    Each round shuffles the rows, sorts stretches of 8 batches by length, cuts them into batches and
    shuffles those.
    """
    order = random.Random(f"batches {seed}")  # noqa: S311 - an order, no secret
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
    """Of step 0 … all_steps-1: in each stage a linear rise over the warm-up, then a cosine down to
    nearly 0."""
    steps = settings.steps
    if step < settings.text_steps:
        steps = settings.text_steps
    else:
        step -= settings.text_steps
    warm = max(1, round(steps * settings.warmup))
    if step < warm:
        return settings.learning_rate * (step + 1) / warm
    done = (step - warm) / max(1, steps - warm)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


class Optimizer:
    """AdamW over float32 copies of the bfloat16 LoRA weights, without weight decay.

    `b_rate_ratio` gives the B matrices a rate of their own (LoRA+).
    """

    def __init__(self, model: Any, *, b_rate_ratio: float = 1.0) -> None:
        import torch

        named = [
            (name, weight) for name, weight in model.named_parameters() if weight.requires_grad
        ]
        self.weights = [weight for _name, weight in named]
        self.masters = [weight.detach().float().clone() for weight in self.weights]
        is_b = [".lora_B." in name for name, _weight in named]
        self.ratios = [1.0, b_rate_ratio]
        self.adam = torch.optim.AdamW(
            [
                {"params": [m for m, b in zip(self.masters, is_b, strict=True) if b == group]}
                for group in (False, True)
            ],
            lr=0.0,
            weight_decay=0.0,
        )

    def step(self, rate: float) -> None:
        import torch

        for weight, master in zip(self.weights, self.masters, strict=True):
            master.grad = weight.grad.float() if weight.grad is not None else None
            weight.grad = None
        torch.nn.utils.clip_grad_norm_(self.masters, 1.0)
        for group, ratio in zip(self.adam.param_groups, self.ratios, strict=True):
            group["lr"] = rate * ratio
        self.adam.step()
        self.write_back()

    def write_back(self) -> None:
        import torch

        with torch.no_grad():
            for weight, master in zip(self.weights, self.masters, strict=True):
                weight.copy_(master)


def learn(
    model: Any, batch: Sequence[Encoded], settings: TrainSettings, *, world: World = ALONE
) -> float:
    """Gradients of a batch, in small parts; returns the mean loss per label, in nats.

    Rows that begin alike are computed together. With several processes each takes a part of the rows,
    and all end with the gradients of the whole batch.
    """
    model.train()
    labels = sum(row.labels for row in batch)
    ordered = sorted(batch, key=lambda row: (row.ids[:8], len(row.ids)))
    total = 0.0
    parts = world.parts(ordered, most_rows=settings.micro_batch, most_tokens=settings.micro_tokens)
    for part, weight in parts:
        loss = row_losses(model, part).sum() * weight
        (loss / labels).backward()
        total += float(loss.detach())
    total = world.add_up(model, total)
    if not math.isfinite(total):
        raise ModelError("The loss is not finite any more. Train again with a lower learning rate.")
    return total / labels


def evaluate(model: Any, rows: Sequence[Encoded], tasks: Sequence[str]) -> dict[str, float]:
    """Held-out loss in nats per label, in all and by task, and bits per byte of the author's text."""
    import torch

    model.eval()
    nats = dict.fromkeys(tasks, 0.0)
    labels = dict.fromkeys(tasks, 0)
    order = sorted(range(len(rows)), key=lambda number: (rows[number].ids[:8], number))
    # Not inference_mode: weights that FSDP gathers in it could not be used for training afterwards.
    with torch.no_grad():
        for start in range(0, len(order), _MEASURED_AT_ONCE):
            numbers = order[start : start + _MEASURED_AT_ONCE]
            losses = row_losses(model, [rows[number] for number in numbers]).tolist()
            for number, loss in zip(numbers, losses, strict=True):
                nats[tasks[number]] += loss
                labels[tasks[number]] += rows[number].labels
    text_bytes = sum(row.target_bytes for row in rows)
    figures = {
        "held_out_loss": sum(nats.values()) / sum(labels.values()),
        "bits_per_byte": sum(nats.values()) / math.log(2) / text_bytes,
    }
    return figures | {f"held_out_loss_{task}": nats[task] / labels[task] for task in sorted(nats)}
