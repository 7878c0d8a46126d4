"""Killed with SIGKILL at ten random moments, a rerun still ends with the bytes of a run left alone."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.training.conftest import TINY
from training.tune.run_folder import TrainSettings
from training.tune.train import train_adapter

SETTINGS = TrainSettings(
    steps=40,
    batch=4,
    micro_batch=2,
    learning_rate=5e-3,
    text_steps=8,
    evaluations=8,
    patience=8,
    held_out_samples=6,
    checkpoint_every=3,
    max_tokens=4096,
    probe_tokens=16,
)
# Tells on stdout where it is, so that a kill hits every part of a training and not only its loading.
_PROGRAM = """
import sys
from pathlib import Path
from personae.persona import load_cast
from tests.training.tune.test_kills import SETTINGS, train
cast = load_cast([Path(sys.argv[1])])
train(cast, *map(Path, sys.argv[2:5]), progress=lambda doing, done, total: print(doing, done, flush=True))
"""


def train(cast, corpora: Path, models: Path, runs: Path, **others) -> Path:
    return train_adapter(
        cast["lincoln"],
        persona_folder=cast.folder("lincoln"),
        models=models,
        base_model=TINY,
        corpora=corpora,
        runs=runs,
        settings=SETTINGS,
        **others,
    )


def killed_after(arguments: list[str], lines: int, seconds: float) -> int:
    """Run the program, kill it `seconds` after its line number `lines`; its exit status."""
    root = str(Path(__file__).parents[3])
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    for _number in range(lines):
        if not process.stdout.readline():
            break
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.stdout.close()
    return process.wait()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_random_kills_change_nothing(cast, corpora, models, tmp_path):
    whole = train(cast, corpora, models, tmp_path / "whole")
    chance = random.Random(20)
    arguments = [str(path) for path in (
        cast.folder("lincoln").parent.resolve(), corpora, models, tmp_path / "killed"
    )]  # fmt: skip
    # Lines: samples, their check, the model, the base's figures, then one a step. The last kills come later,
    # as the run has got further by then.
    moments = [0, 1, 2, 3, 4, *(chance.randint(5, 16) for _ in range(5))]
    killed = 0
    for lines in moments:
        killed += killed_after(arguments, lines, chance.random() * 0.3) == -signal.SIGKILL
    assert killed >= 8, "the run ended before it could be killed"
    run = train(cast, corpora, models, tmp_path / "killed")
    assert run.name == whole.name
    assert {path.name: path.read_bytes() for path in (run / "adapter").iterdir()} == {
        path.name: path.read_bytes() for path in (whole / "adapter").iterdir()
    }
    assert sorted(path.name for path in run.iterdir()) == sorted(
        path.name for path in whole.iterdir()
    )
