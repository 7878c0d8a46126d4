"""What a training takes on machines of different sizes, and which machine this is.

In: a profile's name, the size of the base model, what the persona and the command line want. Out:
`TrainSettings`. Each figure says what it costs; none depends on the persona's text.

    cpu        2 cores and 4 GB: a 135M model learns a voice in ten to thirty minutes
    gpu-24g    one GPU with 24 GB: 7-8B; the base in 4 bit while training (16 GB of weights become 5)
    gpu-80g    one GPU with 80 GB: 14B in 16 bit
    gpu-8x80g  eight of them: 70B, its 140 GB of weights spread over all

Merging and serving stay 16 bit everywhere.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any, Literal, get_args

from personae.errors import ModelError
from personae.persona import Persona
from personae.weights import read_safetensors_header
from training.tune.run_folder import TrainSettings

TrainProfile = Literal["cpu", "gpu-24g", "gpu-80g", "gpu-8x80g"]

_BIG_PARAMETERS = 6_000_000_000
"""From here on 16-bit weights and activations don't fit into 24 GB together."""

# Rates: about ten times full fine-tuning's, lower for larger models ("LoRA Without Regret"; the research
# notes have the sources). A rank doubles the adapter's bytes, and costs little time. Steps are samples met
# over the batch: a new stretch of text is worth more than a second look, so steps × batch is about the number
# of different samples a corpus of 50k-200k words yields.
PROFILES: Mapping[TrainProfile, TrainSettings] = {
    "cpu": TrainSettings(),
    "gpu-24g": TrainSettings(
        steps=300,
        batch=16,
        # 4096 tokens at once through a 4-bit 7B: about 18 GB with checkpointing.
        micro_batch=4,
        micro_tokens=4096,
        rank=16,
        alpha=32,
        dropout=0.05,
        learning_rate=2e-4,
        evaluations=6,
        held_out_samples=64,
        probes=4,
        probe_tokens=128,
        checkpoint_every=25,
        max_tokens=2048,
        gradient_checkpointing=True,
    ),
    "gpu-80g": TrainSettings(
        steps=300,
        batch=16,
        # 8192 tokens at once through a 14B: 30 GB of weights, about 25 GB of activations.
        micro_batch=8,
        micro_tokens=8192,
        rank=16,
        alpha=32,
        dropout=0.05,
        learning_rate=2e-4,
        evaluations=6,
        held_out_samples=64,
        probes=4,
        probe_tokens=128,
        checkpoint_every=25,
        max_tokens=4096,
        gradient_checkpointing=True,
    ),
    "gpu-8x80g": TrainSettings(
        steps=200,
        # Four rows for each GPU; sharded weights travel once a micro-batch, so it is the whole share.
        batch=32,
        micro_batch=4,
        micro_tokens=8192,
        rank=16,
        alpha=32,
        dropout=0.05,
        learning_rate=1e-4,
        evaluations=6,
        held_out_samples=64,
        probes=0,
        checkpoint_every=25,
        max_tokens=4096,
        gradient_checkpointing=True,
        shard_base=True,
    ),
}

TEXT_SHARE = 0.5
"""Steps of continued pre-training over the conversations' steps, where a persona asks for it. A piece of
plain text has about twice as many tokens as a conversation."""


def profile_for(config_profile: str, *, gpus: int, gpu_bytes: int) -> TrainProfile:
    """The training profile of a serving profile, as far as the machine's GPUs carry it."""
    if not gpus:
        return "cpu"
    if gpus > 1 and gpu_bytes > 70e9:
        return "gpu-8x80g"
    if config_profile == "gpu-24g" or gpu_bytes < 70e9:
        return "gpu-24g"
    return "gpu-80g"


def gpus_here() -> tuple[int, int]:
    """(number of GPUs, bytes of the smallest)."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    sizes = [torch.cuda.get_device_properties(n).total_memory for n in range(count)]
    return count, min(sizes, default=0)


def parameters_of(base_folder: Path) -> int:
    """Number of weights of a fetched model."""
    return sum(
        prod(entry["shape"])
        for path in base_folder.glob("*.safetensors")
        for entry in read_safetensors_header(path)[0].values()
    )


def settings_for(
    profile: TrainProfile,
    persona: Persona,
    *,
    parameters: int,
    max_adapter_rank: int,
    steps: int | None = None,
    **changes: Any,
) -> TrainSettings:
    """A profile's settings with the persona's wishes, and over them the command line's.

    A profile's rank gives way to the engine's limit; a rank the persona names is left for the
    preflight to judge.

    Raises:
        ModelError: there is no such profile.
    """
    if profile not in get_args(TrainProfile):
        raise ModelError(
            f"There is no training profile {profile!r}. Choose one of {', '.join(PROFILES)}."
        )
    settings = PROFILES[profile]
    rank = min(settings.rank, max_adapter_rank)
    settings = replace(settings, rank=rank, alpha=2 * rank)
    wants = persona.training
    if wants.rank is not None:
        settings = replace(settings, rank=wants.rank, alpha=2 * wants.rank)
    if wants.learning_rate is not None:
        settings = replace(settings, learning_rate=wants.learning_rate)
    if steps or wants.steps:
        settings = replace(settings, steps=steps or wants.steps or settings.steps)
    if wants.continued_pretraining:
        settings = replace(settings, text_steps=max(1, round(settings.steps * TEXT_SHARE)))
    if profile == "gpu-24g" and parameters >= _BIG_PARAMETERS:
        if importlib.util.find_spec("bitsandbytes") is None:
            raise ModelError(
                f"A base model of {parameters / 1e9:.0f} billion parameters is trained in 4 bit on a "
                "24 GB GPU, which needs the package bitsandbytes. Install it, or choose a smaller model."
            )
        settings = replace(settings, four_bit_base=True)
    return replace(settings, **changes)
