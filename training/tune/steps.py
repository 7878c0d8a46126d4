"""One step of training, and what surrounds it: batches, learning rate, optimizer, evaluation.

In: encoded rows and a peft model. Nothing here touches the disk; `training.train` puts the steps together.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

from personae.errors import ModelError
from training.tune.encode import Encoded
from training.tune.lora import label_loss
from training.tune.run_folder import TrainSettings


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
    """Of step 0 … steps-1: a linear rise over the warm-up, then a cosine down to nearly 0."""
    warm = max(1, round(settings.steps * settings.warmup))
    if step < warm:
        return settings.learning_rate * (step + 1) / warm
    done = (step - warm) / max(1, settings.steps - warm)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


class Optimizer:
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


def learn(model: Any, batch: Sequence[Encoded], micro_batch: int) -> float:
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
    nats = dict.fromkeys(tasks, 0.0)
    labels = dict.fromkeys(tasks, 0)
    with torch.inference_mode():
        for row, task in zip(rows, tasks, strict=True):
            loss, count = label_loss(model, [row])
            nats[task] += float(loss)
            labels[task] += count
    text_bytes = sum(row.target_bytes for row in rows)
    figures = {
        "held_out_loss": sum(nats.values()) / sum(labels.values()),
        "bits_per_byte": sum(nats.values()) / math.log(2) / text_bytes,
    }
    return figures | {f"held_out_loss_{task}": nats[task] / labels[task] for task in sorted(nats)}
