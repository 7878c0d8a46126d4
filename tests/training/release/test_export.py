"""Exports say what base and adapter say, are whole or absent, and are refused where they would lie."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest

from personae.errors import AdapterError, ConfigError, DiskFull, ModelError
from personae.registry import Registry
from personae.weights import verify_model
from tests.kept import MODELS, kept_model
from tests.training.conftest import TINY
from tests.training.release.versions import add_lora
from training.models.fetch import write_model_manifest
from training.release.card import CARD
from training.release.compare import Agreement, difference, load, logits, prompt_ids
from training.release.export import (
    EXPORT,
    ExportManifest,
    Wanted,
    export_version,
    require_agreement,
)

MERGED = Wanted(format="merged")


@pytest.fixture(scope="module")
def version(models, lincoln, tmp_path_factory):
    root = tmp_path_factory.mktemp("registry")
    return add_lora(Registry(root / "adapters"), lincoln, models / TINY, root / "scratch")


@pytest.fixture(scope="module")
def merged(version, lincoln, models, tmp_path_factory):
    out = tmp_path_factory.mktemp("exports") / "merged"
    export_version(version, lincoln, MERGED, out, models=models)
    return out


def test_the_merged_model_says_what_base_and_adapter_say_and_not_what_the_base_says(
    merged, version, models, lincoln
):
    from peft import PeftModel

    ids = prompt_ids(merged, [{"role": "user", "content": "Of labor and capital"}])
    base = load(models / TINY)
    alone = logits(base, ids)
    together = logits(PeftModel.from_pretrained(base, version.folder).eval(), ids)
    found = logits(load(merged), ids)
    assert difference(found, together) < 0.02 * float(together.abs().max())
    assert difference(found, alone) > 0.2 * float(alone.abs().max())


def test_the_merged_folder_is_a_whole_model_with_its_card(merged, models, lincoln):
    from transformers import AutoTokenizer

    verify_model(merged)
    export = ExportManifest.model_validate_json((merged / EXPORT).read_bytes())
    assert export.adapter.persona == "lincoln"
    assert export.measured["largest_logit_difference_from_base"] > 0
    tokenizer = AutoTokenizer.from_pretrained(merged)
    original = AutoTokenizer.from_pretrained(models / TINY)
    assert tokenizer.chat_template == original.chat_template
    card = (merged / CARD).read_text()
    assert lincoln.disclosure in card
    assert lincoln.rights.owner in card
    assert "Base model: none" in card, "the licence the base's manifest names"
    names = {path.name for path in merged.iterdir()}
    assert {"config.json", "tokenizer.json", "model.safetensors"} <= names


def test_a_persona_without_rights_gets_a_card_that_says_so(version, lincoln, models, tmp_path):
    nobody = lincoln.model_copy(update={"rights": None})
    export_version(version, nobody, Wanted(format="peft"), tmp_path / "p", models=models)
    assert "do not pass it on" in (tmp_path / "p" / CARD).read_text()


def test_the_same_export_twice_is_one_and_another_in_its_place_is_refused(
    merged, version, lincoln, models
):
    before = {path.name: path.stat().st_mtime_ns for path in merged.iterdir()}
    export_version(version, lincoln, MERGED, merged, models=models)
    assert {path.name: path.stat().st_mtime_ns for path in merged.iterdir()} == before
    with pytest.raises(AdapterError, match="exists and is not this export"):
        export_version(version, lincoln, Wanted(format="peft"), merged, models=models)


def test_a_damaged_export_and_a_folder_of_somebody_else_are_not_taken_for_it(
    merged, version, lincoln, models, tmp_path
):
    damaged = tmp_path / "damaged"
    shutil.copytree(merged, damaged)
    (damaged / "config.json").write_text("{}")
    with pytest.raises(AdapterError, match="exists and is not this export"):
        export_version(version, lincoln, MERGED, damaged, models=models)
    letters = tmp_path / "letters"
    letters.mkdir()
    (letters / "to-mary.txt").write_text("Dear Mary")
    with pytest.raises(AdapterError, match="exists and is not this export"):
        export_version(version, lincoln, MERGED, letters, models=models)
    assert (letters / "to-mary.txt").read_text() == "Dear Mary"


@pytest.mark.parametrize(
    "settings",
    [
        {"quant_method": "bitsandbytes", "load_in_4bit": True},
        {"quant_method": "gptq", "bits": 4},
        {"quant_method": "awq", "bits": 4},
    ],
)
def test_merging_into_a_four_bit_base_is_refused_with_the_way_out(
    version, lincoln, models, tmp_path, settings
):
    """A seed merged into its 4-bit base and exported gibberish."""
    quantised = tmp_path / "models" / TINY
    shutil.copytree(models / TINY, quantised)
    config = json.loads((quantised / "config.json").read_text())
    (quantised / "config.json").write_text(json.dumps(config | {"quantization_config": settings}))
    with pytest.raises(ModelError, match=rf"quantised \({settings['quant_method']}\).*16-bit base"):
        export_version(version, lincoln, MERGED, tmp_path / "out", models=tmp_path / "models")
    assert not (tmp_path / "out").exists()


def test_merging_into_weights_of_integers_is_refused_whatever_the_config_says(
    version, lincoln, models, tmp_path
):
    import torch
    from safetensors.torch import load_file, save_file

    quantised = tmp_path / "models" / TINY
    shutil.copytree(models / TINY, quantised)
    tensors = load_file(quantised / "model.safetensors")
    name = "model.layers.0.self_attn.q_proj.weight"
    tensors[name] = tensors[name].to(torch.uint8)
    save_file(tensors, quantised / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"q_proj.weight is U8.*16-bit base"):
        export_version(version, lincoln, MERGED, tmp_path / "out", models=tmp_path / "models")


def test_a_base_named_by_hand_is_merged_into_and_written_down(version, lincoln, models, tmp_path):
    """The way out of a quantised base: its 16-bit twin, which has another hash."""
    twin = tmp_path / "models" / "twin"
    shutil.copytree(models / TINY, twin)
    (twin / "personae-model.json").unlink()
    write_model_manifest(twin, "twin", source="a test", licence="none")
    wanted = Wanted(format="merged", base="twin")
    export = export_version(version, lincoln, wanted, tmp_path / "out", models=tmp_path / "models")
    assert export.merged_into.id == "twin"


def test_rank_stabilised_and_patterned_scales_are_peft_s(lincoln, models, tmp_path):
    """`export_version` compares with peft itself, so a wrong scale is refused."""
    config = {"use_rslora": True, "alpha_pattern": {"layers.0.mlp.down_proj": 1, "q_proj": 20}}
    version = add_lora(
        Registry(tmp_path / "adapters"),
        lincoln,
        models / TINY,
        tmp_path / "scratch",
        strength=0.05,
        config=config,
    )
    export = export_version(version, lincoln, MERGED, tmp_path / "out", models=models)
    assert export.measured["largest_logit_difference_from_base"] > 0


def test_a_base_in_several_files_is_merged_into_as_many(version, lincoln, models, tmp_path):
    from transformers import AutoModelForCausalLM

    split = tmp_path / "models" / TINY
    shutil.copytree(models / TINY, split)
    (split / "model.safetensors").unlink()
    (split / "personae-model.json").unlink()
    AutoModelForCausalLM.from_pretrained(models / TINY).save_pretrained(
        split, max_shard_size="20KB"
    )
    write_model_manifest(split, TINY, source="a test", licence="none")
    assert len(list(split.glob("*.safetensors"))) > 2
    export_version(version, lincoln, MERGED, tmp_path / "out", models=tmp_path / "models")
    assert len(list((tmp_path / "out").glob("*.safetensors"))) > 2


def test_a_voice_weaker_than_rounding_is_refused_and_nothing_is_kept(lincoln, models, tmp_path):
    version = add_lora(
        Registry(tmp_path / "adapters"), lincoln, models / TINY, tmp_path / "s", strength=0.0
    )
    with pytest.raises(AdapterError, match="would lose the voice"):
        export_version(version, lincoln, MERGED, tmp_path / "out", models=models)
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


def test_a_merge_that_says_something_else_is_refused():
    with pytest.raises(AdapterError, match=r"differs by 5\.00 of 30\.0"):
        require_agreement(Agreement(5.0, 14.0, 30.0), "lincoln@v1")
    with pytest.raises(AdapterError, match="does not say"):
        require_agreement(Agreement(float("nan"), 14.0, 30.0), "lincoln@v1")
    require_agreement(Agreement(0.4, 14.0, 37.0), "lincoln@v1")


def test_a_damaged_version_is_not_exported(version, lincoln, models, tmp_path):
    root = tmp_path / "adapters"
    shutil.copytree(version.folder.parent.parent, root)
    found = Registry(root).find("lincoln")
    with (found.folder / "adapter_model.safetensors").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x7f")
    with pytest.raises(AdapterError, match="differs from its manifest"):
        export_version(found, lincoln, MERGED, tmp_path / "out", models=models)


def test_too_little_room_is_said_before_anything_is_written(version, lincoln, models, tmp_path):
    big = tmp_path / "models" / TINY
    shutil.copytree(models / TINY, big)
    with (big / "ballast.bin").open("wb") as file:
        file.truncate(shutil.disk_usage(tmp_path).free + (1 << 30))
    with pytest.raises(DiskFull, match="Exporting lincoln@v1"):
        export_version(version, lincoln, MERGED, tmp_path / "out", models=tmp_path / "models")
    assert not (tmp_path / "out").exists()


def test_killed_in_the_middle_nothing_is_there_and_a_rerun_ends_alike(
    version, cast, lincoln, models, merged, tmp_path
):
    out = tmp_path / "out"
    script = textwrap.dedent(
        f"""
        import sys, time
        from pathlib import Path
        from personae.persona import load_persona
        from personae.registry import Registry
        from training.release.export import Wanted, export_version

        def stop(doing, done, total):
            if doing == "comparing with base and adapter":
                print("merged", flush=True)
                time.sleep(60)

        version = Registry(Path({str(version.folder.parent.parent)!r})).find("lincoln")
        persona = load_persona(Path({str(cast.folder("lincoln") / "persona.toml")!r}))
        export_version(version, persona, Wanted(format="merged"), Path({str(out)!r}),
                       models=Path({str(models)!r}), progress=stop)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"merged\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not out.exists()
    assert list(tmp_path.glob(".out.writing-*")), "the killed one left its scratch folder"
    export_version(version, lincoln, MERGED, out, models=models)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        assert (out / name).read_bytes() == (merged / name).read_bytes()


def test_the_peft_export_loads_in_peft(version, lincoln, models, tmp_path):
    from peft import PeftModel

    out = tmp_path / "peft"
    export_version(version, lincoln, Wanted(format="peft"), out, models=models)
    names = {path.name for path in out.iterdir()}
    assert names == {"adapter_config.json", "adapter_model.safetensors", CARD, EXPORT}
    assert PeftModel.from_pretrained(load(models / TINY), out)


@pytest.mark.parametrize("kind", ["f16", "bf16", "q8_0"])
def test_a_gguf_file_says_what_the_merged_model_says(
    version, lincoln, models, merged, tmp_path, kind
):
    out = tmp_path / "gguf"
    wanted = Wanted(format="gguf", gguf_type=kind)
    export = export_version(version, lincoln, wanted, out, models=models)
    assert {path.name for path in out.iterdir()} == {f"lincoln-v1-{kind}.gguf", CARD, EXPORT}
    ids = prompt_ids(merged, [{"role": "user", "content": "Of railroads"}])
    expected = logits(load(merged), ids)
    found = logits(load(out, f"lincoln-v1-{kind}.gguf"), ids)
    share = {"bf16": 0.0, "f16": 0.001, "q8_0": 0.125}[kind]
    assert difference(found, expected) <= share * float(expected.abs().max())
    assert export.measured["largest_logit_difference_of_gguf"] >= 0


def test_the_disclosure_is_in_the_head_of_the_gguf_file(version, lincoln, models, tmp_path):
    from gguf import GGUFReader

    wanted = Wanted(format="gguf")
    export_version(version, lincoln, wanted, tmp_path / "g", models=models)
    fields = GGUFReader(tmp_path / "g" / "lincoln-v1-f16.gguf").fields
    assert fields["general.description"].contents() == lincoln.disclosure
    assert fields["tokenizer.ggml.pre"].contents() == "gpt-2"


def test_an_operators_converter_is_used_and_its_failure_is_told(version, lincoln, models, tmp_path):
    """Stands in for llama.cpp's script on its command line; it copies a file that was made before."""
    made = tmp_path / "made"
    export_version(version, lincoln, Wanted(format="gguf"), made, models=models)
    tool = tmp_path / "convert_hf_to_gguf.py"
    tool.write_text(
        textwrap.dedent(
            f"""
            import argparse, shutil
            from pathlib import Path
            parser = argparse.ArgumentParser()
            parser.add_argument("model", type=Path)
            parser.add_argument("--outfile", type=Path, required=True)
            parser.add_argument("--outtype", choices=["f32", "f16", "bf16", "q8_0"])
            given = parser.parse_args()
            assert (given.model / "config.json").is_file() and given.outtype == "f16"
            shutil.copyfile({str(made / "lincoln-v1-f16.gguf")!r}, given.outfile)
            """
        )
    )
    wanted = Wanted(format="gguf", converter=tool)
    export_version(version, lincoln, wanted, tmp_path / "theirs", models=models)
    assert (tmp_path / "theirs" / "lincoln-v1-f16.gguf").is_file()
    tool.write_text("raise SystemExit('BPE pre-tokenizer was not recognized')")
    with pytest.raises(ModelError, match="BPE pre-tokenizer was not recognized"):
        export_version(version, lincoln, wanted, tmp_path / "again", models=models)
    assert not (tmp_path / "again").exists()
    with pytest.raises(ConfigError, match="no converter"):
        missing = Wanted(format="gguf", converter=tmp_path / "nowhere.py")
        export_version(version, lincoln, missing, tmp_path / "again", models=models)


def test_a_converter_that_makes_another_model_is_found_out(version, lincoln, models, tmp_path):
    other = add_lora(Registry(tmp_path / "a"), lincoln, models / TINY, tmp_path / "s", version=2)
    export_version(other, lincoln, Wanted(format="gguf"), tmp_path / "made", models=models)
    tool = tmp_path / "convert_hf_to_gguf.py"
    tool.write_text(
        "import shutil, sys\n"
        f"shutil.copyfile({str(tmp_path / 'made' / 'lincoln-v2-f16.gguf')!r}, sys.argv[3])\n"
    )
    wanted = Wanted(format="gguf", converter=tool)
    with pytest.raises(ModelError, match="does not say what the merged model says"):
        export_version(version, lincoln, wanted, tmp_path / "theirs", models=models)


def test_a_model_that_is_not_written_here_is_refused_and_names_the_converter(
    version, lincoln, models, tmp_path
):
    scaled = tmp_path / "models" / TINY
    shutil.copytree(models / TINY, scaled)
    config = json.loads((scaled / "config.json").read_text())
    config["rope_parameters"] |= {"rope_type": "linear", "factor": 2.0}
    (scaled / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"rotary positions are scaled \(linear\).*--converter"):
        export_version(
            version,
            lincoln,
            Wanted(format="gguf"),
            tmp_path / "out",
            models=tmp_path / "models",
        )


@pytest.mark.slow
def test_smollm2_with_lincolns_shipped_voice_as_gguf(cast, tmp_path):
    kept_model("smollm2-135m")
    registry = Registry(tmp_path / "adapters")
    registry.import_shipped("lincoln", cast.folder("lincoln"))
    export = export_version(
        registry.find("lincoln"),
        cast["lincoln"],
        Wanted(format="gguf", gguf_type="q8_0"),
        tmp_path / "out",
        models=MODELS,
    )
    assert export.measured["largest_logit_difference_from_base"] > 5
    assert export.measured["largest_logit_difference_of_gguf"] < 2.5
