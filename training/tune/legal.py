"""An adapter that vLLM serves, on a base it can be merged into.

In: settings, a peft configuration, a model folder. Out: one sentence for each thing that is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from personae.manifest import VLLM_RANKS
from personae.weights import read_safetensors_header
from training.tune.run_folder import TrainSettings

_SIXTEEN_BIT = {"BF16", "F16"}


def lora_problems(settings: TrainSettings, max_adapter_rank: int) -> list[str]:
    problems = []
    if settings.rank not in VLLM_RANKS:
        problems.append(
            f"Rank {settings.rank} is none that vLLM serves; choose one of "
            f"{', '.join(map(str, VLLM_RANKS))}"
        )
    if settings.rank > max_adapter_rank:
        problems.append(
            f"Rank {settings.rank} is above the engine's max_adapter_rank of {max_adapter_rank}; lower the "
            "persona's [training] rank, or raise [engine] max_adapter_rank"
        )
    return problems


def config_problems(config: Mapping[str, Any]) -> list[str]:
    """What vLLM refuses in an `adapter_config.json`."""
    problems = []
    if config.get("modules_to_save"):
        problems.append(f"modules_to_save {config['modules_to_save']} holds whole layers")
    if config.get("bias", "none") != "none":
        problems.append("it trains biases")
    if config.get("use_dora"):
        problems.append("it is a DoRA")
    names = config.get("target_modules") or ()
    names = [names] if isinstance(names, str) else names
    if touched := [n for n in names if n.split(".")[-1] in ("lm_head", "embed_tokens")]:
        problems.append(f"it changes {', '.join(sorted(touched))}")
    return problems


def weights_problems(base_folder: Path) -> list[str]:
    """Base weights are 16 bit on disk. (QLoRA makes its 4 bit of them in memory.)"""
    config = json.loads((base_folder / "config.json").read_bytes())
    again = "take the 16-bit original: an adapter merged into fewer bits is ruined"
    if "quantization_config" in config:
        return [f"the base model's weights are quantized; {again}"]
    kinds = {
        entry["dtype"]
        for path in base_folder.glob("*.safetensors")
        for entry in read_safetensors_header(path)[0].values()
    }
    floats = {kind for kind in kinds if kind.startswith(("F", "BF"))}
    if not floats or floats - _SIXTEEN_BIT - {"F32"} or kinds - floats - {"I64", "I32", "BOOL"}:
        return [f"the base model's weights are {', '.join(sorted(kinds))}; {again}"]
    return []
