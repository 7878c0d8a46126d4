"""The small operations between matrix products, in fewer passes over memory.

A LoRA layer of peft makes six full-size tensors forwards and back that a product can add into its own
result instead; an RMSNorm of transformers keeps three float32 copies for its backward pass. On a CPU these
passes cost a fifth of a step. In: a peft model. Out: the same model, with the same results up to rounding;
parameters, their names and what is saved stay as they are.
"""

from __future__ import annotations

from typing import Any

_NORMS = ("LlamaRMSNorm", "MistralRMSNorm", "Qwen2RMSNorm", "Qwen3RMSNorm")
"""Those whose formula is weight · (x / rms(x)) with the product after the rounding."""


def fuse(model: Any) -> int:
    """Replace the forward of every LoRA layer and known RMSNorm; gives how many."""
    from peft.tuners.lora import Linear

    lora_linear, rms_norm = _functions()
    count = 0
    for module in model.modules():
        if isinstance(module, Linear) and _is_plain(module):
            module.forward = _lora_forward(module, lora_linear)
        elif type(module).__name__ in _NORMS:
            module.forward = _norm_forward(module, rms_norm)
        else:
            continue
        count += 1
    return count


def _is_plain(layer: Any) -> bool:
    """One adapter, without dropout or bias, over an unquantized linear layer."""
    import torch

    if list(layer.lora_A) != ["default"] or type(layer.base_layer) is not torch.nn.Linear:
        return False
    dropout = isinstance(layer.lora_dropout["default"], torch.nn.Dropout)
    return not dropout and layer.base_layer.bias is None and not layer.lora_bias["default"]


def _lora_forward(layer: Any, function: Any) -> Any:
    base = layer.base_layer.weight
    down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    scaling = float(layer.scaling["default"])
    plain = layer.forward

    def forward(x: Any, *args: Any, **kwargs: Any) -> Any:
        if layer.disable_adapters or layer.merged:
            return plain(x, *args, **kwargs)
        flat = x.reshape(-1, x.shape[-1])
        return function.apply(flat, base, down, up, scaling).view(*x.shape[:-1], -1)

    return forward


def _norm_forward(norm: Any, function: Any) -> Any:
    def forward(x: Any) -> Any:
        return function.apply(x, norm.weight, norm.variance_epsilon)

    return forward


def _functions() -> tuple[Any, Any]:
    """(LoRA layer, RMSNorm) as torch functions; made here because importing torch takes seconds."""
    import torch

    linear = torch.nn.functional.linear

    class LoraLinear(torch.autograd.Function):
        """y = x·Wᵀ + s·(x·Aᵀ)·Bᵀ; W gets no gradient. Shapes: x (tokens, in), A (r, in), B (out, r)."""

        @staticmethod
        def forward(ctx: Any, x: Any, base: Any, down: Any, up: Any, scaling: float) -> Any:
            low = linear(x, down)
            ctx.save_for_backward(x, low, base, down, up)
            ctx.scaling = scaling
            return linear(x, base).addmm_(low, up.t(), alpha=scaling)

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            x, low, base, down, up = ctx.saved_tensors
            grad_low = (grad @ up).mul_(ctx.scaling)
            grad_up = (grad.t() @ low).mul_(ctx.scaling)
            grad_x = None
            if ctx.needs_input_grad[0]:
                grad_x = (grad @ base).addmm_(grad_low, down)
            return grad_x, None, grad_low.t() @ x, grad_up, None

    class RMSNorm(torch.autograd.Function):
        """y = w · x / sqrt(mean(x²) + eps) (Zhang and Sennrich 2019, https://arxiv.org/abs/1910.07467).

        Computed in float32 as in transformers; only x and one number a token are kept. w is frozen.
        """

        @staticmethod
        def forward(ctx: Any, x: Any, weight: Any, epsilon: float) -> Any:
            wide = x.float()
            scale = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
            scale = scale.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
            ctx.save_for_backward(x, weight, scale)
            return (wide * scale).to(x.dtype).mul_(weight)

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            x, weight, scale = ctx.saved_tensors
            grad = (grad * weight).float()
            unit = x.float() * scale
            along = (grad * unit).mean(-1, keepdim=True)
            return grad.sub_(unit.mul_(along)).mul_(scale).to(x.dtype), None, None

    return LoraLinear, RMSNorm
