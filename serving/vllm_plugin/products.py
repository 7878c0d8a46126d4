"""The two matrix products of LoRA for a batch in which every token may have another adapter, or none.

For tokens x (n_tokens, d_in) with adapter slots idx (n_tokens,), −1 meaning none, and for each slice of a
packed layer (q, k and v, say) stacked weights A (n_slots, r, d_in), B (n_slots, d_out, r):

    y[t] += B[idx[t]] · A[idx[t]] · x[t]        for idx[t] ≥ 0; y[t] keeps every bit otherwise

Two ways, by the length of the batch:

    few tokens (decoding)    products with the weights of *all* slots side by side, the columns of other
                             slots cleared in between: few operations, no copies of weights
    many tokens (prompts)    runs of tokens that share a slot, two plain products each

vLLM's own CPU code gathers one copy of the weights for every token instead, and lets −1 index the last
slot (vllm/lora/ops/torch_ops/lora_ops.py, 0.32). Weights are kept in float32, as peft keeps an
adapter on a bfloat16 base: products as small as decoding's take a tenth of bfloat16's time on a CPU
(measured for 1 × 576 × 48: 2.9 against 28 microseconds, AMD EPYC with AVX512-BF16). Prompts are
multiplied in the model's own type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

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


@dataclass
class Batch:
    """What all layers need to know of a batch; made once for a step of the model."""

    slots: torch.Tensor
    runs: list[Run]
    _masks: dict[tuple[int, int, int], torch.Tensor] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        return self.slots.numel()

    @property
    def has_adapters(self) -> bool:
        return any(slot >= 0 for _start, _end, slot in self.runs)

    def others(self, n_slices: int, n_slots: int, rank: int) -> torch.Tensor:
        """(n_tokens, n_slices·n_slots·rank), true where a column is of another slot than the token's."""
        key = (n_slices, n_slots, rank)
        if key not in self._masks:
            columns = torch.arange(n_slots).repeat_interleave(rank).repeat(n_slices)
            self._masks[key] = self.slots.unsqueeze(1) != columns.unsqueeze(0)
        return self._masks[key]


def plan(slots: torch.Tensor) -> Batch:
    """Look at a batch's slots, (n_tokens,) integers with −1 for no adapter, once."""
    return Batch(slots=slots, runs=runs_of(slots))


def add_lora(
    y: torch.Tensor,
    x: torch.Tensor,
    a: Sequence[torch.Tensor],
    b: Sequence[torch.Tensor],
    sizes: Sequence[int],
    batch: Batch,
) -> None:
    """y += B A x for all slices of a layer, in place; rows without an adapter keep every bit.

    Args:
        y: (n_tokens, Σ sizes or more).
        x: (n_tokens, d_in).
        a: per slice (n_slots, 1, r, d_in).
        b: per slice (n_slots, 1, d_out, r), d_out padded to at least the slice's size.
    """
    if batch.tokens <= MAX_DENSE_TOKENS:
        _add_all_slots(y, x, a, b, sizes, batch)
    else:
        _add_runs(y, x, a, b, sizes, batch)


def _add_all_slots(
    y: torch.Tensor,
    x: torch.Tensor,
    a: Sequence[torch.Tensor],
    b: Sequence[torch.Tensor],
    sizes: Sequence[int],
    batch: Batch,
) -> None:
    n_slots, _one, rank, _d_in = a[0].shape
    width = n_slots * rank
    x = x.to(a[0].dtype)
    h = torch.mm(x, _all_rows(a).t())
    h.masked_fill_(batch.others(len(a), n_slots, rank), 0)
    total = min(sum(sizes), y.shape[1])
    # A row whose columns are all cleared adds exact zeros: it keeps its bits.
    update = x.new_zeros(y.shape[0], total) if len(b) > 1 else None
    offset = 0
    for number, (weights, size) in enumerate(zip(b, sizes, strict=True)):
        size = min(size, weights.shape[2], total - offset)
        flat = weights.squeeze(1)[:, :size].permute(0, 2, 1).reshape(width, size)
        part = h[:, number * width : (number + 1) * width]
        if update is None:
            y[:, :size] += torch.mm(part, flat)
        else:
            torch.mm(part, flat, out=update[:, offset : offset + size])
        offset += size
    if update is not None:
        y[:, :total] += update


def _all_rows(a: Sequence[torch.Tensor]) -> torch.Tensor:
    """(n_slices·n_slots·r, d_in): all A of a layer as one matrix, without a copy where `one_matrix`
    laid them out."""
    first = a[0]
    d_in = first.shape[-1]
    step = first.numel() * first.element_size()
    rows = sum(weights.numel() for weights in a) // d_in
    together = first.is_contiguous() and all(
        weights.data_ptr() == first.data_ptr() + number * step for number, weights in enumerate(a)
    )
    if together:
        return first.as_strided((rows, d_in), (d_in, 1))
    return torch.cat([weights.reshape(-1, d_in) for weights in a])


def _add_runs(
    y: torch.Tensor,
    x: torch.Tensor,
    a: Sequence[torch.Tensor],
    b: Sequence[torch.Tensor],
    sizes: Sequence[int],
    batch: Batch,
) -> None:
    for start, end, slot in batch.runs:
        if slot < 0:
            continue
        offset = 0
        for down, up, size in zip(a, b, sizes, strict=True):
            size = min(size, up.shape[2], y.shape[1] - offset)
            # Long products are bfloat16's home; one slot's weights are quickly made it.
            h = torch.mm(x[start:end], down[slot, 0].to(x.dtype).t())
            y[start:end, offset : offset + size] += torch.mm(h, up[slot, 0, :size].to(x.dtype).t())
            offset += size


def one_matrix(a: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """The same stacked A, per slice (n_slots, 1, r, d_in), in float32 and one behind the other."""
    storage = torch.stack([weights.float() for weights in a])
    return tuple(storage[number] for number in range(len(a)))


def side_by_side(b: torch.Tensor) -> torch.Tensor:
    """The same stacked B, (n_slots, 1, d_out, r), in float32 and stored so that all slots' columns lie
    side by side: `add_lora` then reads them without copying. Writing into slices works as before."""
    n_slots, _one, d_out, rank = b.shape
    storage = torch.zeros(n_slots, rank, d_out, dtype=torch.float32, device=b.device)
    view = storage.permute(0, 2, 1).unsqueeze(1)
    view.copy_(b)
    return view
