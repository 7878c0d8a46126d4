"""A GGUF file as a model folder that transformers, peft and vLLM read.

In: a GGUF file. Out: bfloat16 safetensors, tokenizer and chat template, looked at before anybody relies on
them. Where the file comes from and where the folder goes is `training.models`' business.
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

from personae.errors import ModelError


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """transformers without its own bars and notices; ours is the progress a person sees."""
    from transformers.utils import logging as transformers_logging

    bars = transformers_logging.is_progress_bar_enabled()
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    try:
        # The GGUF reader's bar has no switch; it writes to whatever stderr is then.
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


def convert_gguf(origin: Path, folder: Path) -> None:
    """A GGUF file as bfloat16 safetensors with tokenizer and chat template (17 s for 135M).

    Dequantizing is exact arithmetic, so the tensors, and `hash_weights` of them, come out the same
    on every machine.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    with quiet_transformers():
        model = AutoModelForCausalLM.from_pretrained(
            origin.parent,
            gguf_file=origin.name,
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.bfloat16,
        )
        tokenizer = AutoTokenizer.from_pretrained(origin.parent, gguf_file=origin.name)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def check_chat_model(folder: Path) -> None:
    """Load what was written, and look at the weights and the chat template.

    Raises:
        ModelError: tensors are missing or not finite, or the tokenizer does not bring text back.
    """
    import torch
    from safetensors import safe_open
    from transformers import AutoConfig, AutoTokenizer

    with quiet_transformers():
        config = AutoConfig.from_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
    problems = []
    layers = set()
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - safe_open is no mapping
                tensor = file.get_tensor(name)
                if found := re.search(r"\.layers\.(\d+)\.", name):
                    layers.add(int(found.group(1)))
                if not torch.isfinite(tensor).all():
                    problems.append(f"{name} holds values that are not finite")
                if "embed_tokens" in name and tensor.shape[0] < len(tokenizer):
                    problems.append(
                        f"{name} has {tensor.shape[0]} rows for {len(tokenizer)} tokens"
                    )
    if layers != set(range(config.num_hidden_layers)):
        problems.append(f"{len(layers)} of {config.num_hidden_layers} layers have weights")
    probe = "The Union must be preserved; 1862 — “whole”."
    if tokenizer.decode(tokenizer.encode(probe, add_special_tokens=False)) != probe:
        problems.append("the tokenizer does not give a sentence back")
    messages = [{"role": "system", "content": "A."}, {"role": "user", "content": probe}]
    if tokenizer.chat_template is None:
        problems.append("it has no chat template")
    elif probe not in tokenizer.apply_chat_template(messages, tokenize=False):
        problems.append("its chat template drops the message")
    if problems:
        raise ModelError(f"The converted model is not sound: {'; '.join(problems)}.")
