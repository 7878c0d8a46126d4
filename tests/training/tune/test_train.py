"""Real trainings of a two-layer model: resumed like uninterrupted, served as plain LoRA, published once."""

from __future__ import annotations

import json
import shutil
from math import log
from pathlib import Path
from statistics import fmean

import pytest

from personae.errors import AdapterError, ModelError
from personae.manifest import BaseModelRef, verify_adapter
from personae.prompt import fingerprint
from personae.reference import REFERENCE_TOKENS, reference_prompts
from personae.registry import Registry
from personae.weights import model_folder, read_model_manifest
from tests.training.conftest import TINY
from training.release.publish import publish, ship
from training.release.reference import reference_answers
from training.tune.checkpoint import only_process
from training.tune.run_folder import METRICS, TrainSettings
from training.tune.steps import learning_rate, plan_batches
from training.tune.train import train_adapter

SETTINGS = TrainSettings(
    steps=6,
    batch=3,
    micro_batch=2,
    learning_rate=5e-3,
    dropout=0.1,
    evaluations=3,
    held_out_samples=4,
    checkpoint_every=2,
    max_tokens=4096,
)


@pytest.fixture(scope="module")
def train(lincoln, cast, corpora, models):
    """Train Lincoln on the tiny model below a folder."""

    def run(runs: Path, **changes) -> Path:
        return train_adapter(
            lincoln,
            persona_folder=cast.folder("lincoln"),
            models=models,
            corpora=corpora,
            runs=runs,
            **({"base_model": TINY, "settings": SETTINGS} | changes),
        )

    return run


@pytest.fixture(scope="module")
def finished(train, tmp_path_factory) -> Path:
    return train(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def base(models) -> BaseModelRef:
    manifest = read_model_manifest(model_folder(models, TINY))
    return BaseModelRef(id=manifest.id, weights_sha256=manifest.weights_sha256)


def adapter_bytes(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run / "adapter").iterdir()}


def without_times(run: Path) -> list[dict[str, float]]:
    rows = [json.loads(line) for line in (run / METRICS).read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def test_training_learns_and_leaves_only_what_is_served(finished):
    result = json.loads((finished / "result.json").read_text())["metrics"]
    assert result["held_out_loss_after"] < result["held_out_loss_before"]
    assert result["bits_per_byte_after"] < result["bits_per_byte_before"]
    assert set(adapter_bytes(finished)) == {"adapter_config.json", "adapter_model.safetensors"}
    config = json.loads((finished / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == TINY
    adapted = {name.rsplit(".")[-1] for name in config["target_modules"]}
    assert adapted == {
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"
    }  # fmt: skip
    assert not (finished / "checkpoint").exists()
    assert "⟦" in (finished / "preview.txt").read_text()


@pytest.mark.parametrize("stop_at", [1, 3])
def test_a_killed_run_goes_on_and_ends_like_one_left_alone(train, finished, tmp_path, stop_at):
    """Ctrl-C between two steps; the checkpoints are two steps apart."""

    def interrupt(doing: str, done: float, total: float | None) -> None:
        if doing.startswith("training") and done == stop_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, progress=interrupt)
    (run,) = (tmp_path / "lincoln").iterdir()
    with pytest.raises(AdapterError, match="is not finished"):
        publish(run, None, models=None, registry=None)
    assert train(tmp_path) == run
    assert run.name == finished.name
    assert adapter_bytes(run) == adapter_bytes(finished)
    assert without_times(run) == without_times(finished)


def test_the_same_training_again_is_the_finished_run(train, finished):
    def fail(doing: str, done: float, total: float | None) -> None:
        assert doing == "making samples"

    assert train(finished.parent.parent, progress=fail) == finished


def test_two_processes_do_not_train_the_same_run(finished):
    with (
        only_process(finished),
        pytest.raises(AdapterError, match="Another process"),
        only_process(finished),
    ):
        pass


def test_a_rank_no_engine_serves_and_a_missing_model_are_refused_first(train, tmp_path):
    with pytest.raises(ModelError, match="Rank 12 is none that vLLM serves"):
        train(tmp_path, settings=TrainSettings(rank=12))
    with pytest.raises(ModelError, match="personae models fetch other"):
        train(tmp_path, base_model="other")
    assert list(tmp_path.iterdir()) == []


def test_the_saved_adapter_is_what_was_measured(finished, models, lincoln, documents):
    """Loaded by peft on a fresh base it has the loss the run reports."""
    from peft import PeftModel

    from training.samples.dataset import make_dataset
    from training.tune.encode import encode
    from training.tune.lora import load_base
    from training.tune.steps import evaluate

    model, tokenizer = load_base(model_folder(models, TINY))
    adapted = PeftModel.from_pretrained(model, finished / "adapter", autocast_adapter_dtype=False)
    samples = make_dataset(
        lincoln, documents, count=SETTINGS.samples, held_out_count=4, seed=SETTINGS.seed
    ).held_out
    rows = encode(samples, tokenizer, max_tokens=4096)
    found = evaluate(adapted, rows, [sample.task for sample in samples])
    result = json.loads((finished / "result.json").read_text())["metrics"]
    assert found["held_out_loss"] == pytest.approx(result["held_out_loss_after"], abs=1e-3)


def test_a_published_version_verifies_and_comes_once(finished, lincoln, base, models, tmp_path):
    registry = Registry(tmp_path)
    version = publish(finished, lincoln, models=models, registry=registry)
    assert version.engine_name == "lincoln@v1"
    manifest = verify_adapter(
        version.folder,
        persona="lincoln",
        base_model=base,
        prompt_fingerprint=fingerprint(lincoln),
    )
    assert manifest.recipe["settings"]["seed"] == SETTINGS.seed
    assert manifest.recipe["command"] == "personae train run lincoln"
    assert manifest.recipe["held_out_documents"] == ["1864-lincoln-1"]
    assert manifest.metrics["steps"] == 6
    assert not [name for name in ("/tmp", "/home", "/work") if name in manifest.model_dump_json()]
    assert publish(finished, lincoln, models=models, registry=registry) == version


def test_a_published_version_holds_what_it_says_and_how_the_base_differs(
    finished, lincoln, models, tmp_path
):
    """Reference answers: greedy, every token with its log-probability with and without the adapter."""
    version = publish(finished, lincoln, models=models, registry=Registry(tmp_path))
    assert version.manifest is not None and version.manifest.reference
    prompts = reference_prompts(lincoln)
    for answer in version.manifest.reference:
        assert answer.prompt in prompts
        assert 1 <= len(answer.tokens) <= REFERENCE_TOKENS
        assert all(value < 0 for value in [*answer.log_probs, *answer.base_log_probs])
        assert answer.log_probs != answer.base_log_probs
        # A small vocabulary, so the likeliest of 600 tokens has more than its share.
        assert fmean(answer.log_probs) > log(1 / 600)
    assert reference_answers(lincoln, models / TINY, version.folder) == version.manifest.reference


def test_adapters_that_do_not_fit_are_refused_with_a_reason(
    finished, lincoln, base, models, tmp_path
):
    version = publish(finished, lincoln, models=models, registry=Registry(tmp_path))
    fits = {"persona": "lincoln", "base_model": base, "prompt_fingerprint": fingerprint(lincoln)}
    with pytest.raises(AdapterError, match="was trained for lincoln, not for roosevelt"):
        verify_adapter(version.folder, **(fits | {"persona": "roosevelt"}))
    with pytest.raises(AdapterError, match="trained on other weights of tiny"):
        other = BaseModelRef(id=TINY, weights_sha256="00" * 32)
        verify_adapter(version.folder, **(fits | {"base_model": other}))
    with pytest.raises(AdapterError, match="train lincoln again"):
        verify_adapter(version.folder, **(fits | {"prompt_fingerprint": "00" * 32}))
    weights = version.folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(AdapterError, match="damaged or edited"):
        verify_adapter(version.folder, **fits)


def test_changed_prompts_or_another_persona_are_not_published(
    finished, lincoln, cast, models, tmp_path
):
    registry = Registry(tmp_path)
    changed = lincoln.model_copy(
        update={"ask": lincoln.ask.model_copy(update={"system": "You are somebody else."})}
    )
    with pytest.raises(AdapterError, match="were changed after"):
        publish(finished, changed, models=models, registry=registry)
    with pytest.raises(AdapterError, match="a run of lincoln, not of roosevelt"):
        publish(finished, cast["roosevelt"], models=models, registry=registry)
    assert registry.versions("lincoln") == []


def test_a_shipped_version_is_imported_on_another_machine(finished, lincoln, models, tmp_path):
    version = publish(finished, lincoln, models=models, registry=Registry(tmp_path / "here"))
    shipped = ship(version, tmp_path / "cast" / "lincoln")
    assert ship(version, tmp_path / "cast" / "lincoln") == shipped
    there = Registry(tmp_path / "there")
    (imported,) = there.import_shipped("lincoln", tmp_path / "cast" / "lincoln")
    assert imported.manifest == version.manifest
    assert there.import_shipped("lincoln", tmp_path / "cast" / "lincoln") == []
    shutil.copytree(shipped, tmp_path / "cast" / "other" / "adapters" / shipped.name)
    damaged = tmp_path / "cast" / "other" / "adapters" / shipped.name / "adapter_config.json"
    damaged.write_text(damaged.read_text() + " ")
    with pytest.raises(AdapterError, match="differ from their manifest"):
        Registry(tmp_path / "elsewhere").import_shipped("lincoln", tmp_path / "cast" / "other")


def test_batches_hold_every_row_once_a_round_and_rows_of_like_length():
    lengths = [(number * 37) % 400 for number in range(64)]
    batches = plan_batches(lengths, batch=8, steps=20, seed=3)
    assert len(batches) == 20
    assert sorted(row for batch in batches[:8] for row in batch) == list(range(64))
    spread = [max(lengths[r] for r in b) - min(lengths[r] for r in b) for b in batches[:8]]
    assert max(spread) < 100
    assert plan_batches(lengths, batch=8, steps=20, seed=3) == batches
    assert plan_batches(lengths, batch=8, steps=20, seed=4) != batches


def test_the_learning_rate_rises_then_falls_to_nearly_nothing():
    settings = TrainSettings(steps=100, warmup=0.1, learning_rate=1.0)
    rates = [learning_rate(step, settings) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.001
