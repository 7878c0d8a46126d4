"""A sweep stays within its budget, prefers what measures better, and goes on where it was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from personae.files import write_atomic
from personae.manifest import BaseModelRef
from training.tune.run_folder import RESULT, Plan, Result, TrainSettings, settings_dict, write_plan
from training.tune.sweep import sweep

SETTINGS = TrainSettings(steps=20)


class Trainings:
    """A stand-in for a training: writes a finished run whose figure is best at a rate of 1e-3."""

    def __init__(self, folder: Path, *, dies_at: int | None = None) -> None:
        self.folder = folder
        self.asked: list[TrainSettings] = []
        self.dies_at = dies_at

    def __call__(self, settings: TrainSettings) -> Path:
        self.asked.append(settings)
        if len(self.asked) == self.dies_at:
            raise KeyboardInterrupt
        plan = Plan(
            persona="lincoln",
            persona_file_sha256="",
            base_model=BaseModelRef(id="tiny", weights_sha256=""),
            prompt_fingerprint="",
            corpus_sha256="",
            dataset_fingerprint="",
            held_out_documents=[],
            samples={},
            settings=settings_dict(settings),
            libraries={},
        )
        run = self.folder / plan.key
        write_plan(run, plan)
        worse = abs(settings.learning_rate - 1e-3) * 100
        result = Result(metrics={"bits_per_byte_after": 1.0 + worse}, finished_at="")
        write_atomic(run / RESULT, result.model_dump_json())
        return run


def test_the_given_settings_come_first_and_the_best_win(tmp_path):
    train = Trainings(tmp_path)
    best = sweep(train, SETTINGS, tmp_path / "s", trials=6, minutes=10, max_adapter_rank=16)
    assert len(train.asked) == 6
    assert train.asked[0].learning_rate == SETTINGS.learning_rate
    assert train.asked[0].steps == 8
    nearest = min(train.asked, key=lambda settings: abs(settings.learning_rate - 1e-3))
    assert best.learning_rate == pytest.approx(nearest.learning_rate)
    assert all(
        settings.rank in (8, 16) and settings.alpha == 2 * settings.rank for settings in train.asked
    )


def test_no_trial_begins_after_the_budget(tmp_path):
    train = Trainings(tmp_path)
    sweep(train, SETTINGS, tmp_path / "s", trials=6, minutes=0, max_adapter_rank=16)
    assert len(train.asked) == 1


def test_a_killed_sweep_asks_the_same_trial_again(tmp_path):
    whole, killed = Trainings(tmp_path), Trainings(tmp_path, dies_at=3)
    best = sweep(whole, SETTINGS, tmp_path / "a", trials=5, minutes=10, max_adapter_rank=16)
    with pytest.raises(KeyboardInterrupt):
        sweep(killed, SETTINGS, tmp_path / "b", trials=5, minutes=10, max_adapter_rank=16)
    resumed = Trainings(tmp_path)
    again = sweep(resumed, SETTINGS, tmp_path / "b", trials=5, minutes=10, max_adapter_rank=16)
    assert resumed.asked[0] == killed.asked[2]
    assert len(resumed.asked) == 3
    assert again == best
