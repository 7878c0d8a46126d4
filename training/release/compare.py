"""Whether an export says what base and adapter say: logits for one prompt, and token ids for texts.

In: folders of models and messages. Out: figures. It is the proof that goes into an export, so it loads
what was written, from the disk, through transformers; one model at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from personae.progress import Progress, silent
from personae.prompt import Message
from training.models.convert import quiet_transformers

_FLOAT32_UP_TO_BYTES = 4 << 30
"""Weights of 16 bit up to this size are compared in float32; larger ones would not fit, and are
compared in their own type, whose rounding then is in the figures."""

TEXTS = (
    "The Union must be preserved; in 1862 — “whole”.",
    "  Two spaces,\ttabs\n\nand 12345 lines: don't ... naïve Ωmega 😀 <|im_end|> it's",
    "",
)
"""What tokenizers are compared on: figures, spaces, other scripts, and a mark of the template."""


@dataclass(frozen=True)
class Agreement:
    """Largest absolute differences between logits at every position of a prompt."""

    merged_to_adapter: float
    """Merged model against base with LoRA: rounding."""
    adapter_to_base: float
    """Base with LoRA against the base alone: the voice."""
    largest_logit: float


def compare_merge(
    base: Path,
    adapter: Path,
    merged: Path,
    messages: Sequence[Message],
    *,
    progress: Progress = silent,
) -> Agreement:
    """Ask base, base with LoRA, and the merged model the same prompt."""
    from peft import PeftModel

    doing = "comparing with base and adapter"
    progress(doing, 0, 3)
    model, ids = load(base), prompt_ids(base, messages)
    without = logits(model, ids)
    progress(doing, 1, 3)
    with quiet_transformers():
        model = PeftModel.from_pretrained(model, adapter)
    with_lora = logits(model, ids)
    del model
    progress(doing, 2, 3)
    together = logits(load(merged), ids)
    progress(doing, 3, 3)
    return Agreement(
        merged_to_adapter=difference(together, with_lora),
        adapter_to_base=difference(with_lora, without),
        largest_logit=float(with_lora.abs().max()),
    )


def load(folder: Path, gguf: str | None = None) -> Any:
    """A model for comparing, from a folder or from a GGUF file in it."""
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    kept = gguf is None and _weight_bytes(folder) > _FLOAT32_UP_TO_BYTES
    settings: dict[str, Any] = {"dtype": "auto" if kept else torch.float32}
    if gguf is not None:
        settings |= {"gguf_file": gguf, "quantization_config": GgufConfig(dequantize=True)}
    with quiet_transformers():
        model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, **settings)
    return model.eval()


def prompt_ids(folder: Path, messages: Sequence[Message]) -> list[int]:
    """The ids of messages in the model's own template."""
    from transformers import AutoTokenizer

    with quiet_transformers():
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    text = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def logits(model: Any, ids: Sequence[int]) -> Any:
    """(positions, vocabulary) float32, on the CPU."""
    import torch

    with torch.inference_mode():
        return model(input_ids=torch.tensor([list(ids)])).logits[0].float().cpu()


def difference(left: Any, right: Any) -> float:
    return float((left - right).abs().max())


def _weight_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))
