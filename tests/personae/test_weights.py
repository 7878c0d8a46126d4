"""Weights are named by their tensors, however they are stored; a damaged model folder is noticed."""

from __future__ import annotations

import json
import struct

import pytest

from personae.errors import ModelError
from personae.files import sha256_of
from personae.weights import (
    MODEL_MANIFEST,
    ModelManifest,
    hash_weights,
    model_folder,
    read_model_manifest,
    read_safetensors_header,
    verify_model,
)
from tests.fakes.artefacts import safetensors_bytes


def with_metadata(data: bytes, metadata: dict[str, str]) -> bytes:
    """The same tensors under a header with metadata and other spacing."""
    (length,) = struct.unpack("<Q", data[:8])
    header = {"__metadata__": metadata} | json.loads(data[8 : 8 + length])
    encoded = json.dumps(header, indent=1).encode()
    return struct.pack("<Q", len(encoded)) + encoded + data[8 + length :]


def test_the_hash_is_of_the_tensors_not_of_the_files(tmp_path):
    one, two, other = tmp_path / "one", tmp_path / "two", tmp_path / "other"
    for folder in (one, two, other):
        folder.mkdir()
    both = {"a": [1.0, 2.0], "b": [3.0]}
    (one / "model.safetensors").write_bytes(safetensors_bytes(both))
    (two / "model-1.safetensors").write_bytes(safetensors_bytes({"b": [3.0]}))
    (two / "model-2.safetensors").write_bytes(
        with_metadata(safetensors_bytes({"a": [1.0, 2.0]}), {"format": "pt"})
    )
    (other / "model.safetensors").write_bytes(safetensors_bytes(both | {"b": [4.0]}))
    assert hash_weights(one) == hash_weights(two)
    assert hash_weights(one) != hash_weights(other)


def test_a_renamed_tensor_has_another_hash(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        data = safetensors_bytes({f"{name}.weight": [1.0]})
        (tmp_path / name / "model.safetensors").write_bytes(data)
    assert hash_weights(tmp_path / "a") != hash_weights(tmp_path / "b")


@pytest.mark.parametrize(
    "data",
    [b"", b"1234", b"\xff" * 64, struct.pack("<Q", 5) + b"{not}", struct.pack("<Q", 2) + b"[]"],
)
def test_what_is_no_safetensors_file_is_refused(tmp_path, data):
    (tmp_path / "model.safetensors").write_bytes(data)
    with pytest.raises(ModelError, match="not a readable safetensors file"):
        read_safetensors_header(tmp_path / "model.safetensors")


def test_a_file_cut_short_and_a_folder_without_weights_are_refused(tmp_path):
    with pytest.raises(ModelError, match="holds no safetensors weights"):
        hash_weights(tmp_path)
    data = safetensors_bytes({"a": [1.0, 2.0]})
    (tmp_path / "model.safetensors").write_bytes(data[:-1])
    with pytest.raises(ModelError, match="is cut short"):
        hash_weights(tmp_path)


@pytest.fixture
def model(tmp_path):
    folder = model_folder(tmp_path, "owner/name")
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(safetensors_bytes({"a": [1.0]}))
    (folder / "config.json").write_text("{}")
    manifest = ModelManifest(
        id="owner/name",
        source="a test",
        licence="none",
        weights_sha256=hash_weights(folder),
        files={name: sha256_of(folder / name) for name in ("model.safetensors", "config.json")},
        created_at="2026-01-01T00:00:00+00:00",
    )
    (folder / MODEL_MANIFEST).write_text(manifest.model_dump_json())
    return folder


def test_a_sound_model_verifies_and_a_damaged_one_does_not(model):
    assert model.name == "owner--name"
    assert verify_model(model).id == "owner/name"
    (model / "config.json").write_text("{ }")
    with pytest.raises(ModelError, match=r"config\.json is damaged.*fetch the model again"):
        verify_model(model)
    (model / "config.json").unlink()
    with pytest.raises(ModelError, match=r"config\.json is missing"):
        verify_model(model)


def test_a_model_without_a_manifest_was_never_fetched(tmp_path, model):
    with pytest.raises(ModelError, match="personae models fetch nothing"):
        read_model_manifest(tmp_path / "nothing")
    (model / MODEL_MANIFEST).write_text("{}")
    with pytest.raises(ModelError, match="can't be read"):
        read_model_manifest(model)
