"""A plain LoRA on a base model: attach it, compute its loss, save it as vLLM takes it.

h = W·x + (alpha / r)·B·A·x with A: (r, in) random, B: (out, r) zero, W frozen (Hu et al. 2021,
https://arxiv.org/abs/2106.09685). All linear layers but embeddings and lm_head carry one. Everything
that touches torch, transformers and peft in training goes through here and `training.train`.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from personae.errors import ModelError
from personae.manifest import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from training.models.convert import quiet_transformers
from training.tune.encode import Encoded
from training.tune.legal import config_problems
from training.tune.packed import ATTENTION, PLAIN_CAUSAL, packed_losses, use_packed_attention
from training.tune.run_folder import TrainSettings

log = logging.getLogger(__name__)

# malloc.h of glibc
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -2, -3, -4


@contextlib.contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Let glibc reuse large blocks instead of returning them to the kernel at every step.

    A training step allocates and frees the same gigabytes; as fresh mappings each costs page faults.
    Measured: +30 % tokens/s on 2 cores. Elsewhere than on glibc nothing happens. Afterwards glibc is as
    before, and what was kept is given back: generating text with these settings grew a process to 6 GB
    and took four times as long.
    """
    try:
        libc = ctypes.CDLL(None)
        mallopt, trim = libc.mallopt, libc.malloc_trim
    except (OSError, AttributeError):
        yield
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_M_TOP_PAD, 256 << 20)
    try:
        yield
    finally:
        # Where glibc lets its thresholds rise by itself; once set, they no longer do.
        mallopt(_M_MMAP_MAX, 65536)
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)
        mallopt(_M_TRIM_THRESHOLD, 64 << 20)
        mallopt(_M_TOP_PAD, 128 << 10)
        trim(0)


def load_base(folder: Path, *, four_bit: bool = False) -> tuple[Any, Any]:
    """(model in bfloat16, tokenizer) of a fetched model folder, from disk only.

    `four_bit` keeps the weights in NF4 with bfloat16 arithmetic (QLoRA, https://arxiv.org/abs/2305.14314).

    All CPUs of the process work, hyperthreads too, unless OMP_NUM_THREADS says otherwise. On a busy
    machine fewer is faster: a thread that waits for a CPU stalls all the others.
    """
    import torch
    from transformers import AutoModelForCausalLM

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(_cpus())
    tokenizer = load_tokenizer(folder)
    with quiet_transformers():
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.bfloat16,
            local_files_only=True,
            **({"quantization_config": _four_bit_config()} if four_bit else {}),
        )
    if torch.cuda.is_available() and not four_bit:
        model = model.to(f"cuda:{int(os.environ.get('LOCAL_RANK', '0'))}")
    model.config.use_cache = False
    return model, tokenizer


def _four_bit_config() -> Any:
    import importlib.util

    import torch
    from transformers import BitsAndBytesConfig

    if importlib.util.find_spec("bitsandbytes") is None or not torch.cuda.is_available():
        raise ModelError(
            "Training on a 4-bit base needs an NVIDIA GPU and the package bitsandbytes. Install it, or "
            "choose a profile without four_bit_base."
        )
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    with quiet_transformers():
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def lora_config(*, rank: int, alpha: int, dropout: float) -> Any:
    """The one kind of adapter that is trained here, as peft describes it."""
    from peft import LoraConfig

    return LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        bias="none",
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def trainable(base: Any, settings: TrainSettings, *, base_model: str) -> Any:
    """A loaded base model with a fresh adapter, made ready for training steps; seeded."""
    import torch

    torch.manual_seed(settings.seed)
    model = attach_lora(
        base,
        rank=settings.rank,
        alpha=settings.alpha,
        dropout=settings.dropout,
        base_model=base_model,
    )
    if base.device.type == "cpu" and base.config.model_type in PLAIN_CAUSAL:
        use_packed_attention(base)
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    return model


def attach_lora(model: Any, *, rank: int, alpha: int, dropout: float, base_model: str) -> Any:
    """A peft model with trainable bfloat16 A and B; the rest is frozen.

    A and B are bfloat16 so that no layer casts its input, and what is evaluated is what is saved;
    the optimizer keeps float32 copies (`training.tune.steps`).
    """
    from peft import get_peft_model

    config = lora_config(rank=rank, alpha=alpha, dropout=dropout)
    wrapped = get_peft_model(model, config, autocast_adapter_dtype=False)
    wrapped.peft_config["default"].base_model_name_or_path = base_model
    return wrapped


def row_losses(model: Any, rows: Sequence[Encoded]) -> Any:
    """Summed cross entropy of each row's labels, in nats: (rows,) float32.

    On a CPU rows are packed without padding (`training.tune.packed`), elsewhere padded on the right.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if base.config._attn_implementation == ATTENTION:
        return packed_losses(model, rows)
    return padded_losses(model, rows)


def padded_losses(model: Any, rows: Sequence[Encoded]) -> Any:
    """The same of a padded batch. Causal attention needs no mask where the padding is on the right.

    Logits are computed for labelled positions only: the 49k-word lm_head over a masked prompt is
    most of a plain loop's work. Shapes: ids (rows, longest) int64; hidden (rows, longest, width).
    """
    import torch

    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    longest = max(len(row.ids) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    predicts = torch.zeros(len(rows), longest, dtype=torch.bool)
    for number, row in enumerate(rows):
        ids[number, : len(row.ids)] = torch.tensor(row.ids)
        predicts[number, row.first_label - 1 : len(row.ids) - 1] = True
    targets = ids[:, 1:][predicts[:, :-1]].to(base.device)
    belongs = predicts.nonzero()[:, 0].to(base.device)
    hidden = base.base_model(input_ids=ids.to(base.device), use_cache=False).last_hidden_state
    logits = base.get_output_embeddings()(hidden[predicts.to(base.device)]).float()
    nats = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    return torch.zeros(len(rows), device=base.device).index_add(0, belongs, nats)


def lora_tensors(model: Any) -> dict[str, Any]:
    """{peft name: a copy on the CPU} of A and B."""
    from peft import get_peft_model_state_dict

    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()}


def save_adapter(folder: Path, tensors: Mapping[str, Any], model: Any) -> None:
    """Write adapter_config.json and adapter_model.safetensors (bfloat16), and nothing else.

    Raises:
        ModelError: the configuration is none that vLLM serves, or a tensor is not finite.
    """
    import torch
    from safetensors.torch import save_file

    saved = {name: tensor.to(torch.bfloat16) for name, tensor in tensors.items()}
    if not all(torch.isfinite(tensor).all() for tensor in saved.values()):
        raise ModelError("The trained weights are not finite. Train again with a lower rate.")
    config = model.peft_config["default"].to_dict()
    config["inference_mode"] = True
    config["target_modules"] = sorted(config["target_modules"])
    if problems := config_problems(config):
        raise ModelError(f"vLLM does not serve such an adapter: {'; '.join(problems)}.")
    plain = {name: value for name, value in sorted(config.items()) if _is_json(value)}
    (folder / ADAPTER_CONFIG).write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")
    save_file(saved, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})
    (folder / ADAPTER_WEIGHTS).chmod(0o644)


def _is_json(value: object) -> bool:
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True
