"""One training of `personae bench training`, in a process of its own: ours, or TRL's SFTTrainer.

In: a JSON file with the model's folder, samples and steps. Out: a JSON file with seconds, tokens, the peak of
memory, the loss of every step and the held-out loss at the end. Both train the same LoRA on the same samples
with the same rate, seed and number of rows a step; all else of TRL is as it comes. The held-out loss is
measured by one function for both, after the clock has stopped.

Run as: python -m training.bench.worker question.json answer.json
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from training.samples.pairs import Sample
from training.tune.encode import Encoded, encode
from training.tune.lora import freed_memory_kept, load_base, load_tokenizer, lora_config, trainable
from training.tune.measure import peak_memory_bytes
from training.tune.run_folder import TrainSettings
from training.tune.steps import Optimizer, evaluate, learn, learning_rate, plan_batches


def run(asked: dict[str, Any]) -> dict[str, Any]:
    folder = Path(asked["base_folder"])
    settings = TrainSettings(**asked["settings"])
    samples = [Sample(**sample) for sample in asked["samples"]]
    held_out = [Sample(**sample) for sample in asked["held_out"]]
    tokenizer = load_tokenizer(folder)
    rows = encode(samples, tokenizer, max_tokens=settings.max_tokens)
    if asked["trainer"] == "ours":
        model, found = _ours(folder, rows, settings)
    else:
        model, found = _trl(folder, samples, settings, asked["trl"])
    found["peak_memory_bytes"] = peak_memory_bytes()
    found["tokens_per_second"] = found["tokens"] / found["seconds"]
    measured = encode(held_out, tokenizer, max_tokens=settings.max_tokens)
    tasks = [str(sample.task) for sample in held_out]
    return found | {"held_out_loss": evaluate(model, measured, tasks)["held_out_loss"]}


@freed_memory_kept()
def _ours(folder: Path, rows: list[Encoded], settings: TrainSettings) -> tuple[Any, dict[str, Any]]:
    """As `training.tune.loop`, without files. The clock runs as TRL's does: over the steps."""
    import torch

    base, _tokenizer = load_base(folder)
    model = trainable(base, settings, base_model="bench")
    optimizer = Optimizer(model, b_rate_ratio=settings.b_rate_ratio)
    batches = plan_batches(
        [len(row.ids) for row in rows],
        batch=settings.batch,
        steps=settings.steps,
        seed=settings.seed,
    )
    losses: list[float] = []
    tokens = 0
    started = time.perf_counter()
    for step, numbers in enumerate(batches):
        torch.manual_seed(settings.seed * 1_000_003 + step)
        batch = [rows[number] for number in numbers]
        losses.append(learn(model, batch, settings))
        optimizer.step(learning_rate(step, settings))
        tokens += sum(len(row.ids) for row in batch)
    seconds = time.perf_counter() - started
    return model, {"seconds": seconds, "tokens": tokens, "losses": losses}


def _trl(
    folder: Path, samples: list[Sample], settings: TrainSettings, changes: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """SFTTrainer as it comes, but for what both must share (see `shared`) and `changes`."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    from datasets import Dataset, disable_progress_bars
    from trl import SFTConfig, SFTTrainer

    disable_progress_bars()
    rows = [
        {
            "prompt": [dict(message) for message in sample.messages],
            "completion": [{"role": "assistant", "content": sample.target}],
        }
        for sample in samples
    ]
    with tempfile.TemporaryDirectory(prefix="personae-bench-") as scratch:
        shared = {
            "output_dir": scratch,
            "per_device_train_batch_size": settings.batch,
            "max_steps": settings.steps,
            "learning_rate": settings.learning_rate,
            "lr_scheduler_type": "cosine",
            "warmup_steps": max(1, round(settings.steps * settings.warmup)),
            "weight_decay": 0.0,
            "seed": settings.seed,
            # What watches and saves, not what learns.
            "logging_steps": 1,
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
            # Its bfloat16 default is refused on a CPU unless the CPU is asked for.
            "use_cpu": not torch.cuda.is_available(),
        }
        trainer = SFTTrainer(
            model=str(folder),
            args=SFTConfig(**(shared | changes)),
            train_dataset=Dataset.from_list(rows),
            peft_config=lora_config(
                rank=settings.rank, alpha=settings.alpha, dropout=settings.dropout
            ),
        )
        counted = _CountedTokens(trainer.data_collator)
        trainer.data_collator = counted
        started = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - started
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        model = trainer.model
    return model, {
        "seconds": seconds,
        "tokens": counted.tokens,
        "losses": losses,
        "weights": str(model.get_base_model().dtype),
        "attention": model.config._attn_implementation,
        "gradient_checkpointing": bool(trainer.args.gradient_checkpointing),
    }


class _CountedTokens:
    """A collator that counts the tokens of the rows it is given, before it pads them."""

    def __init__(self, collate: Any) -> None:
        self._collate = collate
        self.tokens = 0

    def __call__(self, rows: list[dict[str, Any]]) -> Any:
        self.tokens += sum(len(row["input_ids"]) for row in rows)
        return self._collate(rows)


if __name__ == "__main__":
    question, answer = (Path(argument) for argument in sys.argv[1:3])
    result = run(json.loads(question.read_bytes()))
    answer.write_text(json.dumps(result), encoding="utf-8")
