"""How much memory a training needs, roughly, and how much there is.

In: a model folder and settings. Out: bytes. For a figure that was measured, see `training.tune.plan`.
"""

from __future__ import annotations

import json
from pathlib import Path

from training.tune.run_folder import TrainSettings

_LIBRARY_BYTES = 600_000_000
"""torch, transformers and peft once imported."""


def needed_bytes(base_folder: Path, settings: TrainSettings, longest_tokens: int) -> int:
    """Weights, activations of the longest micro-batch, and the libraries.

    A layer keeps for its backward pass about 16 vectors of the model's width and 5 of the MLP's for each
    token, at 2 bytes; checkpointing keeps one of them, and one layer's rest.
    """
    config = json.loads((base_folder / "config.json").read_bytes())
    weights = sum(path.stat().st_size for path in base_folder.glob("*.safetensors"))
    if settings.four_bit_base:
        weights = weights * 3 // 10
    width, inner = config.get("hidden_size", 1024), config.get("intermediate_size", 4096)
    layers = config.get("num_hidden_layers", 24)
    tokens = max(longest_tokens, min(settings.micro_tokens, settings.micro_batch * longest_tokens))
    a_layer = 2 * tokens * (16 * width + 5 * inner)
    kept = (
        2 * tokens * width * layers + a_layer
        if settings.gradient_checkpointing
        else a_layer * layers
    )
    # Logits of the labels, a third of the tokens, in 16 and 32 bit and their gradients.
    logits = tokens // 3 * int(config.get("vocab_size", 50_000)) * 10
    return weights + kept + logits + _LIBRARY_BYTES


def free_bytes() -> int | None:
    """Memory that a new process can have: the GPU's where there is one; None where nobody says."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    fields = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
    free = fields.get("MemAvailable", 0)
    return min(free, _container_bytes() or free)


def _container_bytes() -> int | None:
    """What is left of a container's limit (cgroup 2)."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit = int((folder / "memory.max").read_text(encoding="ascii"))
        return limit - int((folder / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
