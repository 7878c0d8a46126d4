"""Adapters on disk: written once, verified offline, refused with a sentence that says what to do."""

from __future__ import annotations

import json
import shutil

import pytest

from personae.errors import AdapterError, UnknownVersion
from personae.manifest import MANIFEST, BaseModelRef, verify_adapter
from personae.prompt import fingerprint
from personae.registry import RegisteredVersion, Registry, parse_version
from tests.fakes.artefacts import BASE, add_adapter


@pytest.fixture
def registry(tmp_path) -> Registry:
    return Registry(tmp_path / "adapters")


def verify(version: RegisteredVersion, persona, base: BaseModelRef = BASE):
    return verify_adapter(
        version.folder,
        persona=persona.id,
        base_model=base,
        prompt_fingerprint=fingerprint(persona),
    )


def test_a_version_is_added_found_and_sound(registry, cast, tmp_path):
    persona = cast["lincoln"]
    added = add_adapter(registry, persona, 1, tmp_path)
    assert added.folder.name == f"v1-{added.manifest.content_sha256[:8]}"
    assert registry.find("lincoln") == added
    assert added.engine_name == "lincoln@v1"
    assert verify(added, persona) == added.manifest


def test_adding_the_same_again_is_nothing_and_other_bytes_are_refused(registry, cast, tmp_path):
    persona = cast["lincoln"]
    add_adapter(registry, persona, 1, tmp_path / "a")
    assert add_adapter(registry, persona, 1, tmp_path / "b") == registry.find("lincoln", 1)
    with pytest.raises(AdapterError, match="Publish it as v2"):
        add_adapter(registry, persona, 1, tmp_path / "c", config={"lora_alpha": 99})


def test_an_unfinished_version_is_passed_over_and_its_number_not_reused(registry, cast, tmp_path):
    added = add_adapter(registry, cast["lincoln"], 3, tmp_path)
    (added.folder / MANIFEST).unlink()
    assert registry.versions("lincoln") == []
    assert registry.next_version("lincoln") == 4


def test_unknown_versions_name_those_there_are(registry, cast, tmp_path):
    with pytest.raises(UnknownVersion, match="no adapter version yet"):
        registry.find("lincoln")
    add_adapter(registry, cast["lincoln"], 2, tmp_path)
    with pytest.raises(UnknownVersion, match="There are: v2"):
        registry.find("lincoln", 7)


@pytest.mark.parametrize("typed", ["new", "v0", "-1", "v1.2", "", "../v1"])
def test_what_is_no_version_is_told(typed):
    with pytest.raises(UnknownVersion):
        parse_version(typed)


def damage_a_weight(folder):
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")


def add_a_file(folder):
    (folder / "extra.bin").write_bytes(b"x")


def lose_the_weights(folder):
    (folder / "adapter_model.safetensors").unlink()


def link_the_weights(folder):
    path = folder / "adapter_model.safetensors"
    moved = path.rename(folder.parent / "elsewhere.safetensors")
    path.symlink_to(moved)


def break_the_manifest(folder):
    (folder / MANIFEST).write_text('{"persona": "lincoln"}')


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (damage_a_weight, "damaged or edited"),
        (add_a_file, "not in the manifest"),
        (lose_the_weights, "missing"),
        (link_the_weights, "no plain file"),
        (break_the_manifest, "can't be read"),
    ],
)
def test_damage_is_found(registry, cast, tmp_path, spoil, words):
    added = add_adapter(registry, cast["lincoln"], 1, tmp_path)
    spoil(added.folder)
    with pytest.raises(AdapterError, match=words):
        verify(added, cast["lincoln"])


def test_an_adapter_of_another_base_persona_or_prompt_is_refused(registry, cast, tmp_path):
    added = add_adapter(registry, cast["lincoln"], 1, tmp_path)
    with pytest.raises(AdapterError, match="trained for lincoln"):
        verify(added, cast["roosevelt"])
    with pytest.raises(AdapterError, match=r"runs other-model.*personae train run lincoln"):
        verify(added, cast["lincoln"], BaseModelRef(id="other-model", weights_sha256="00"))
    with pytest.raises(AdapterError, match="other weights"):
        verify(added, cast["lincoln"], BaseModelRef(id=BASE.id, weights_sha256="00"))
    stale = add_adapter(registry, cast["lincoln"], 2, tmp_path, prompt_fingerprint="00" * 32)
    with pytest.raises(AdapterError, match="other prompts"):
        verify(stale, cast["lincoln"])


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"bias": "all"}, "bias"),
        ({"modules_to_save": ["lm_head"]}, "lm_head"),
        ({"peft_type": "IA3"}, "IA3"),
        ({"r": 4}, "manifest says 8"),
    ],
)
def test_what_vllm_refuses_is_refused_before_it(registry, cast, tmp_path, config, words):
    added = add_adapter(registry, cast["lincoln"], 1, tmp_path, config=config)
    with pytest.raises(AdapterError, match=words):
        verify(added, cast["lincoln"])


Q_PROJ = "model.layers.0.self_attn.q_proj"


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({}, "does not have"),
        ({"model.layers.0.mlp.up_proj": (4, 4)}, "does not have"),
        ({Q_PROJ: (2, 5)}, "base model needs"),
        ({Q_PROJ: (9, 2)}, "base model needs"),
    ],
)
def test_an_adapter_that_does_not_fit_the_base_is_refused(registry, cast, tmp_path, shapes, words):
    """vLLM would load it silently and speak as the base model."""
    added = add_adapter(registry, cast["lincoln"], 1, tmp_path)
    with pytest.raises(AdapterError, match=words):
        verify_adapter(
            added.folder,
            persona="lincoln",
            base_model=BASE,
            prompt_fingerprint=fingerprint(cast["lincoln"]),
            base_shapes=shapes,
        )


def test_an_adapter_that_fits_the_base_is_taken(registry, cast, tmp_path):
    added = add_adapter(registry, cast["lincoln"], 1, tmp_path)
    assert verify_adapter(
        added.folder,
        persona="lincoln",
        base_model=BASE,
        prompt_fingerprint=fingerprint(cast["lincoln"]),
        base_shapes={Q_PROJ: (2, 2)},
    )


@pytest.mark.parametrize("missing", ["A", "B"])
def test_half_a_pair_is_refused(registry, cast, tmp_path, missing):
    added = add_adapter(registry, cast["lincoln"], 1, tmp_path, leave_out=f"lora_{missing}")
    with pytest.raises(AdapterError, match="one half"):
        verify(added, cast["lincoln"])


def test_shipped_versions_come_in_once(registry, cast, tmp_path):
    shipping = Registry(tmp_path / "shipping")
    added = add_adapter(shipping, cast["lincoln"], 1, tmp_path / "scratch")
    persona_folder = tmp_path / "cast" / "lincoln"
    shutil.copytree(added.folder, persona_folder / "adapters" / added.folder.name)
    assert [v.name for v in registry.import_shipped("lincoln", persona_folder)] == ["v1"]
    assert registry.import_shipped("lincoln", persona_folder) == []
    assert verify(registry.find("lincoln"), cast["lincoln"])


def test_manifest_on_disk_is_as_agreed(registry, cast, tmp_path):
    """Golden keys of manifest.json."""
    added = add_adapter(registry, cast["lincoln"], 1, tmp_path)
    on_disk = json.loads((added.folder / MANIFEST).read_text())
    assert set(on_disk) == {
        "format", "persona", "version", "base_model", "prompt_fingerprint", "rank", "recipe",
        "dataset_fingerprint", "metrics", "gate", "files", "created_at", "reference", "alive",
    }  # fmt: skip
