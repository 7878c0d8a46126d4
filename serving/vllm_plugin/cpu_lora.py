"""vLLM's CPU LoRA wrapper with its two products replaced by `segments`."""

from __future__ import annotations

from typing import Any

import torch
from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU

from serving.vllm_plugin.segments import expand, shrink


class SegmentedPunicaWrapperCPU(PunicaWrapperCPU):
    """Installed by `serving.vllm_plugin.register`."""

    def _shrink(self, y: torch.Tensor, x: torch.Tensor, a: torch.Tensor, scale: float) -> None:
        shrink(y, x, a, scale, self.token_lora_indices)

    def _expand(self, y: torch.Tensor, x: torch.Tensor, b: torch.Tensor, add: bool) -> None:
        expand(y, x, b, self.token_lora_indices, add=add)

    def _expand_slice(
        self,
        y: torch.Tensor,
        x: torch.Tensor,
        b: torch.Tensor,
        y_offset: int,
        y_slice_size: int,
        add: bool,
    ) -> None:
        indices = self.token_lora_indices
        expand(y, x, b, indices, offset=y_offset, size=y_slice_size, add=add)

    # One product serves prompts and decoding alike: a batch may hold both.
    _shrink_prefill = _shrink_decode = _shrink
    _expand_prefill = _expand_decode = _expand
    _expand_slice_prefill = _expand_slice_decode = _expand_slice

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
        flat_y, flat_x = y.view(-1, y.shape[-1]), x.view(-1, x.shape[-1])
        indices = self.sampler_indices
        if buffer is None:
            rank = lora_b_stacked.size(-1)
            buffer = torch.zeros((flat_x.size(0), rank), dtype=torch.float32, device=x.device)
        shrink(buffer, flat_x, lora_a_stacked, scale, indices)
        expand(flat_y, buffer, lora_b_stacked, indices)
