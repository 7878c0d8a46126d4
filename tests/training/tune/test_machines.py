"""One training on two machines, as `accelerate launch` starts it: two programs with homes of their own.

They share no disk, so only the first may read what a stopped training left.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from personae.corpus import read_corpus, write_corpus
from tests.training.conftest import TINY
from tests.training.tune.test_world import SETTINGS, curve
from training.tune.run_folder import METRICS, RESULT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]
STEPS = replace(SETTINGS, steps=8, checkpoint_every=1, evaluations=2)
ROOT = Path(__file__).parents[3]


def make_home(folder: Path, models: Path, corpora: Path) -> Path:
    """A machine's own copy of what a training reads."""
    folder.mkdir()
    (folder / "models").symlink_to(models)
    shutil.copytree(corpora, folder / "corpora")
    return folder


PROGRAM = ["-m", "training.tune.launch", "lincoln", "--base-model", TINY]


def environment(home: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PERSONAE_HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "default",
    }


@contextlib.contextmanager
def two_machines(homes: list[Path], options: list[str], logs: Path) -> Iterator[list]:
    """The same command on each, as docs/scaling.md gives it; both are killed at the end of the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
    launch += ["--num_machines", "2", "--num_processes", "2", "--mixed_precision", "no"]
    launch += ["--dynamo_backend", "no", "--main_process_ip", "127.0.0.1"]
    launch += ["--main_process_port", str(port)]
    processes = []
    try:
        for rank, home in enumerate(homes):
            with (logs / f"machine{rank}.log").open("ab") as log:
                processes.append(
                    subprocess.Popen(
                        [*launch, "--machine_rank", str(rank), *PROGRAM, *options],
                        env=environment(home),
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )
        yield processes
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def stage(lincoln, cast, corpora, models, tmp_path):
    """Three homes, and the options of the command."""
    (tmp_path / "settings.json").write_text(json.dumps(asdict(STEPS)))
    (tmp_path / "personae.toml").write_text(
        f"[personae]\nprofile = 'cpu-demo'\ncast = '{cast.folder('lincoln').parent.resolve()}'\n"
    )
    options = ["--settings", str(tmp_path / "settings.json")]
    options += ["--config", str(tmp_path / "personae.toml")]
    names = ("alone", "first", "second")
    return [make_home(tmp_path / name, models, corpora) for name in names], options


def test_two_machines_have_the_loss_curve_of_one_and_go_on_after_a_kill(stage, tmp_path):
    """Both killed in the middle and started again; the second has nothing on its disk to go on from."""
    (one, *homes), options = stage
    subprocess.run([sys.executable, *PROGRAM, *options], env=environment(one), check=True)
    alone = next((one / "runs" / "lincoln").iterdir())
    run = homes[0] / "runs" / "lincoln" / alone.name
    with two_machines(homes, options, tmp_path) as processes:
        deadline = time.monotonic() + 200
        while not (run / METRICS).is_file() or len(curve(run, "loss")) < 4:
            assert time.monotonic() < deadline and processes[0].poll() is None, said(tmp_path)
            time.sleep(0.02)
    assert not (run / RESULT).is_file(), "it should have been killed in the middle"
    with two_machines(homes, options, tmp_path) as processes:
        assert [process.wait(200) for process in processes] == [0, 0], said(tmp_path)
    assert (run / RESULT).is_file()
    # Rounding differs where the rows are cut into other parts; a missing half of the batch would not pass.
    assert curve(run, "loss") == pytest.approx(curve(alone, "loss"), rel=2e-3)
    assert curve(run, "held_out_loss") == pytest.approx(curve(alone, "held_out_loss"), rel=2e-3)
    assert not list((homes[1] / "runs").rglob("*.safetensors")), "only the first one writes"


def test_machines_with_different_corpora_are_told_so_and_do_not_train(stage, tmp_path):
    (_one, *homes), options = stage
    corpus = homes[1] / "corpora" / "lincoln"
    documents = read_corpus(corpus)[1]
    write_corpus(corpus, "lincoln", documents[:-1], sources=["fewer"], created_at="2026-01-01")
    with two_machines(homes, options, tmp_path) as processes:
        assert all(process.wait(200) != 0 for process in processes)
    assert "would not train the same" in said(tmp_path)


def said(folder: Path) -> str:
    return "\n".join(log.read_text()[-3000:] for log in sorted(folder.glob("machine*.log")))
