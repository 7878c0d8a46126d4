"""What a training will take, from a few real steps on this very machine.

In: a prepared training. Out: time, memory, tokens and money, before any of it is spent. The steps run in a
process of their own, so that its peak is the peak of a training and nothing stays behind. Nothing is written.

Run as: personae train plan lincoln
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from personae.errors import ModelError
from personae.progress import Progress, silent
from training.tune.encode import Encoded, encode_texts
from training.tune.loop import Rows
from training.tune.lora import load_tokenizer
from training.tune.preflight import preflight
from training.tune.prepare import Prepared
from training.tune.run_folder import TrainSettings
from training.tune.train import TEXT_TOKENS

_LOADING_SECONDS = 20.0
"""Imports, weights, samples and their check: about that on two cores."""


class SynthesisCost(BaseModel):
    """What samples written by a model would cost, as its dry run says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests: int
    tokens: int
    """Read and written, together."""
    money: float


class Estimate(BaseModel):
    """What `train plan` says. Seconds and bytes are those of this machine, under the load it has now."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    persona: str
    base_model: str
    run: str
    """Key of the run; it is the same as long as nothing that decides the result changes."""
    steps: int
    samples: int
    documents: int
    held_out_documents: list[str]
    tokens: int
    """Prompt and answer of every step, without padding."""
    labels: int
    longest_tokens: int
    seconds: float
    tokens_per_second: float
    peak_memory_bytes: int
    disk_bytes: int
    measured_steps: int
    synthesis: SynthesisCost | None = None
    money: float
    """0 where no model is asked for samples."""


def estimate(
    prepared: Prepared,
    *,
    max_adapter_rank: int,
    runs: Path,
    synthesis: SynthesisCost | None = None,
    progress: Progress = silent,
) -> Estimate:
    """Check the samples, measure a few steps, and reckon.

    Raises:
        ModelError: the preflight found something wrong, or the measured steps failed.
    """
    settings, plan = prepared.settings, prepared.plan
    run = runs / plan.persona / plan.key
    progress("checking the samples", 0, None)
    tokenizer = load_tokenizer(prepared.base_folder)
    found, conversations, held_out = preflight(
        prepared.persona,
        prepared.dataset,
        prepared.documents,
        tokenizer,
        prepared.base_folder,
        settings,
        max_adapter_rank=max_adapter_rank,
        run=run,
    )
    texts = [document.text for document in prepared.training_documents if settings.text_steps]
    rows = Rows(
        conversations=conversations,
        held_out=held_out,
        held_out_tasks=[sample.task for sample in prepared.dataset.held_out],
        texts=encode_texts(texts, tokenizer, chunk_tokens=min(TEXT_TOKENS, settings.max_tokens)),
    )
    batches = rows.batches(settings)
    progress("measuring a few steps", 0, None)
    measured = _measure(prepared, batches, held_out)
    tokens = sum(len(row.ids) for batch in batches for row in batch)
    held_out_tokens = sum(len(row.ids) for row in held_out)
    seconds = (
        _LOADING_SECONDS
        + measured["token_seconds"] * tokens
        + measured["held_out_token_seconds"] * held_out_tokens * (settings.evaluations + 1)
        + measured["probe_token_seconds"]
        * settings.probe_tokens
        * settings.probes
        * settings.evaluations
    )
    return Estimate(
        persona=plan.persona,
        base_model=plan.base_model.id,
        run=plan.key,
        steps=len(batches),
        samples=len(conversations),
        documents=len(prepared.documents),
        held_out_documents=plan.held_out_documents,
        tokens=tokens,
        labels=sum(row.labels for batch in batches for row in batch),
        longest_tokens=found.longest_tokens,
        seconds=round(seconds, 1),
        tokens_per_second=round(tokens / seconds, 1),
        peak_memory_bytes=int(measured["peak_bytes"]),
        disk_bytes=int(measured["disk_bytes"]),
        measured_steps=int(measured["steps"]),
        synthesis=synthesis,
        money=synthesis.money if synthesis else 0.0,
    )


def _measure(
    prepared: Prepared, batches: list[list[Encoded]], held_out: list[Encoded]
) -> dict[str, float]:
    """`training.tune.measure` on the longest batch and one of middle length."""
    by_length = sorted(batches, key=lambda batch: sum(len(row.ids) for row in batch))
    asked = {
        "base_folder": str(prepared.base_folder.resolve()),
        "settings": asdict(prepared.settings),
        "batches": [_plain(by_length[len(by_length) // 2]), _plain(by_length[-1])],
        "held_out": _plain(sorted(held_out, key=lambda row: len(row.ids))[-4:]),
    }
    with tempfile.TemporaryDirectory(prefix="personae-plan-") as folder:
        question, answer = Path(folder) / "question.json", Path(folder) / "answer.json"
        question.write_text(json.dumps(asked), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "training.tune.measure", str(question), str(answer)],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            check=False,
        )
        if done.returncode or not answer.is_file():
            last = (done.stderr.strip().splitlines() or ["it was killed"])[-1]
            raise ModelError(
                f"A trial step failed ({last}). If the machine ran out of memory, train with a smaller "
                "micro_batch or a smaller base model."
            )
        found: dict[str, float] = json.loads(answer.read_bytes())
    return found


def _plain(rows: list[Encoded]) -> list[dict[str, Any]]:
    return [asdict(row) for row in rows]


def sentences(found: Estimate) -> list[str]:
    """An estimate in words, one line for each matter."""
    lines = [
        f"{found.persona} on {found.base_model}: {found.steps} steps, {found.samples} samples from "
        f"{found.documents} documents ({', '.join(found.held_out_documents)} held out)",
        f"Tokens   {found.tokens:,}, of which {found.labels:,} are learned; the longest sample has "
        f"{found.longest_tokens}",
        f"Time     about {_duration(found.seconds)} at {found.tokens_per_second:.0f} tokens a second, "
        f"measured on {found.measured_steps} steps",
        f"Memory   {found.peak_memory_bytes / 1e9:.1f} GB at the peak; disk {found.disk_bytes / 1e6:.0f} MB",
    ]
    if found.synthesis is None:
        lines.append("Money    none: the samples are made by rules")
    else:
        cost = found.synthesis
        lines.append(
            f"Money    {cost.money:.2f} for samples written by a model: {cost.requests:,} requests, "
            f"{cost.tokens:,} tokens"
        )
    return lines


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


__all__ = ["Estimate", "SynthesisCost", "TrainSettings", "estimate", "sentences"]
