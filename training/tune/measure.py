"""A few steps of a training, timed: the part of `training.tune.plan` that runs in a process of its own.

In: a JSON file with the model's folder, the settings, two batches and some held-out rows. Out: a JSON file
with seconds for a step and a token, and the peak of memory.

Run as: python -m training.tune.measure question.json answer.json
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from training.tune.encode import Encoded
from training.tune.lora import freed_memory_kept, load_base, lora_tensors, trainable
from training.tune.packed import usual_attention
from training.tune.run_folder import TrainSettings
from training.tune.steps import Optimizer, evaluate, learn

_PROBE_TOKENS = 12


def peak_memory_bytes() -> int:
    """Of this process so far; a GPU's where the model is on one."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_reserved())
    status = Path("/proc/self/status")
    if status.is_file():
        # getrusage of a child begins with its parent's peak; VmHWM is its own.
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@freed_memory_kept()
def measure(asked: dict[str, Any]) -> dict[str, float]:
    settings = TrainSettings(**asked["settings"])
    batches = [[Encoded(**row) for row in batch] for batch in asked["batches"]]
    held_out = [Encoded(**row) for row in asked["held_out"]]
    base, _tokenizer = load_base(Path(asked["base_folder"]), four_bit=settings.four_bit_base)
    model = trainable(base, settings, base_model="measured")
    optimizer = Optimizer(model, b_rate_ratio=settings.b_rate_ratio)
    timed: list[tuple[int, float]] = []
    # The first step warms up; the longest comes before the middle one, so that memory has its shape.
    for batch in (batches[-1], *reversed(batches)):
        started = time.perf_counter()
        learn(model, batch, settings)
        optimizer.step(settings.learning_rate)
        timed.append((sum(len(row.ids) for row in batch), time.perf_counter() - started))
    (long_tokens, long_seconds), (tokens, seconds) = timed[1:3]
    a_token = (long_seconds + seconds) / (long_tokens + tokens)
    started = time.perf_counter()
    evaluate(model, held_out, ["ask"] * len(held_out))
    evaluated = time.perf_counter() - started
    return {
        "token_seconds": a_token,
        "held_out_token_seconds": evaluated / sum(len(row.ids) for row in held_out),
        "probe_token_seconds": _probe_seconds(model, held_out[0]) if settings.probes else 0.0,
        "steps": float(len(timed)),
        "peak_bytes": float(peak_memory_bytes()),
        # float32 copies with two moments in the checkpoint, the best and the adapter in 16 bit.
        "disk_bytes": float(sum(t.numel() for t in lora_tensors(model).values()) * (3 * 4 + 2 * 2)),
    }


def _probe_seconds(model: Any, row: Encoded) -> float:
    """Of one generated token, the reading of its prompt shared out."""
    import torch

    model.eval()
    ids = torch.tensor([row.ids[: row.first_label]], device=model.device)
    started = time.perf_counter()
    with torch.inference_mode(), usual_attention(model):
        model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=_PROBE_TOKENS,
            min_new_tokens=_PROBE_TOKENS,
            do_sample=False,
            use_cache=True,
            pad_token_id=0,
        )
    return (time.perf_counter() - started) / _PROBE_TOKENS


if __name__ == "__main__":
    question, answer = (Path(argument) for argument in sys.argv[1:3])
    found = measure(json.loads(question.read_bytes()))
    answer.write_text(json.dumps(found), encoding="utf-8")
