"""vLLM's CPU LoRA wrapper with its products replaced by `products`, and its weights laid out for them."""

from __future__ import annotations

from typing import Any

import torch
from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU

from serving.vllm_plugin.products import Batch, expand, plan, shrink, side_by_side


class SegmentedPunicaWrapperCPU(PunicaWrapperCPU):
    """Installed by `serving.vllm_plugin.register`. One instance serves all layers of a model."""

    def update_metadata(self, *args: Any, **kwargs: Any) -> None:
        super().update_metadata(*args, **kwargs)
        self._batches: dict[tuple[str, int, int], Batch] = {}

    def _batch(self, kind: str, slots: torch.Tensor, a: torch.Tensor) -> Batch:
        """The plan of this step's batch, made at the first layer that asks for it.

        Args:
            a: (n_slots, 1, r, d_in).
        """
        n_slots, rank = a.shape[0], a.shape[-2]
        key = (kind, n_slots, rank)
        if key not in self._batches:
            self._batches[key] = plan(slots, n_slots=n_slots, rank=rank)
        return self._batches[key]

    def add_lora_linear(
        self,
        y: torch.Tensor,
        x: torch.Tensor,
        lora_a_stacked: tuple[torch.Tensor, ...],
        lora_b_stacked: tuple[torch.Tensor, ...],
        scale: float,
        output_slices: tuple[int, ...],
        *,
        buffer: tuple[torch.Tensor, ...] | None = None,
        **kwargs: Any,
    ) -> None:
        """y += scale · B A x, slice by slice of a packed layer (q, k and v, say). In place."""
        batch = self._batch("tokens", self.token_lora_indices, lora_a_stacked[0])
        if not batch.has_adapters:
            return
        flat_y = y.view(-1, y.shape[-1])[: batch.tokens]
        flat_x = x.view(-1, x.shape[-1])[: batch.tokens]
        offset = 0
        for a, b, size in zip(lora_a_stacked, lora_b_stacked, output_slices, strict=True):
            _add(flat_y, flat_x, a, b, scale, batch, offset=offset, size=size)
            offset += size

    def add_lora_logits(
        self,
        y: torch.Tensor,
        x: torch.Tensor,
        lora_a_stacked: torch.Tensor,
        lora_b_stacked: torch.Tensor,
        scale: float,
        *,
        buffer: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> None:
        """The same for the output layer, where each sampled token counts once."""
        batch = self._batch("samples", self.sampler_indices, lora_a_stacked)
        if not batch.has_adapters:
            return
        flat_y = y.view(-1, y.shape[-1])[: batch.tokens]
        flat_x = x.view(-1, x.shape[-1])[: batch.tokens]
        size = flat_y.shape[-1]
        _add(flat_y, flat_x, lora_a_stacked, lora_b_stacked, scale, batch, offset=0, size=size)


def _add(
    y: torch.Tensor,
    x: torch.Tensor,
    a: torch.Tensor,
    b: torch.Tensor,
    scale: float,
    batch: Batch,
    *,
    offset: int,
    size: int,
) -> None:
    h = shrink(x.to(a.dtype), a.squeeze(1), batch)
    if scale != 1.0:  # vLLM folds an adapter's scale into B when it loads it
        h = h * scale if isinstance(h, torch.Tensor) else [p if p is None else p * scale for p in h]
    expand(y, h, b.squeeze(1), batch, offset=offset, size=size)


def lay_out_side_by_side(layer: type) -> None:
    """Have a LoRA layer class allocate its B weights as `expand` reads them best."""
    original = layer.create_lora_weights  # type: ignore[attr-defined]

    def create_lora_weights(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self.lora_b_stacked = tuple(side_by_side(b) for b in self.lora_b_stacked)

    layer.create_lora_weights = create_lora_weights  # type: ignore[attr-defined]
