"""Which modules vLLM says it put an adapter on, read from its log at DEBUG.

In: the text of the log. Out: names of modules. vLLM loads an adapter that matches nothing without a word
above DEBUG, and it then speaks as the base; this is the only place where it tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# vllm/lora/model_manager.py (0.32), `activate_adapter`; a packed layer is named once for all its parts.
_ADAPTED = re.compile(r"Successfully loaded LoRA weights for module (\S+?)\.?[ \t]*$", re.MULTILINE)
_PACKED = {
    "q_proj": "qkv_proj",
    "k_proj": "qkv_proj",
    "v_proj": "qkv_proj",
    "gate_proj": "gate_up_proj",
    "up_proj": "gate_up_proj",
}


def modules_adapted(log_text: str) -> set[str]:
    """Modules with an adapter; empty if the log does not say.

    >>> modules_adapted("DEBUG … Successfully loaded LoRA weights for module model.layers.0.mlp.down_proj.")
    {'model.layers.0.mlp.down_proj'}
    """
    return set(_ADAPTED.findall(log_text))


def modules_left_out(adapter: Iterable[str], adapted: Iterable[str]) -> list[str]:
    """Modules of an adapter that are not among those adapted, packed ones counted.

    >>> modules_left_out(["model.layers.0.mlp.up_proj"], ["model.layers.0.mlp.gate_up_proj"])
    []
    """
    named = set(adapted)
    left_out = []
    for module in adapter:
        parent, _, last = module.rpartition(".")
        if module not in named and f"{parent}.{_PACKED.get(last, last)}" not in named:
            left_out.append(module)
    return left_out
