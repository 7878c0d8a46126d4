"""Real trainings of a two-layer model: resumed like uninterrupted, served as plain LoRA."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from personae.errors import AdapterError, ModelError
from personae.manifest import BaseModelRef
from personae.weights import model_folder, read_model_manifest
from tests.training.conftest import TINY
from training.release.publish import publish
from training.tune.checkpoint import TrainState, only_process
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


def test_plain_text_first_then_conversations_and_a_kill_in_either_stage(
    train, tmp_path_factory, tmp_path
):
    """Continued pre-training: one adapter, one count of steps, the same bytes after a resume."""
    settings = replace(SETTINGS, text_steps=3)
    whole = train(tmp_path_factory.mktemp("whole"), settings=settings)
    steps = [row for row in without_times(whole) if "loss" in row]
    assert [row["step"] for row in steps] == list(range(1, 10))
    assert steps[3]["learning_rate"] > steps[2]["learning_rate"]  # the second stage warms up anew
    for stop_at in (1, 7):

        def interrupt(doing: str, done: float, total: float | None, at: int = stop_at) -> None:
            if doing.startswith("training") and done == at:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, settings=settings, progress=interrupt)
    assert adapter_bytes(train(tmp_path, settings=settings)) == adapter_bytes(whole)


def test_training_stops_when_the_held_out_loss_stops_falling(train, tmp_path):
    """A rate far too high: the best is an early one, and the rest is not computed."""
    settings = replace(SETTINGS, steps=12, evaluations=12, patience=2, learning_rate=0.5)
    run = train(tmp_path, settings=settings)
    metrics = json.loads((run / "result.json").read_text())["metrics"]
    assert metrics["steps"] == metrics["best_step"] + 2 < metrics["steps_planned"] == 12


def test_a_checkpoint_that_recites_is_kept_only_where_all_do():
    settings = TrainSettings(copied_words=40, patience=2)
    state = TrainState(step=1)
    assert state.note_evaluation({"held_out_loss": 3.0, "copied_words": 90.0}, settings)
    state.step = 2
    assert state.note_evaluation({"held_out_loss": 3.5, "copied_words": 10.0}, settings)
    state.step = 3
    assert not state.note_evaluation({"held_out_loss": 2.0, "copied_words": 90.0}, settings)
    assert not state.stopped
    assert not state.note_evaluation({"held_out_loss": 1.9, "copied_words": 90.0}, settings)
    assert (state.best_step, state.stopped) == (2, "memorization")


def test_every_evaluation_looks_for_recitation(finished):
    evaluated = [row for row in without_times(finished) if "held_out_loss" in row]
    assert len(evaluated) == 1 + SETTINGS.evaluations
    assert all(row["copied_words"] >= 0 for row in evaluated[1:])


def test_the_live_line_has_loss_speed_and_time_left(train, tmp_path):
    lines: list[str] = []
    train(tmp_path, live=lines.append, settings=replace(SETTINGS, steps=2, evaluations=1))
    assert len(lines) == 2
    assert re.fullmatch(r"loss \d+\.\d\d, \d+ tokens/s, \d+ (s|min) left", lines[0])


def test_lora_plus_gives_b_a_rate_of_its_own(train, finished, tmp_path):
    plus = train(tmp_path, settings=replace(SETTINGS, b_rate_ratio=16.0))
    assert plus.name != finished.name
    assert adapter_bytes(plus) != adapter_bytes(finished)


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
    with pytest.raises(ModelError, match="above the engine's max_adapter_rank of 8"):
        train(tmp_path, settings=TrainSettings(rank=16), max_adapter_rank=8)
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
