"""Names for weights: a hash of the tensors themselves, and the manifest of a fetched model folder.

The hash ignores how tensors are spread over files and what metadata stands beside them, so the same
base model saved twice has the same name. Safetensors is parsed here directly (an 8-byte length, a
JSON header, raw bytes), because this package may hold neither torch nor numpy's missing bfloat16.
Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from personae.errors import ModelError
from personae.files import sha256_of

MODEL_MANIFEST = "personae-model.json"
_MAX_HEADER_BYTES = 100 << 20
_READ_BYTES = 4 << 20


class ModelManifest(BaseModel):
    """`personae-model.json`, written last into a model folder: its existence means "complete"."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    source: str
    licence: str
    weights_sha256: str
    files: dict[str, str]
    """File name → sha256 (hex) of every file of the folder but this one."""
    created_at: str


def read_safetensors_header(path: Path) -> tuple[dict[str, dict[str, Any]], int]:
    """({tensor name: {dtype, shape, data_offsets}}, offset of the first data byte).

    Raises:
        ModelError: the file is no safetensors file, or shorter than its header says.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(_MAX_HEADER_BYTES, size):
                raise ValueError("header longer than the file")
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        last_byte = max((entry["data_offsets"][1] for entry in header.values()), default=0)
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as err:
        raise ModelError(f"{path} is not a readable safetensors file ({err}).") from err
    if size < 8 + length + last_byte:
        raise ModelError(f"{path} is cut short: {size} bytes of {8 + length + last_byte}.")
    return header, 8 + length


def hash_weights(folder: Path) -> str:
    """sha256 (hex) over name, dtype, shape and bytes of every tensor, in order of name.

    Raises:
        ModelError: the folder holds no safetensors file, or a damaged one.
    """
    tensors: dict[str, tuple[Path, int, dict[str, Any]]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        header, data_start = read_safetensors_header(path)
        for name, entry in header.items():
            tensors[name] = (path, data_start, entry)
    if not tensors:
        raise ModelError(f"{folder} holds no safetensors weights.")
    digest = hashlib.sha256()
    for name in sorted(tensors):
        path, data_start, entry = tensors[name]
        digest.update(json.dumps([name, entry["dtype"], entry["shape"]]).encode())
        begin, end = entry["data_offsets"]
        with path.open("rb") as file:
            file.seek(data_start + begin)
            left = end - begin
            while left:
                chunk = file.read(min(left, _READ_BYTES))
                if not chunk:
                    raise ModelError(f"{path} is cut short in tensor {name}.")
                digest.update(chunk)
                left -= len(chunk)
    return digest.hexdigest()


def module_shapes(folder: Path) -> dict[str, tuple[int, int]]:
    """{module name: (d_out, d_in)} of every matrix of a model, for example
    {"model.layers.0.self_attn.q_proj": (576, 576)}. Reads headers only.

    Raises:
        ModelError: a weights file is damaged.
    """
    shapes: dict[str, tuple[int, int]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        header, _start = read_safetensors_header(path)
        for name, entry in header.items():
            if name.endswith(".weight") and len(entry["shape"]) == 2:
                shapes[name.removesuffix(".weight")] = (entry["shape"][0], entry["shape"][1])
    return shapes


def read_model_manifest(folder: Path) -> ModelManifest:
    """The manifest of a fetched model.

    Raises:
        ModelError: there is none: the model was never fetched, or not to the end.
    """
    try:
        return ModelManifest.model_validate_json((folder / MODEL_MANIFEST).read_bytes())
    except FileNotFoundError as err:
        raise ModelError(
            f"The model {folder.name} is not there (looked in {folder}). "
            f"Fetch it with `personae models fetch {folder.name}`."
        ) from err
    except ValidationError as err:
        raise ModelError(
            f"{folder / MODEL_MANIFEST} can't be read. Delete {folder} and fetch the model again."
        ) from err


def verify_model(folder: Path) -> ModelManifest:
    """Check every file of a model folder against its manifest (reads all the weights).

    Raises:
        ModelError: a file is missing or differs.
    """
    manifest = read_model_manifest(folder)
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise ModelError(f"{path} is missing. Delete {folder} and fetch the model again.")
        if sha256_of(path) != expected:
            raise ModelError(f"{path} is damaged. Delete {folder} and fetch the model again.")
    return manifest


def model_folder(models: Path, model_id: str) -> Path:
    """Where a model of this id lives below `models/`; a hub id's slash becomes two dashes.

    >>> model_folder(Path("var/models"), "Qwen/Qwen2.5-7B-Instruct").name
    'Qwen--Qwen2.5-7B-Instruct'
    """
    return models / model_id.replace("/", "--")
