"""A Llama-family model with a byte-level BPE tokenizer as GGUF, through the `gguf` package.

In: a folder of 16-bit safetensors. Out: one file of f16, bf16 or q8_0. The `gguf` package knows the format,
the tensors' names and the arithmetic of q8_0, and brings no converter; what to write, and the order of the
rows of q_proj and k_proj, follow `conversion/llama.py` and `conversion/base.py` of llama.cpp
(https://github.com/ggml-org/llama.cpp, MIT). A model with anything that is not written here (scaled
rotary positions, biases, SentencePiece) is refused, because a file that lacks it loads and talks nonsense.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from personae.errors import ModelError
from personae.progress import Progress, silent
from personae.weights import read_safetensors_header
from training.models.convert import quiet_transformers

_LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_Q8_BLOCK = 32
_LARGEST_F16 = 65504.0


@dataclass(frozen=True)
class _Tensor:
    """One tensor of the file: its GGUF name, where it lies now, and how it will be stored."""

    name: str
    source: str
    path: Path
    data_start: int
    entry: Mapping[str, Any]
    stored: Any
    """gguf.GGMLQuantizationType"""


def write_llama(
    merged: Path,
    target: Path,
    kind: str,
    *,
    title: str,
    description: str,
    progress: Progress = silent,
) -> None:
    """Write the file; one tensor is in memory at a time.

    Raises:
        ModelError: the model is none that is written here, or its weights don't fit f16.
    """
    import gguf

    config = json.loads((merged / "config.json").read_text(encoding="utf-8"))
    tokenizer = json.loads((merged / "tokenizer.json").read_text(encoding="utf-8"))
    pre = _require_writable(config, tokenizer)
    tensors = _plan(merged, config, kind)
    writer = gguf.GGUFWriter(target, "llama")
    try:
        writer.add_type("model")
        writer.add_name(title)
        writer.add_description(description)
        _add_sizes(writer, config, kind)
        _add_vocabulary(writer, merged, tokenizer, pre, config["vocab_size"])
        for tensor in tensors:
            _announce(writer, tensor)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for number, tensor in enumerate(tensors):
            progress("writing GGUF", number, len(tensors))
            writer.write_tensor_data(gguf.quantize(_rows(tensor, config, kind), tensor.stored))
    finally:
        writer.close()
    progress("writing GGUF", len(tensors), len(tensors))


def _require_writable(config: Mapping[str, Any], tokenizer: Mapping[str, Any]) -> str:
    """The name GGUF has for how this tokenizer cuts text before BPE.

    Raises:
        ModelError: names what is not written here.
    """
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    problems = []
    if config.get("model_type") != "llama":
        problems.append(f"it is a {config.get('model_type')} model")
    if rope.get("rope_type", rope.get("type", "default")) != "default":
        problems.append(f"its rotary positions are scaled ({rope.get('rope_type')})")
    if config.get("attention_bias") or config.get("mlp_bias"):
        problems.append("it has biases")
    if config.get("hidden_act", "silu") != "silu":
        problems.append(f"its activation is {config['hidden_act']}")
    pre = _pre_tokenizer(tokenizer)
    if pre is None:
        problems.append("its tokenizer is not one of GPT-2's, SmolLM's or Llama 3's kind")
    if problems or pre is None:
        raise ModelError(
            f"Without llama.cpp only plain Llama models become GGUF, and {'; '.join(problems)}. Give "
            "llama.cpp's converter with --converter <llama.cpp>/convert_hf_to_gguf.py."
        )
    return pre


def _pre_tokenizer(tokenizer: Mapping[str, Any]) -> str | None:
    model = tokenizer["model"]
    if model.get("type") != "BPE" or model.get("byte_fallback") or tokenizer.get("normalizer"):
        return None
    found = tokenizer.get("pre_tokenizer") or {}
    steps = found.get("pretokenizers", [found]) if found else []
    kinds = [step.get("type") for step in steps]
    if not kinds or kinds[-1] != "ByteLevel" or steps[-1].get("add_prefix_space"):
        return None
    by_regex = steps[-1].get("use_regex", True)
    if kinds == ["ByteLevel"] and by_regex:
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and by_regex and steps[0].get("individual_digits"):
        return "smollm"
    if kinds == ["Split", "ByteLevel"] and not by_regex:
        isolated = steps[0].get("behavior") == "Isolated" and not steps[0].get("invert")
        if isolated and steps[0].get("pattern") == {"Regex": _LLAMA3_SPLIT}:
            return "llama-bpe"
    return None


def _add_sizes(writer: Any, config: Mapping[str, Any], kind: str) -> None:
    import gguf

    heads = config["num_attention_heads"]
    rope = config.get("rope_parameters") or {}
    head_width = config.get("head_dim") or config["hidden_size"] // heads
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.get("num_key_value_heads") or heads)
    writer.add_key_length(head_width)
    writer.add_value_length(head_width)
    writer.add_rope_dimension_count(head_width)
    writer.add_rope_freq_base(float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0))
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    types = gguf.LlamaFileType
    file_type = {"f16": types.MOSTLY_F16, "bf16": types.MOSTLY_BF16, "q8_0": types.MOSTLY_Q8_0}
    writer.add_file_type(file_type[kind])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _add_vocabulary(
    writer: Any, merged: Path, tokenizer: Mapping[str, Any], pre: str, vocabulary_size: int
) -> None:
    """Tokens by id with their kind, merges, special ids and the chat template."""
    import gguf
    from transformers import AutoTokenizer

    with quiet_transformers():
        loaded = AutoTokenizer.from_pretrained(merged, local_files_only=True)
    kinds = gguf.TokenType
    tokens = [f"[PAD{number}]" for number in range(vocabulary_size)]
    types = [kinds.UNUSED] * vocabulary_size
    for text, number in tokenizer["model"]["vocab"].items():
        tokens[number], types[number] = text, kinds.NORMAL
    for added in tokenizer["added_tokens"]:
        kind = kinds.CONTROL if added["special"] else kinds.USER_DEFINED
        tokens[added["id"]], types[added["id"]] = added["content"], kind
    merges = tokenizer["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    # A space inside a half of a merge would be taken for the one between the halves; byte-level BPE
    # writes it as Ġ, so there is none.
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in merges])
    for name, add in (
        ("bos_token_id", writer.add_bos_token_id),
        ("eos_token_id", writer.add_eos_token_id),
        ("unk_token_id", writer.add_unk_token_id),
        ("pad_token_id", writer.add_pad_token_id),
    ):
        number = getattr(loaded, name)
        if number is not None:
            add(number)
    with_marks = loaded("a")["input_ids"]
    bos = loaded.bos_token_id
    writer.add_add_bos_token(bos is not None and with_marks[:1] == [bos])
    if loaded.chat_template:
        writer.add_chat_template(loaded.chat_template)


def _plan(merged: Path, config: Mapping[str, Any], kind: str) -> list[_Tensor]:
    """Every tensor, in the order of the file. Norms stay float32, as llama.cpp wants them.

    Raises:
        ModelError: a tensor that GGUF has no name for.
    """
    import gguf

    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    types = gguf.GGMLQuantizationType
    wanted = {"f16": types.F16, "bf16": types.BF16, "q8_0": types.Q8_0}[kind]
    tensors = []
    for path in sorted(merged.glob("*.safetensors")):
        header, data_start = read_safetensors_header(path)
        for source, entry in header.items():
            if source.endswith(".rotary_emb.inv_freq"):
                continue  # computed from rope_theta
            if source == "lm_head.weight" and config.get("tie_word_embeddings"):
                continue  # the same as the embeddings, which stand in the file
            name = names.get_name(source, try_suffixes=(".weight",))
            if name is None:
                raise ModelError(
                    f"GGUF has no name for {source}. Give llama.cpp's converter with --converter."
                )
            stored = types.F32 if len(entry["shape"]) == 1 else wanted
            if stored == types.Q8_0 and entry["shape"][-1] % _Q8_BLOCK:
                stored = types.F16
            tensors.append(_Tensor(name, source, path, data_start, entry, stored))
    return tensors


def _announce(writer: Any, tensor: _Tensor) -> None:
    import gguf
    import numpy as np

    shape = tuple(tensor.entry["shape"])
    types = gguf.GGMLQuantizationType
    if tensor.stored in (types.F32, types.F16):
        dtype = np.dtype(np.float32 if tensor.stored == types.F32 else np.float16)
    else:
        dtype = np.dtype(np.uint8)
        shape = gguf.quant_shape_to_byte_shape(shape, tensor.stored)
    size = dtype.itemsize
    for length in shape:
        size *= length
    writer.add_tensor_info(tensor.name, shape, dtype, size, raw_dtype=tensor.stored)


def _rows(tensor: _Tensor, config: Mapping[str, Any], kind: str) -> Any:
    """The tensor as float32; q_proj's and k_proj's rows in the order llama.cpp rotates them in.

    transformers rotates row i of a head with row i + half, llama.cpp row 2i with row 2i + 1.
    """
    import numpy as np
    import torch

    begin, end = tensor.entry["data_offsets"]
    with tensor.path.open("rb") as file:
        file.seek(tensor.data_start + begin)
        raw = bytearray(file.read(end - begin))
    dtype = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}
    stored = torch.frombuffer(raw, dtype=dtype[tensor.entry["dtype"]])
    rows = stored.reshape(tensor.entry["shape"]).float().numpy()
    heads = None
    if tensor.source.endswith(".q_proj.weight"):
        heads = config["num_attention_heads"]
    elif tensor.source.endswith(".k_proj.weight"):
        heads = config.get("num_key_value_heads") or config["num_attention_heads"]
    if heads is not None:
        shape = rows.shape
        rows = rows.reshape(heads, 2, shape[0] // heads // 2, shape[1]).swapaxes(1, 2)
        rows = rows.reshape(shape)
    if tensor.stored.name == "F16" and np.abs(rows).max() > _LARGEST_F16:
        raise ModelError(f"{tensor.source} is too large for f16 ({kind}). Export with --type bf16.")
    return np.ascontiguousarray(rows)
