"""Versions with real LoRA weights for the tiny model, without training."""

from __future__ import annotations

import json
from pathlib import Path

from personae.manifest import AdapterManifest, BaseModelRef, hash_files
from personae.persona import Persona
from personae.prompt import fingerprint
from personae.registry import RegisteredVersion, Registry
from personae.weights import module_shapes, read_model_manifest

RANK = 4


def add_lora(
    registry: Registry,
    persona: Persona,
    base: Path,
    scratch: Path,
    *,
    version: int = 1,
    strength: float = 0.1,
    config: dict[str, object] | None = None,
) -> RegisteredVersion:
    """A random LoRA on every matrix of the attention and the MLP.

    Args:
        strength: standard deviation of B; 0 changes nothing.
    """
    import torch
    from safetensors.torch import save_file

    scratch.mkdir(parents=True)
    torch.manual_seed(version)
    tensors = {}
    names = set()
    for module, (d_out, d_in) in module_shapes(base).items():
        if "_proj" in module:
            names.add(module.rpartition(".")[2])
            below = f"base_model.model.{module}"
            a = torch.randn(RANK, d_in) / d_in**0.5
            b = torch.randn(d_out, RANK) * strength
            tensors[f"{below}.lora_A.weight"] = a.to(torch.bfloat16)
            tensors[f"{below}.lora_B.weight"] = b.to(torch.bfloat16)
    save_file(tensors, scratch / "adapter_model.safetensors", metadata={"format": "pt"})
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": RANK,
        "lora_alpha": 2 * RANK,
        "bias": "none",
        "target_modules": sorted(names),
        "inference_mode": True,
    }
    (scratch / "adapter_config.json").write_text(json.dumps(settings | (config or {})))
    fetched = read_model_manifest(base)
    manifest = AdapterManifest(
        persona=persona.id,
        version=version,
        base_model=BaseModelRef(id=fetched.id, weights_sha256=fetched.weights_sha256),
        prompt_fingerprint=fingerprint(persona),
        rank=RANK,
        recipe={"command": "made by a test"},
        dataset_fingerprint="00" * 32,
        metrics={},
        gate="passed",
        files=hash_files(scratch),
        created_at="2026-01-01T00:00:00+00:00",
    )
    return registry.add(scratch, manifest)
