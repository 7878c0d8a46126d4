"""Training runs as the console shows them: folders as `training` writes them."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from personae.console_wire import RunDetail
from personae.manifest import BaseModelRef
from personae.training_run import Plan
from personae.verdict import AliveVerdict, GateRow
from serving.console_api.run_folders import RunFolders
from tests.serving.console_api.conftest import Browser
from training.evaluate.evaluation import Evaluation, Figure, SampleRow, write_evaluation
from training.tune.checkpoint import only_process
from training.tune.run_folder import (
    Result,
    TrainSettings,
    append_metrics,
    settings_dict,
    write_plan,
)


def begun(runs: Path, *, steps: int = 20, done: int = 5) -> Path:
    """A run after some steps, with an evaluation before the first and after the last."""
    plan = Plan(
        persona="lincoln",
        persona_file_sha256="0",
        base_model=BaseModelRef(id="smollm2-135m", weights_sha256="0"),
        prompt_fingerprint="0",
        corpus_sha256="0",
        dataset_fingerprint="0",
        held_out_documents=["1864"],
        samples={"ask": 3},
        settings=settings_dict(TrainSettings(steps=steps)),
        libraries={},
    )
    run = runs / "lincoln" / plan.key
    run.mkdir(parents=True)
    write_plan(run, plan)
    append_metrics(run, {"step": 0, "held_out_loss": 3.0, "bits_per_byte": 0.9})
    for step in range(1, done + 1):
        append_metrics(run, {"step": step, "loss": 3.0, "tokens": 100, "seconds": 2.0})
    append_metrics(run, {"step": done, "held_out_loss": 2.5, "copied_words": 4.0})
    return run


def finish(run: Path) -> None:
    result = Result(metrics={"steps": 20.0}, finished_at="2026-01-01T00:00:00+00:00")
    (run / "result.json").write_text(result.model_dump_json())


def silent(run: Path) -> None:
    """As if nothing had been written for an hour."""
    os.utime(run / "metrics.jsonl", (time.time() - 3600,) * 2)


@pytest.fixture
def folders(tmp_path: Path) -> RunFolders:
    return RunFolders(tmp_path / "runs", version_of=lambda persona, sha: f"v of {sha}")


def test_a_run_is_running_as_long_as_its_process_holds_it(tmp_path, folders):
    """Held by the trainer's own lock; once let go it is stopped at once, however fresh its lines are."""
    run = begun(tmp_path / "runs")
    silent(run)
    assert folders.all()[0].state == "stopped"
    with only_process(run):
        view = folders.all()[0]
        assert (view.state, view.step, view.steps) == ("running", 5, 20)
        assert (view.loss, view.held_out_loss) == (3.0, 2.5)
        assert (view.tokens_per_second, view.eta_seconds) == (50.0, 30.0)
        append_metrics(run, {"step": 6, "loss": 1.0, "tokens": 100, "seconds": 2.0})
        assert folders.all()[0].step == 6
    assert folders.all()[0].state == "stopped"
    assert folders.all()[0].eta_seconds is None


def test_a_run_of_another_machine_runs_as_long_as_it_writes(tmp_path, folders):
    run = begun(tmp_path / "runs")
    assert folders.all()[0].state == "running"
    silent(run)
    assert folders.all()[0].state == "stopped"


def test_a_finished_and_a_failed_run_are_told_apart(tmp_path, folders):
    run = begun(tmp_path / "runs")
    append_metrics(run, {"step": 6, "loss": float("nan"), "tokens": 1, "seconds": 1.0})
    assert folders.all()[0].state == "failed"
    finish(run)
    view = folders.all()[0]
    assert (view.state, view.step) == ("finished", 20)
    assert view.finished_at == "2026-01-01T00:00:00+00:00"
    json.dumps(view.model_dump(), allow_nan=False)


def test_what_is_half_written_leaves_its_part_empty(tmp_path, folders):
    run = begun(tmp_path / "runs")
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')
    (run / "gates.json").write_text("[{")
    detail = folders.one("lincoln", run.name)
    assert detail is not None
    assert (detail.step, detail.gates, detail.figures) == (5, None, None)
    (run / "plan.json").write_text("{")
    assert folders.all() == []
    assert folders.one("lincoln", run.name) is None


def test_a_long_series_is_thinned_and_keeps_its_ends(tmp_path, folders):
    run = begun(tmp_path / "runs", steps=5000, done=3000)
    detail = folders.one("lincoln", run.name)
    assert detail is not None
    points = detail.series.train
    assert len(points) == 400
    assert (points[0], points[-1]) == ((1, 3.0), (3000, 3.0))


@pytest.mark.parametrize("name", ["..", ".", "", "../..", "x/y", "\0"])
def test_no_name_leads_out_of_the_folder(tmp_path, folders, name):
    begun(tmp_path / "runs" / "lincoln")
    assert folders.folder("lincoln", name) is None
    assert folders.folder(name, "lincoln") is None


def evaluated(run: Path) -> None:
    figure = Figure(value=0.9, low=0.8, high=1.0, n=10)
    evaluation = Evaluation(
        persona="lincoln",
        base_model="smollm2-135m",
        adapter_sha256="0",
        prompt_fingerprint="0",
        held_out_documents=[],
        others=[],
        seed=1,
        figures={"identity": figure},
        samples=[SampleRow(task="voice", prompt="Why?", adapter="Because.")] * 30,
        seconds=1.0,
        created_at="2026-01-01T00:00:00+00:00",
    )
    (run / "evaluation").mkdir()
    write_evaluation(run / "evaluation", evaluation)
    (run / "evaluation" / "report.html").write_text("<h1>Report</h1>")
    row = GateRow(name="identity", against="threshold", value=0.9, passed=False, sentence="No.")
    (run / "gates.json").write_text(json.dumps([row.model_dump()]))
    alive = AliveVerdict(
        outcome="passed",
        sentence="It speaks.",
        adapter_sha256="abc",
        base_model="smollm2-135m",
        checked_at="2026-01-01T00:00:00+00:00",
    )
    (run / "alive.json").write_text(alive.model_dump_json())


def test_what_was_measured_is_shown_with_its_gates(tmp_path, folders):
    run = begun(tmp_path / "runs")
    finish(run)
    evaluated(run)
    detail = folders.one("lincoln", run.name)
    assert detail is not None
    assert (detail.gate, detail.published) == ("failed", "v of abc")
    assert detail.figures is not None
    assert list(detail.figures) == ["identity"]
    assert "identity questions" in detail.figures["identity"].what
    assert detail.gates is not None
    assert detail.gates[0].sentence == "No."
    assert detail.series.memorization == [(5, 4.0)]
    assert (len(detail.samples), detail.report) == (24, True)


async def test_runs_over_http(browser: Browser):
    run = begun(browser.gateway.config.runs)
    evaluated(run)
    listed: list[dict[str, Any]] = (await browser.get("/console/api/runs"))["runs"]
    assert [(view["persona"], view["run"]) for view in listed] == [("lincoln", run.name)]
    RunDetail.model_validate(await browser.get(f"/console/api/runs/lincoln/{run.name}"))
    async with browser.http.get(f"/console/api/runs/lincoln/{run.name}/report") as response:
        assert response.headers["Content-Security-Policy"].startswith("sandbox;")
    for path in ("lincoln/nothing", "lincoln/..%2f..", "nobody/nothing/report"):
        error = (await browser.get(f"/console/api/runs/{path}", status=404))["error"]
        assert error["code"] == "not_found"
