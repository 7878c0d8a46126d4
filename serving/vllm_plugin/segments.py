"""LoRA on the CPU by runs of tokens that share an adapter, skipping tokens that have none.

For a batch of tokens x (n_tokens, d_in) with adapter indices idx (n_tokens,), −1 meaning none, and
stacked weights A (n_slots, r, d_in), B (n_slots, d_out, r):

    y[t] += scale · B[idx[t]] · A[idx[t]] · x[t]        for idx[t] ≥ 0, and y[t] untouched otherwise

Long runs (prompts) go through one matrix product each. Batches of many short runs (decoding several
personas at once) gather weights per token as vLLM does, which is quicker there, with the rows of −1
masked out.
"""

from __future__ import annotations

import torch

# Below this mean length of a run, one gathered product beats many small ones.
_MIN_MEAN_RUN_TOKENS = 4

Run = tuple[int, int, int]
"""(first token, one past the last token, adapter index)."""


def runs_of(indices: torch.Tensor) -> list[Run]:
    """Runs of equal values of a 1-d tensor, in order.

    >>> runs_of(torch.tensor([2, 2, -1, 0]))
    [(0, 2, 2), (2, 3, -1), (3, 4, 0)]
    """
    values, counts = torch.unique_consecutive(indices, return_counts=True)
    runs: list[Run] = []
    start = 0
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        runs.append((start, start + count, value))
        start += count
    return runs


def shrink(
    y: torch.Tensor, x: torch.Tensor, a: torch.Tensor, scale: float, indices: torch.Tensor
) -> None:
    """y[t] = scale · A[idx[t]] · x[t], zero where idx[t] is −1.

    Args:
        y: (n_tokens, r_buffer) float32, written.
        x: (n_tokens, d_in).
        a: (n_slots, 1, r, d_in) or (n_slots, r, d_in).
    """
    a = a.squeeze(1) if a.dim() == 4 else a
    rank = a.shape[1]
    runs = runs_of(indices)
    if len(runs) * _MIN_MEAN_RUN_TOKENS > indices.numel() and len(runs) > 1:
        held = indices >= 0
        gathered = a[indices.clamp(min=0)]
        product = torch.bmm(gathered, x.to(a.dtype).unsqueeze(-1)).squeeze(-1).to(y.dtype)
        y[:, :rank] = product * (scale * held.to(y.dtype)).unsqueeze(-1)
        return
    for start, end, index in runs:
        if index < 0:
            y[start:end, :rank].zero_()
        else:
            product = x[start:end].to(a.dtype) @ a[index].t()
            y[start:end, :rank] = product.to(y.dtype) * scale


def expand(
    y: torch.Tensor,
    x: torch.Tensor,
    b: torch.Tensor,
    indices: torch.Tensor,
    *,
    offset: int = 0,
    size: int | None = None,
    add: bool = True,
) -> None:
    """y[t, offset:offset+size] += B[idx[t]] · x[t], untouched where idx[t] is −1.

    Args:
        y: (n_tokens, d_all), written.
        x: (n_tokens, r) float32, the result of `shrink`.
        b: (n_slots, 1, d_out, r) or (n_slots, d_out, r); d_out may be padded beyond `size`.
        add: False writes instead of adding.
    """
    b = b.squeeze(1) if b.dim() == 4 else b
    width = min(b.shape[1], y.shape[1] - offset if size is None else size)
    runs = runs_of(indices)
    if len(runs) * _MIN_MEAN_RUN_TOKENS > indices.numel() and len(runs) > 1:
        held = (indices >= 0).unsqueeze(-1)
        gathered = b[indices.clamp(min=0)]
        product = (
            torch.bmm(gathered, x.to(b.dtype).unsqueeze(-1)).squeeze(-1)[:, :width].to(y.dtype)
        )
        target = y[:, offset : offset + width]
        written = target + product if add else product
        target.copy_(torch.where(held, written, target))
        return
    for start, end, index in runs:
        if index < 0:
            continue
        product = (x[start:end].to(b.dtype) @ b[index, :width].t()).to(y.dtype)
        target = y[start:end, offset : offset + width]
        if add:
            target += product
        else:
            target.copy_(product)
