"""A LoRA folded into its base model: W + (alpha / r)·B·A, as a folder of 16-bit safetensors.

In: a version of the registry and its base model's folder. Out: a model folder that transformers, vLLM
and llama.cpp's converter read, with tokenizer, chat template and configuration. The sum is taken in
float32 and rounded once, one matrix at a time, so memory holds one matrix and not one model. Merging
into a quantised base is refused: the rounding of 4 bits is larger than what a LoRA changes. Where the
folder goes, and what is said about it, is `training.release.export`'s business.
"""

from __future__ import annotations

import json
import re
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from personae.errors import AdapterError, ModelError
from personae.manifest import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from personae.progress import Progress, silent
from personae.weights import MODEL_MANIFEST, read_safetensors_header

_INDEX = "model.safetensors.index.json"
_COPIED = ("*.json", "*.jinja", "*.txt", "*.model")

_DTYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32", "F64": "float64"}
"""What a base may be stored in, by its name in safetensors and in torch."""

_PACKED = re.compile(r"\.(qweight|qzeros|scales|weight_packed|weight_scale|SCB|absmax|quant_map)$")
"""Tensors that GPTQ, AWQ, compressed-tensors and bitsandbytes store beside or instead of a matrix."""


def require_16_bit(base: Path, model_id: str) -> None:
    """Refuse a base whose weights were rounded to 8 or 4 bits.

    Raises:
        ModelError: names the method found, and says to fetch the 16-bit base.
    """
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    found = None
    if settings := config.get("quantization_config"):
        found = str(settings.get("quant_method") or "a quantization_config")
    for path in _weight_files(base):
        header, _ = read_safetensors_header(path)
        for name, entry in header.items():
            if entry["dtype"] not in _DTYPES or _PACKED.search(name):
                found = found or f"{name} is {entry['dtype']}"
    if found is not None:
        raise ModelError(
            f"{model_id} is quantised ({found}), and merging into rounded weights ruins the voice. "
            "Fetch the 16-bit base it was made from with `personae models fetch <owner/name>`, and "
            "name it with --base."
        )


def merge_weights(
    base: Path, adapter: Path, target: Path, *, progress: Progress = silent
) -> dict[str, int]:
    """Write the merged weights and the base's other files into `target`, an empty folder.

    Float32 bases come out as bfloat16, 16-bit ones in their own type.

    Returns:
        {"matrices": how many were changed, "bytes": written}.

    Raises:
        AdapterError: the adapter names a matrix that the base does not have, or is no plain LoRA.
        ModelError: a sum is not finite.
    """
    lora = _Lora(adapter)
    files = _weight_files(base)
    total = sum(path.stat().st_size for path in files)
    weight_map: dict[str, str] = {}
    done = 0
    for path in files:
        header, data_start = read_safetensors_header(path)
        weight_map |= dict.fromkeys(header, path.name)
        with (target / path.name).open("wb") as out:
            out.write(_header_bytes(header))
            with path.open("rb") as source:
                for name in _by_place(header):
                    entry = header[name]
                    begin, end = entry["data_offsets"]
                    source.seek(data_start + begin)
                    out.write(lora.merged(name, entry, source.read(end - begin)))
                    done += end - begin
                    progress("merging", min(done, total), total)
    if missing := sorted(lora.left):
        raise AdapterError(
            f"The adapter changes {missing[0]}, which the base model does not have. Merge it into "
            "the base it was trained on."
        )
    written = sum((target / path.name).stat().st_size for path in files)
    if len(files) > 1:
        index = {
            "metadata": {"total_size": written},
            "weight_map": dict(sorted(weight_map.items())),
        }
        (target / _INDEX).write_text(json.dumps(index, indent=2), encoding="utf-8")
    _copy_the_rest(base, target)
    return {"matrices": lora.merged_count, "bytes": written}


def merged_bytes(base: Path) -> int:
    """How much room a merged model takes, at most."""
    return sum(path.stat().st_size for path in base.iterdir() if path.is_file())


class _Lora:
    """A and B by the name of the tensor they change; `left` are those not yet merged."""

    def __init__(self, folder: Path) -> None:
        from safetensors.torch import load_file

        config = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
        self._config = config
        self._halves: dict[str, dict[str, Any]] = {}
        for name, tensor in load_file(folder / ADAPTER_WEIGHTS).items():
            module, _, half = name.removesuffix(".weight").rpartition(".lora_")
            if half not in ("A", "B"):
                raise AdapterError(f"{folder.name} holds {name}, which is no LoRA tensor.")
            weight = f"{module.removeprefix('base_model.model.')}.weight"
            self._halves.setdefault(weight, {})[half] = tensor
        self.left = set(self._halves)
        self.merged_count = 0

    def _scale(self, weight: str) -> float:
        """alpha / r, or alpha / √r (rank-stabilised), with what peft lets differ by module."""
        module = weight.removesuffix(".weight")
        alpha = _by_pattern(self._config.get("alpha_pattern") or {}, module)
        rank = self._halves[weight]["A"].shape[0]
        alpha = float(self._config["lora_alpha"] if alpha is None else alpha)
        return alpha / (rank**0.5 if self._config.get("use_rslora") else rank)

    def merged(self, name: str, entry: Mapping[str, Any], raw: bytes) -> bytes:
        """The bytes of one tensor of the merged model."""
        import torch

        dtype = entry["dtype"]
        if name not in self._halves and dtype in ("BF16", "F16"):
            return raw
        stored = torch.frombuffer(bytearray(raw), dtype=getattr(torch, _DTYPES[dtype]))
        weight = stored.reshape(entry["shape"]).float()
        if name in self._halves:
            halves = self._halves[name]
            change = halves["B"].float() @ halves["A"].float() * self._scale(name)
            weight += change.T if self._config.get("fan_in_fan_out") else change
            self.left.discard(name)
            self.merged_count += 1
        rounded = weight.to(torch.float16 if dtype == "F16" else torch.bfloat16)
        if not torch.isfinite(rounded).all():
            raise ModelError(f"{name} of the merged model is not finite; nothing was kept.")
        return bytes(rounded.contiguous().view(torch.uint8).numpy().tobytes())


def _by_pattern(patterns: Mapping[str, Any], module: str) -> Any:
    """peft's rule: a key fits a module that ends in it."""
    for key, value in patterns.items():
        if re.match(rf"(.*\.)?({key})$", module):
            return value
    return None


def _weight_files(base: Path) -> list[Path]:
    """The files the model is loaded from: those of the index, where there is one."""
    if (base / _INDEX).is_file():
        index = json.loads((base / _INDEX).read_text(encoding="utf-8"))
        return [base / name for name in sorted(set(index["weight_map"].values()))]
    files = sorted(base.glob("*.safetensors"))
    if not files:
        raise ModelError(f"{base} holds no safetensors weights.")
    return files


def _by_place(header: Mapping[str, Any]) -> list[str]:
    return sorted(header, key=lambda name: (header[name]["data_offsets"][0], name))


def _header_bytes(header: Mapping[str, Any]) -> bytes:
    """The head of the safetensors file that is about to be written, tensors in the base's order."""
    place = 0
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    for name in _by_place(header):
        entry = header[name]
        begin, end = entry["data_offsets"]
        size = (end - begin) // {"F32": 2, "F64": 4}.get(entry["dtype"], 1)
        dtype = "F16" if entry["dtype"] == "F16" else "BF16"
        entries[name] = {
            "dtype": dtype,
            "shape": entry["shape"],
            "data_offsets": [place, place + size],
        }
        place += size
    encoded = json.dumps(entries).encode()
    encoded += b" " * (-len(encoded) % 8)
    return struct.pack("<Q", len(encoded)) + encoded


def _copy_the_rest(base: Path, target: Path) -> None:
    """Tokenizer, template and configuration; the latter says in which type the weights are now."""
    for pattern in _COPIED:
        for path in sorted(base.glob(pattern)):
            if path.is_file() and path.name not in (MODEL_MANIFEST, _INDEX):
                shutil.copyfile(path, target / path.name)
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    for key in ("dtype", "torch_dtype"):
        if config.get(key) in ("float32", "float64"):
            config[key] = "bfloat16"
    (target / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
