"""A training that runs as a job is stopped, and started again: it goes on where it was, to the same bytes."""

from __future__ import annotations

import json
import os
import re
import sys

import pytest

from personae.config import load_config
from personae.creation_wire import Job
from personae.training_run import PLAN, RESULT
from serving.jobs.jobs import Jobs
from tests.serving.jobs.test_jobs import ended, until
from tests.training.tune.test_kills import _PROGRAM, SETTINGS, train

_PATIENCE_SECONDS = 400
"""A job is niced, and a training has to import torch first."""


def steps_of(jobs: Jobs, job: Job) -> list[int]:
    """Those it began, by its log."""
    text = jobs.log(job.id, 0).text
    return [int(step) for step in re.findall(r"^training lincoln (\d+)$", text, re.MULTILINE)]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_training_that_was_stopped_goes_on_as_the_next_job(cast, corpora, models, tmp_path):
    whole = train(cast, corpora, models, tmp_path / "whole")
    runs = tmp_path / "stopped"
    (tmp_path / "personae.toml").write_text('[personae]\nprofile = "cpu-demo"\ncast = []\n')
    jobs = Jobs(
        load_config({}, folder=tmp_path), environment={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    arguments = [
        str(path) for path in (cast.folder("lincoln").parent.resolve(), corpora, models, runs)
    ]
    command = [sys.executable, "-c", _PROGRAM, *arguments]
    try:
        first = jobs.begin("lincoln", "train", [command])
        until(lambda: list(runs.glob("lincoln/*/checkpoint/state.json")), seconds=_PATIENCE_SECONDS)
        jobs.stop(first.id)
        assert ended(jobs, first, seconds=_PATIENCE_SECONDS).state == "stopped"
        (run,) = (path.parent for path in runs.glob(f"lincoln/*/{PLAN}"))
        assert not (run / RESULT).exists(), "it was done before it could be stopped"
        kept = json.loads((run / "checkpoint" / "state.json").read_bytes())["step"]
        assert SETTINGS.checkpoint_every <= kept < SETTINGS.all_steps

        second = jobs.begin("lincoln", "train", [command])
        done = ended(jobs, second, seconds=_PATIENCE_SECONDS)
        assert done.state == "done", jobs.log(second.id, 0).text
        assert steps_of(jobs, second)[0] == kept
    finally:
        for job in jobs.all():
            jobs.stop(job.id)
        until(lambda: all(job.ended_at for job in jobs.all()))
    assert run.name == whole.name
    assert {path.name: path.read_bytes() for path in (run / "adapter").iterdir()} == {
        path.name: path.read_bytes() for path in (whole / "adapter").iterdir()
    }
