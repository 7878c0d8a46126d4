"""The processes of one training: one, or one for each GPU, on one machine or on several.

Every process holds the same LoRA weights. A batch is dealt out to them, and the gradients are added up, so
that all take the step that one process with the whole batch would take. Only the first writes files, and
only what it reads of them counts: other machines need the same models and corpora, no shared disk. Started
by `torchrun` or `accelerate launch` (see `training.tune.launch`), which set RANK, WORLD_SIZE and LOCAL_RANK.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from training.tune.encode import Encoded

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def parts(
        self, rows: Sequence[Encoded], *, most_rows: int, most_tokens: int
    ) -> list[tuple[Sequence[Encoded], float]]:
        """(micro-batch, its weight) of this process.

        All processes get as many, because sharded weights are gathered by all at once: one that has
        run out of rows computes one that counts nothing.
        """
        dealt = [_cut(rows[rank :: self.size], most_rows, most_tokens) for rank in range(self.size)]
        found: list[tuple[Sequence[Encoded], float]] = [(part, 1.0) for part in dealt[self.rank]]
        most = max(len(parts) for parts in dealt)
        return found + [(rows[:1], 0.0)] * (most - len(found))

    def add_up(self, model: Any, loss: float) -> float:
        """Sum of the loss over the processes; gradients are summed in place."""
        if self.size == 1:
            return loss
        import torch

        weights = [weight for weight in model.parameters() if weight.requires_grad]
        device = weights[0].device
        flat = torch.cat([weight.grad.float().flatten() for weight in weights])
        total = torch.tensor([loss], dtype=torch.float64, device=device)
        torch.distributed.all_reduce(flat)
        torch.distributed.all_reduce(total)
        at = 0
        for weight in weights:
            weight.grad.copy_(flat[at : at + weight.numel()].view_as(weight))
            at += weight.numel()
        return float(total)

    def said_by_first(self, said: T) -> T:
        """What the first process says, for all: what they decide by it, all decide alike."""
        if self.size == 1:
            return said
        import torch

        heard: list[T] = [said]
        torch.distributed.broadcast_object_list(heard)
        return heard[0]

    def all_say(self, said: str) -> bool:
        """Whether every process says the same."""
        if self.size == 1:
            return True
        import torch

        heard: list[str | None] = [None] * self.size
        torch.distributed.all_gather_object(heard, said)
        return len(set(heard)) == 1

    def wait_for_all(self) -> None:
        if self.size > 1:
            import torch

            torch.distributed.barrier()


def _cut(rows: Sequence[Encoded], most_rows: int, most_tokens: int) -> list[list[Encoded]]:
    parts: list[list[Encoded]] = []
    tokens = 0
    for row in rows:
        tokens += len(row.ids)
        if not parts or len(parts[-1]) == most_rows or tokens > most_tokens:
            parts.append([])
            tokens = len(row.ids)
        parts[-1].append(row)
    return parts


ALONE = World()


@contextlib.contextmanager
def joined() -> Iterator[World]:
    """The world that torchrun started, or `ALONE`."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    import torch

    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield World(int(os.environ["RANK"]), size)
    finally:
        torch.distributed.destroy_process_group()
