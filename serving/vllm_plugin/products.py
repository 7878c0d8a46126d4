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
    """The stacked weights of one layer, as vLLM writes them and packed as the kernel reads them.

    Packed, all that a token needs of a layer lies in one stretch of memory, in the order it is read, and no
    longer than its adapter's rank asks for: reading it is most of the work of decoding.

    Args:
        a: per slice (n_slots, 1, r, d_in).
        b: per slice (n_slots, 1, d_out, r).
        sizes: rows of each slice's output; B may be padded beyond.
    """

    def __init__(
        self, a: Sequence[torch.Tensor], b: Sequence[torch.Tensor], sizes: Sequence[int]
    ) -> None:
        self.a, self.b, self.sizes = tuple(a), tuple(b), tuple(sizes)
        n_slots, _one, rank, d_in = self.a[0].shape
        self.ranks = np.zeros((len(self.a), n_slots), dtype=np.int64)
        """Of each slice and slot: the rank of its adapter, which may be below r; 0 means none."""
        # Not at the top: a worker of vLLM 0.32 looks through all loaded modules when it starts
        # (vllm/triton_utils/dispatcher.py), and stumbles over llvmlite, which comes with numba.
        from serving.vllm_plugin.token_kernel import LANES, MAX_RANK, kernel_for

        self.dtype = self.a[0].dtype
        self.kernel = kernel_for(self.dtype, rank)
        self._packed: list[torch.Tensor | None] = [None] * n_slots
        self._table = np.zeros((n_slots, len(self.a), 3), dtype=np.int64)
        scratch = 2 * d_in + 2 * MAX_RANK + LANES + max(sizes)
        self._scratch = np.zeros(scratch, dtype=np.float32)
        numbers = [self._scratch.ctypes.data, len(self.a), d_in, self._table.ctypes.data]
        self._width = sum(self.sizes)
        offset = 0
        for size in self.sizes:
            numbers += [size, offset]
            offset += size
        self._description = np.array(numbers, dtype=np.int64)
        self._address = self._description.ctypes.data

    def forget(self, slot: int) -> None:
        """To be called after a slot was emptied."""
        self._table[slot] = 0
        self.ranks[:, slot] = 0
        self._packed[slot] = None

    def look_at(self, slot: int) -> None:
        """To be called after a slot's weights were written: packs them, by the rank they use."""
        self.forget(slot)
        parts: list[tuple[int, torch.Tensor, torch.Tensor]] = []
        for number, (down, up, size) in enumerate(zip(self.a, self.b, self.sizes, strict=True)):
            columns = up[slot, 0].any(dim=0).nonzero()
            rank = int(columns.max()) + 1 if len(columns) else 0
            self.ranks[number, slot] = rank
            if rank:
                rank = min(max(rank, 8), down.shape[2])
                parts.append((number, down[slot, 0, :rank], _in_lanes(up[slot, 0, :size, :rank])))
        if self.kernel is None or not parts:
            return
        packed = torch.cat([part.reshape(-1) for _, *both in parts for part in both])
        self._packed[slot] = packed
        at = packed.data_ptr()
        for number, down, up in parts:
            behind = at + down.numel() * packed.element_size()
            self._table[slot, number] = down.shape[0], at, behind
            at = behind + up.numel() * packed.element_size()

    def add_lora(self, y: torch.Tensor, x: torch.Tensor, batch: Batch) -> None:
        """y += B A x for all slices, in place; rows without an adapter keep every bit.

        Args:
            y: (n_tokens, Σ sizes or more), rows contiguous. Where it has fewer columns (logits cut to the
                words a tokenizer knows), those it has are written.
            x: (n_tokens, d_in), rows contiguous.
        """
        for group in batch.many:
            self._add_group(y, x, group)
        if not batch.few_count:
            return
        if (
            self.kernel is None
            or y.dtype != self.dtype
            or x.dtype != self.dtype
            or y.shape[1] < self._width  # the kernel writes them all
        ):
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
            size = min(size, y.shape[1] - offset)
            if rank and size > 0:
                h = torch.mm(rows, down[group.slot, 0, :rank].to(x.dtype).t())
                update = torch.mm(h, up[group.slot, 0, :size, :rank].to(x.dtype).t())
                if isinstance(group.rows, slice):
                    y[group.rows, offset : offset + size] += update
                else:
                    y[:, offset : offset + size].index_add_(0, group.rows, update.to(y.dtype))
            offset += size


def _in_lanes(b: torch.Tensor) -> torch.Tensor:
    """(d_out, r) → (d_out / LANES rounded up, r, LANES), zero behind d_out."""
    from serving.vllm_plugin.token_kernel import LANES

    d_out, rank = b.shape
    blocks = -(-d_out // LANES)
    padded = b.new_zeros(blocks * LANES, rank)
    padded[:d_out] = b
    return padded.view(blocks, LANES, rank).permute(0, 2, 1).contiguous()
