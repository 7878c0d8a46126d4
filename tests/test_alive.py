"""The alive check on a real vLLM: the shipped voice passes, and what would be dead there is told apart.

One engine for all of it, because its start takes most of a minute.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib import util
from pathlib import Path

import pytest

from personae.config import PROFILES, EngineConfig
from personae.manifest import ADAPTER_CONFIG, ADAPTER_WEIGHTS, hash_files
from personae.persona import load_cast
from personae.registry import RegisteredVersion, Registry
from personae.verdict import AliveVerdict
from serving.alive_check import try_in_engine
from serving.private_engine import private_engine
from tests.conftest import REPOSITORY
from tests.kept import kept_model

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(util.find_spec("vllm") is None, reason="vLLM is not installed"),
]

BASE = "smollm2-135m"
LLAMA_LAYERS, MATRICES = 30, 7


@pytest.fixture(scope="module")
def model() -> Path:
    return kept_model(BASE)


def copied(
    shipped: RegisteredVersion, folder: Path, version: int, change: Callable[[Path], None]
) -> RegisteredVersion:
    """The shipped version under another number, with its files changed."""
    shutil.copytree(shipped.folder, folder)
    (folder / "manifest.json").unlink()
    change(folder)
    assert shipped.manifest is not None
    manifest = shipped.manifest.model_copy(update={"version": version, "files": hash_files(folder)})
    return replace(shipped, version=version, folder=folder, manifest=manifest)


def without_training(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / ADAPTER_WEIGHTS)
    save_file(
        {name: tensor * (".lora_B." not in name) for name, tensor in tensors.items()},
        folder / ADAPTER_WEIGHTS,
    )


def with_settings(**settings: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / ADAPTER_CONFIG
        path.write_text(json.dumps(json.loads(path.read_text()) | settings))

    return change


async def test_the_shipped_voice_is_alive_and_what_would_be_dead_is_told_apart(model, tmp_path):
    persona = load_cast([REPOSITORY / "cast"])["lincoln"]
    registry = Registry(tmp_path / "adapters")
    registry.import_shipped("lincoln", REPOSITORY / "cast" / "lincoln")
    shipped = registry.find("lincoln")
    alpha = json.loads((shipped.folder / ADAPTER_CONFIG).read_text())["lora_alpha"]
    last = shipped.version
    dead = copied(shipped, tmp_path / "dead", last + 1, without_training)
    louder = copied(shipped, tmp_path / "loud", last + 2, with_settings(lora_alpha=alpha * 2))
    illegal = copied(
        shipped, tmp_path / "illegal", last + 3, with_settings(modules_to_save=["lm_head"])
    )
    log_file = tmp_path / "engine.log"
    config = EngineConfig(**{**PROFILES["cpu-demo"], "base_model": BASE})
    verdicts: list[AliveVerdict] = []
    async with private_engine(config, model=model, log_file=log_file, log_level="DEBUG") as client:
        for candidate in (shipped, dead, louder, illegal):
            verdict = await try_in_engine(
                client, persona, candidate, base_model=BASE, log_file=log_file
            )
            print(verdict.model_dump_json(indent=1))
            verdicts.append(verdict)
    failed = [[check.name for check in verdict.checks if not check.passed] for verdict in verdicts]
    sound, unchanged, loud, refused = verdicts
    assert sound.outcome == "passed" and failed[0] == []
    assert sound.engine.startswith("vLLM ") and sound.nats_off_reference is not None
    (tensors,) = [check for check in sound.checks if check.name == "tensors"]
    assert tensors.sentence == f"The engine adapted all {LLAMA_LAYERS * MATRICES} modules."
    assert "differs" in failed[1] and "exactly like the base model" in unchanged.sentence
    assert "agrees" in failed[2] and "by transformers and peft" in loud.sentence
    assert failed[3] == ["loaded"] and "modules_to_save" in refused.sentence
