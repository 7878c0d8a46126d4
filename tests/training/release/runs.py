"""Finished training runs for tests of what comes after: a tiny adapter, a plan, an evaluation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from personae.files import sha256_of
from personae.manifest import BaseModelRef, content_sha256, hash_files
from personae.persona import Persona
from personae.prompt import fingerprint
from personae.verdict import AliveVerdict
from personae.weights import model_folder, read_model_manifest
from training.evaluate.evaluation import REPORT, Evaluation, Figure, write_evaluation
from training.tune.lora import attach_lora, load_base, lora_tensors, save_adapter
from training.tune.preflight import Preflight, template_hash
from training.tune.run_folder import (
    ADAPTER,
    PREFLIGHT,
    RESULT,
    Plan,
    Result,
    TrainSettings,
    settings_dict,
    write_plan,
)

GOOD = {
    "attribution_gain": 0.4,
    "attribution_gap": 0.0,
    "bits_per_byte_drop": 0.14,
    "whole_sentences": 0.95,
    "rewrite_meaning": 0.8,
    "rewrite_copy": 0.5,
    "loops": 0.05,
    "loops_base": 0.1,
    "identity": 0.95,
    "copied_words": 12.0,
    "forgetting": 0.02,
    "other_names": 0.0,
}


def write_run(
    runs: Path,
    persona: Persona,
    models: Path,
    base_model: str,
    *,
    scale: float = 0.5,
    rank: int = 8,
    finished_at: str = "2026-01-02T00:00:00+00:00",
) -> Path:
    """A run that reads as finished, with a real adapter of the base model.

    Args:
        scale: of the random B matrices; 0 is an adapter that changes nothing.
    """
    import torch

    base = read_model_manifest(model_folder(models, base_model))
    settings = TrainSettings(rank=rank)
    plan = Plan(
        persona=persona.id,
        persona_file_sha256="00" * 32,
        base_model=BaseModelRef(id=base.id, weights_sha256=base.weights_sha256),
        prompt_fingerprint=fingerprint(persona),
        corpus_sha256="11" * 32,
        dataset_fingerprint=f"{int(scale * 1000):064d}",
        held_out_documents=["1864-lincoln-1"],
        samples={"ask": 8},
        settings=settings_dict(settings),
        libraries={},
    )
    run = runs / persona.id / plan.key
    (run / ADAPTER).mkdir(parents=True)
    torch.manual_seed(3)
    model, tokenizer = load_base(model_folder(models, base_model))
    adapted = attach_lora(model, rank=rank, alpha=16, dropout=0.0, base_model=base_model)
    tensors = {
        name: torch.randn(tensor.shape) * scale if ".lora_B." in name else tensor
        for name, tensor in lora_tensors(adapted).items()
    }
    save_adapter(run / ADAPTER, tensors, adapted)
    write_plan(run, plan)
    checked = Preflight(
        problems=[],
        samples=8,
        held_out_samples=2,
        tokens=1,
        labels=1,
        longest_tokens=1,
        template_sha256=template_hash(tokenizer.chat_template),
        prompt_fingerprint=plan.prompt_fingerprint,
        needed_memory_bytes=1,
    )
    (run / PREFLIGHT).write_text(checked.model_dump_json())
    result = Result(metrics={"steps": 6.0}, finished_at=finished_at)
    (run / RESULT).write_text(result.model_dump_json())
    return run


def evaluate(
    run: Path, speaker: Persona, figures: dict[str, float] | None = None, **changes: Any
) -> Evaluation:
    """Write an evaluation of the run's adapter, with a report; returns it."""
    found = {
        name: Figure(value=value, low=value - 0.01, high=value + 0.01, n=30)
        for name, value in (GOOD | (figures or {})).items()
    }
    settings = {
        "persona": speaker.id,
        "base_model": "tiny",
        "adapter_sha256": adapter_sha256(run),
        "prompt_fingerprint": fingerprint(speaker),
        "held_out_documents": ["1864-lincoln-1"],
        "others": ["x", "y"],
        "seed": 17,
        "figures": found,
        "samples": [{"task": "ask", "prompt": "Who?", "adapter": "I."}],
        "seconds": 1.0,
        "created_at": "2026-01-03T00:00:00+00:00",
    }
    evaluation = Evaluation.model_validate(settings | changes)
    (run / "evaluation").mkdir(exist_ok=True)
    write_evaluation(run / "evaluation", evaluation)
    (run / "evaluation" / REPORT).write_text("<!doctype html><title>Lincoln</title>")
    return evaluation


def adapter_sha256(run: Path) -> str:
    return content_sha256(hash_files(run / ADAPTER))


def alive(run: Path, **changes: Any) -> AliveVerdict:
    settings = {
        "outcome": "passed",
        "sentence": "It speaks.",
        "adapter_sha256": adapter_sha256(run),
        "base_model": "tiny",
        "engine": "vLLM 0.0.0",
        "nats_off_reference": 0.01,
        "checked_at": "2026-01-04T00:00:00+00:00",
    }
    return AliveVerdict.model_validate(settings | changes)


def change_config(run: Path, **settings: Any) -> None:
    """Edit the adapter's peft configuration, as another trainer would have written it."""
    path = run / ADAPTER / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def files_below(folder: Path) -> dict[str, str]:
    """{path: sha256} of all files but locks, hidden ones included."""
    return {
        str(path.relative_to(folder)): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (".publishing", ".lock")
    }
