"""vLLM's CPU LoRA wrapper with its products replaced by `products`, which keep the weights packed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU

from serving.vllm_plugin.products import Batch, Layer, plan

# Layers by the address of their first A, which is what vLLM hands to the wrapper.
_layers: dict[int, Layer] = {}


class PersonaePunicaWrapperCPU(PunicaWrapperCPU):
    """Installed by `serving.vllm_plugin.register`. One instance serves all layers of a model.

    `scale` is left out of the products: vLLM folds an adapter's scale into B when it loads it, and
    always passes 1 here.
    """

    def update_metadata(self, *args: Any, **kwargs: Any) -> None:
        super().update_metadata(*args, **kwargs)
        self._tokens: Batch | None = None
        self._samples: Batch | None = None

    @property
    def token_batch(self) -> Batch:
        """The tokens of this step."""
        if self._tokens is None:
            self._tokens = plan(self.token_lora_indices)
        return self._tokens

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
        if self.token_batch.has_adapters:
            _add(y, x, lora_a_stacked[0], scale, self.token_batch)

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
        if self._samples.has_adapters:
            _add(y, x, lora_a_stacked, scale, self._samples)

    def add_lora_embedding(
        self,
        y: torch.Tensor,
        x: torch.Tensor,
        lora_b_stacked: torch.Tensor,
        add_inputs: bool = True,
        **kwargs: Any,
    ) -> None:
        """The same for the input layer, whose A was applied by looking tokens up: y += B x.

        personae's adapters never hold it (`personae.manifest` refuses them); it is here so that an
        adapter of somebody else's is right too.
        """
        layer = _layers.get(lora_b_stacked.data_ptr())
        if not self.token_batch.has_adapters or layer is None or not layer.ranks.any():
            return
        slots = self.token_lora_indices.tolist()
        for row, slot in enumerate(slots):
            if slot >= 0:
                y[row] += torch.mv(lora_b_stacked[slot, 0].to(x.dtype), x[row]).to(y.dtype)


def _add(y: torch.Tensor, x: torch.Tensor, a: torch.Tensor, scale: float, batch: Batch) -> None:
    if scale != 1.0:
        raise ValueError(f"vLLM passed the scale {scale}; this plugin knows only folded scales")
    if y.dim() != 2:
        y, x = y.view(-1, y.shape[-1]), x.view(-1, x.shape[-1])
    _layers[a.data_ptr()].add_lora(y, x, batch)


def keep_layers(layer_class: type) -> None:
    """Have a LoRA layer class of vLLM keep a `Layer` of its weights, and tell it of every slot that
    is written."""
    _wrap(layer_class, "create_lora_weights", _after_create)
    _wrap(layer_class, "set_lora", _after_write)
    _wrap(layer_class, "reset_lora", _after_reset)


def _wrap(layer_class: type, method: str, after: Callable[..., None]) -> None:
    if method not in vars(layer_class):
        return  # inherited, and wrapped where it is defined
    original = getattr(layer_class, method)

    def wrapped(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        after(self, *args, **kwargs)

    setattr(layer_class, method, wrapped)


def _after_create(layer: Any, *_args: Any, **_kwargs: Any) -> None:
    a, b = layer.lora_a_stacked, layer.lora_b_stacked
    if isinstance(b, tuple):
        ours = Layer(a, b, layer.output_slices)
        key = a[0]
    elif a.dim() == 4:  # the output layer
        ours = Layer((a,), (b,), (b.shape[2],))
        key = a
    else:  # the input layer: its A is looked up by vLLM, only B is ours
        ours = Layer((a.new_zeros(a.shape[0], 1, b.shape[3], 1),), (b,), (b.shape[2],))
        key = b
    layer.personae_layer = ours
    _layers[key.data_ptr()] = ours


def _after_write(layer: Any, index: int, *_args: Any, **_kwargs: Any) -> None:
    layer.personae_layer.look_at(index)


def _after_reset(layer: Any, index: int, *_args: Any, **_kwargs: Any) -> None:
    layer.personae_layer.forget(index)


def shorter_way_to_products(linear_layer: type) -> None:
    """Have the linear LoRA layers of vLLM call `Layer.add_lora` themselves.

    At a hundred and twenty calls a step, what lies between costs as much as a third of the products.
    """
    original = linear_layer._apply_lora_to_output  # type: ignore[attr-defined]

    def _apply_lora_to_output(self: Any, x: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        if output.dim() != 2:
            return original(self, x, output)
        batch = self.punica_wrapper.token_batch
        if batch.has_adapters:
            self.personae_layer.add_lora(output, x, batch)
        return output

    linear_layer._apply_lora_to_output = _apply_lora_to_output  # type: ignore[attr-defined]


def same_product_for_a_lone_row(
    onednn_mm: Callable[..., torch.Tensor],
) -> Callable[..., torch.Tensor]:
    """oneDNN's product, with a single row taken through the code for two.

    For one row oneDNN sums in another order than for two and more (measured on an AMD EPYC with AVX512-BF16:
    with 1,088 columns and more, not with 1,024 and fewer, never between other numbers of rows), so a model's
    greedy text alone and in a batch would part by rounding. Where the processor has AMX they still may.
    Two rows take about as long: the weights are what is read.
    """

    def product(handler: Any, x: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        if x.dim() != 2 or x.shape[0] != 1:
            return onednn_mm(handler, x, bias)
        return onednn_mm(handler, x.repeat(2, 1), bias)[:1]

    return product
