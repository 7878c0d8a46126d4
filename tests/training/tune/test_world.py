"""Two processes on one training: the gradients of both added up, so the steps of one with the whole batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.training.conftest import TINY
from training.tune.run_folder import METRICS, TrainSettings
from training.tune.train import train_adapter

SETTINGS = TrainSettings(
    steps=4,
    batch=5,
    micro_batch=2,
    learning_rate=5e-3,
    evaluations=2,
    held_out_samples=4,
    max_tokens=4096,
    probe_tokens=8,
)


def curve(run: Path, key: str) -> list[float]:
    rows = [json.loads(line) for line in (run / METRICS).read_text().splitlines()]
    return [row[key] for row in rows if key in row]


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("sharded", [False, True])
def test_two_processes_have_the_loss_curve_of_one(
    sharded, lincoln, cast, corpora, models, tmp_path
):
    """With copies of the frozen weights, and with the weights spread over both."""
    settings = replace(SETTINGS, shard_base=sharded)
    alone = train_adapter(
        lincoln,
        persona_folder=cast.folder("lincoln"),
        models=models,
        base_model=TINY,
        corpora=corpora,
        runs=tmp_path / "alone",
        settings=settings,
    )
    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(models)
    (home / "corpora").symlink_to(corpora)
    (tmp_path / "settings.json").write_text(json.dumps(asdict(settings)))
    (tmp_path / "personae.toml").write_text(
        f"[personae]\nprofile = 'cpu-demo'\ncast = '{cast.folder('lincoln').parent.resolve()}'\n"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", "-m", "training.tune.launch", "lincoln"),
            *("--base-model", TINY, "--settings", str(tmp_path / "settings.json")),
            *("--config", str(tmp_path / "personae.toml")),
        ],
        env={
            **os.environ,
            "PERSONAE_HOME": str(home),
            "PYTHONPATH": str(root),
            "OMP_NUM_THREADS": "1",
            "PYTHONWARNINGS": "default",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    both = Path(done.stdout.strip().splitlines()[-1])
    assert both.name == alone.name
    # Rounding differs where the rows are cut into other parts; a missing half of the batch would not pass.
    assert curve(both, "loss") == pytest.approx(curve(alone, "loss"), rel=2e-3)
    assert curve(both, "held_out_loss") == pytest.approx(curve(alone, "held_out_loss"), rel=2e-3)
