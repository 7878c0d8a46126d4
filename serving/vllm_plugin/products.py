"""The two matrix products of LoRA for a batch in which every token may have another adapter, or none.

For tokens x (n_tokens, d_in) with adapter slots idx (n_tokens,), −1 meaning none, and for each slice of a
packed layer (q, k and v, say) stacked weights A (n_slots, r, d_in), B (n_slots, d_out, r):

    y[t] += B[idx[t]] · A[idx[t]] · x[t]        for idx[t] ≥ 0; y[t] keeps every bit otherwise

The tokens of a batch are sorted by slot once a step; what follows depends on how many share a slot:

    few (decoding)       `token_kernel`: one compiled loop for all of them, each weight read once a pair
    many (prompts)       two plain matrix products a slice, where the model runs on several threads

The loop is as quick for prompts on one thread, and its results do not depend on the batch. vLLM's own CPU
code gathers a copy of the weights for every token instead, and lets −1 index the last slot
(vllm/lora/ops/torch_ops/lora_ops.py, 0.32).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

MANY_TOKENS = 256
"""From here a group's tokens go through matrix products if those run on several threads."""


@dataclass(frozen=True)
class Group:
    """Tokens that share a slot: rows of the batch, in rising order."""

    slot: int
    rows: torch.Tensor | slice
    """A slice when the rows are neighbours (the tokens of one prompt are)."""


@dataclass(frozen=True)
class Batch:
    """What all layers need to know of a batch; made once for a step of the model."""

    few: np.ndarray
    """int64 (2, n): rows of small groups, sorted by slot, and their slots."""
    many: Sequence[Group]
    few_address: int
    few_count: int
    has_adapters: bool


def plan(slots: torch.Tensor, *, threads: int | None = None) -> Batch:
    """Look at a batch's slots, (n_tokens,) integers with −1 for no adapter, once.

    Args:
        threads: that matrix products run on; None asks torch.
    """
    one_thread = (threads or torch.get_num_threads()) == 1
    found = slots.numpy()
    order = np.argsort(found, kind="stable")
    ordered = found[order]
    few: list[np.ndarray] = []
    many: list[Group] = []
    starts = np.flatnonzero(np.diff(ordered, prepend=-2))
    for start, end in zip(starts, [*starts[1:], len(ordered)], strict=True):
        rows, slot = order[start:end], int(ordered[start])
        if slot < 0:
            continue
        if one_thread or len(rows) < MANY_TOKENS:
            few.append(rows)
        else:
            many.append(Group(slot, _neighbours(rows)))
    rows = np.concatenate(few) if few else np.empty(0, dtype=np.int64)
    both = np.stack([rows, found[rows]]).astype(np.int64)
    return Batch(both, many, both.ctypes.data, len(rows), has_adapters=bool(few or many))


def _neighbours(rows: np.ndarray) -> torch.Tensor | slice:
    first, last = int(rows[0]), int(rows[-1])
    if last - first + 1 == len(rows):
        return slice(first, last + 1)
    return torch.from_numpy(rows.astype(np.int64))


class Layer:
    """The stacked weights of one layer, as both ways read them.

    Args:
        a: per slice (n_slots, 1, r, d_in), contiguous.
        b: per slice (n_slots, 1, d_out, r), as `columns_together` lays them out.
        sizes: rows of each slice's output; B may be padded beyond.
    """

    def __init__(
        self, a: Sequence[torch.Tensor], b: Sequence[torch.Tensor], sizes: Sequence[int]
    ) -> None:
        self.a, self.b, self.sizes = tuple(a), tuple(b), tuple(sizes)
        n_slots, _one, rank, d_in = self.a[0].shape
        self.ranks = np.zeros((len(self.a), n_slots), dtype=np.uint8)
        """Of each slice and slot: the rank of its adapter, which may be below r; 0 means none."""
        # Not at the top: a worker of vLLM 0.32 looks through all loaded modules when it starts
        # (vllm/triton_utils/dispatcher.py), and stumbles over llvmlite, which comes with numba.
        from serving.vllm_plugin.token_kernel import MAX_RANK, kernel_for

        self.dtype = self.a[0].dtype
        self.kernel = kernel_for(self.dtype, rank)
        self._scratch = np.empty(2 * d_in + 2 * MAX_RANK + max(sizes), dtype=np.float32)
        numbers = [self._scratch.ctypes.data, len(self.a), n_slots, rank, d_in]
        numbers.append(self.ranks.ctypes.data)
        offset = 0
        for down, up, size in zip(self.a, self.b, self.sizes, strict=True):
            columns = up.shape[2]
            numbers += [down.data_ptr(), up.data_ptr(), columns, size, offset]
            offset += size
        self._description = np.array(numbers, dtype=np.int64)
        self._address = self._description.ctypes.data

    def look_at(self, slot: int) -> None:
        """To be called after a slot's weights were written: notes which slices it adapts, by what rank."""
        for number, up in enumerate(self.b):
            columns = up[slot, 0].any(dim=0).nonzero()
            self.ranks[number, slot] = int(columns.max()) + 1 if len(columns) else 0

    def add_lora(self, y: torch.Tensor, x: torch.Tensor, batch: Batch) -> None:
        """y += B A x for all slices, in place; rows without an adapter keep every bit.

        Args:
            y: (n_tokens, Σ sizes or more), rows contiguous.
            x: (n_tokens, d_in), rows contiguous.
        """
        for group in batch.many:
            self._add_group(y, x, group)
        if not batch.few_count:
            return
        if self.kernel is None or y.dtype != self.dtype or x.dtype != self.dtype:
            for row, slot in batch.few.T.tolist():
                self._add_group(y, x, Group(slot, slice(row, row + 1)))
            return
        self.kernel(
            self._address,
            x.data_ptr(),
            x.stride(0),
            y.data_ptr(),
            y.stride(0),
            batch.few_address,
            batch.few_count,
        )

    def _add_group(self, y: torch.Tensor, x: torch.Tensor, group: Group) -> None:
        rows = x[group.rows]
        offset = 0
        for number, (down, up, size) in enumerate(zip(self.a, self.b, self.sizes, strict=True)):
            rank = int(self.ranks[number, group.slot])
            if rank:
                h = torch.mm(rows, down[group.slot, 0, :rank].to(x.dtype).t())
                update = torch.mm(h, up[group.slot, 0, :size, :rank].to(x.dtype).t())
                if isinstance(group.rows, slice):
                    y[group.rows, offset : offset + size] += update
                else:
                    y[:, offset : offset + size].index_add_(0, group.rows, update.to(y.dtype))
            offset += size


def columns_together(b: torch.Tensor) -> torch.Tensor:
    """The same stacked B, (n_slots, 1, d_out, r), stored so that a column's rows lie side by side: the
    kernel then reads each column as one stream. Writing into slices works as before."""
    storage = b.squeeze(1).permute(0, 2, 1).contiguous()
    return storage.permute(0, 2, 1).unsqueeze(1)
