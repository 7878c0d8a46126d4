"""The two matrix products of LoRA for a batch in which every token may have another adapter, or none.

For tokens x (n_tokens, d_in) with adapter slots idx (n_tokens,), −1 meaning none, and stacked weights
A (n_slots, r, d_in), B (n_slots, d_out, r):

    y[t] += B[idx[t]] · A[idx[t]] · x[t]        for idx[t] ≥ 0; y[t] keeps every bit otherwise

Three ways, by the shape of the batch:

    one adapter for all tokens      two plain products with that slot's weights
    few tokens (decoding)           two products with the weights of *all* slots side by side, the
                                    columns of other slots cleared in between: few operations, no copies
    many tokens (prompts)           runs of tokens that share a slot, two plain products each

vLLM's own CPU code gathers one copy of the weights for every token instead, and lets −1 index the last
slot (vllm/lora/ops/torch_ops/lora_ops.py, 0.32).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

MAX_DENSE_TOKENS = 64
"""Up to here all slots at once is quicker than run by run."""

Run = tuple[int, int, int]
"""(first token, one past the last token, slot)."""


def runs_of(slots: torch.Tensor) -> list[Run]:
    """Runs of equal values of a 1-d tensor, in order.

    >>> runs_of(torch.tensor([2, 2, -1, 0]))
    [(0, 2, 2), (2, 3, -1), (3, 4, 0)]
    """
    values, counts = torch.unique_consecutive(slots, return_counts=True)
    runs: list[Run] = []
    start = 0
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        runs.append((start, start + count, value))
        start += count
    return runs


@dataclass(frozen=True)
class Batch:
    """What all layers need to know of a batch; made once for a step of the model.

    `others` (n_tokens, n_slots·r) is true where a column belongs to another slot than the token's.
    """

    tokens: int
    runs: list[Run]
    others: torch.Tensor | None

    @property
    def has_adapters(self) -> bool:
        return any(slot >= 0 for _start, _end, slot in self.runs)


def plan(slots: torch.Tensor, *, n_slots: int, rank: int) -> Batch:
    """Look at a batch's slots once.

    Args:
        slots: (n_tokens,) integers, −1 for no adapter.
    """
    runs = runs_of(slots)
    others = None
    if len(runs) > 1 and slots.numel() <= MAX_DENSE_TOKENS:
        columns = torch.arange(n_slots).repeat_interleave(rank)
        others = slots.unsqueeze(1) != columns.unsqueeze(0)
    return Batch(tokens=slots.numel(), runs=runs, others=others)


def shrink(
    x: torch.Tensor, a: torch.Tensor, batch: Batch
) -> torch.Tensor | list[torch.Tensor | None]:
    """A · x for each token.

    Args:
        x: (n_tokens, d_in).
        a: (n_slots, r, d_in).

    Returns:
        (n_tokens, n_slots·r) with other slots' columns cleared, or one (run, r) for each run.
    """
    if batch.others is not None:
        flat = a.reshape(-1, a.shape[-1])
        return torch.mm(x, flat.t()).masked_fill_(batch.others, 0)
    return [
        None if slot < 0 else torch.mm(x[start:end], a[slot].t()) for start, end, slot in batch.runs
    ]


def expand(
    y: torch.Tensor,
    h: torch.Tensor | list[torch.Tensor | None],
    b: torch.Tensor,
    batch: Batch,
    *,
    offset: int,
    size: int,
) -> None:
    """y[t, offset:offset+size] += B · h[t], in place; rows without an adapter are not written.

    Args:
        y: (n_tokens, d_all).
        h: what `shrink` gave.
        b: (n_slots, d_out, r), d_out padded to at least `size`. Quickest when its storage is
            (n_slots, r, d_out), see `side_by_side`.
    """
    size = min(size, b.shape[1], y.shape[1] - offset)
    target = y[:, offset : offset + size]
    if isinstance(h, torch.Tensor):
        flat = b[:, :size].permute(0, 2, 1).reshape(-1, size)
        # A row whose columns are all cleared adds exact zeros: it keeps its bits.
        target.addmm_(h.to(flat.dtype), flat) if target.dtype == flat.dtype else target.add_(
            torch.mm(h.to(flat.dtype), flat).to(target.dtype)
        )
        return
    for (start, end, slot), part in zip(batch.runs, h, strict=True):
        if part is None:
            continue
        rows = target[start:end]
        if rows.dtype == b.dtype:
            rows.addmm_(part.to(b.dtype), b[slot, :size].t())
        else:
            rows.add_(torch.mm(part.to(b.dtype), b[slot, :size].t()).to(rows.dtype))


def side_by_side(b: torch.Tensor) -> torch.Tensor:
    """The same stacked weights, (n_slots, 1, d_out, r), stored so that all slots' columns lie side by
    side: `expand` then reads them without copying. Writing into slices of it works as before."""
    n_slots, _one, d_out, rank = b.shape
    storage = torch.zeros(n_slots, rank, d_out, dtype=b.dtype, device=b.device)
    view = storage.permute(0, 2, 1).unsqueeze(1)
    view.copy_(b)
    return view
