"""vLLM's CPU LoRA wrapper with its products replaced by `products`, and its weights laid out for them."""

from __future__ import annotations

from typing import Any

import torch
from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU

from serving.vllm_plugin.products import Batch, add_lora, one_matrix, plan, side_by_side


class PersonaePunicaWrapperCPU(PunicaWrapperCPU):
    """Installed by `serving.vllm_plugin.register`. One instance serves all layers of a model.

    `scale` is left out of the products: vLLM folds an adapter's scale into B when it loads it, and
    always passes 1 here.
    """

    def update_metadata(self, *args: Any, **kwargs: Any) -> None:
        super().update_metadata(*args, **kwargs)
        self._tokens: Batch | None = None
        self._samples: Batch | None = None

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
        """y += B A x, slice by slice of a packed layer (q, k and v, say). In place."""
        if self._tokens is None:
            self._tokens = plan(self.token_lora_indices)
        _add(y, x, lora_a_stacked, lora_b_stacked, scale, output_slices, self._tokens)

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
        if self._samples is None:
            self._samples = plan(self.sampler_indices)
        a, b = (lora_a_stacked,), (lora_b_stacked,)
        _add(y, x, a, b, scale, (y.shape[-1],), self._samples)


def _add(
    y: torch.Tensor,
    x: torch.Tensor,
    a: tuple[torch.Tensor, ...],
    b: tuple[torch.Tensor, ...],
    scale: float,
    sizes: tuple[int, ...],
    batch: Batch,
) -> None:
    if scale != 1.0:
        raise ValueError(f"vLLM passed the scale {scale}; this plugin knows only folded scales")
    if not batch.has_adapters:
        return
    # A batch may be padded behind its last token.
    flat_y = y.view(-1, y.shape[-1])[: batch.tokens]
    flat_x = x.view(-1, x.shape[-1])[: batch.tokens]
    add_lora(flat_y, flat_x, a, b, sizes, batch)


def lay_out_for_products(layer: type) -> None:
    """Have a LoRA layer class allocate its weights as `add_lora` reads them best."""
    original = layer.create_lora_weights  # type: ignore[attr-defined]

    def create_lora_weights(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self.lora_a_stacked = one_matrix(self.lora_a_stacked)
        self.lora_b_stacked = tuple(side_by_side(b) for b in self.lora_b_stacked)

    layer.create_lora_weights = create_lora_weights  # type: ignore[attr-defined]
