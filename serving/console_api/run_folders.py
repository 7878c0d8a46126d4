"""A training run's folder read for the console; `personae.training_run` names its files.

In: `runs/<persona>/<key>/`. Out: console_wire.RunView and RunDetail. A file that is not there yet, or was cut
short, leaves its part empty: what is wrong with a run is told by the command that trains it. Blocks on disk.

A run is being trained while a process of this machine holds its lock. One that is trained on another machine
over a shared folder holds none here: it counts as long as it goes on writing.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from personae.console_wire import (
    ExplainedFigure,
    Points,
    RunDetail,
    RunSeries,
    RunState,
    RunView,
)
from personae.evaluation import EVALUATION, FIGURES, REPORT, Evaluation
from personae.training_run import (
    ALIVE,
    EVALUATIONS,
    GATES,
    LOCK,
    METRICS,
    PLAN,
    RESULT,
    Plan,
    Result,
)
from personae.verdict import AliveVerdict, GateRow

M = TypeVar("M", bound=BaseModel)

_LOCKS = Path("/proc/locks")
_SMOOTHED_STEPS = 8
_MOST_POINTS = 400
_MOST_SAMPLES = 24
_SILENT_SECONDS = 20.0
_SILENT_STEPS = 4
_GATE_ROWS = TypeAdapter(list[GateRow])


@dataclass
class Curve:
    """`metrics.jsonl`, read."""

    steps: list[dict[str, float]] = field(default_factory=list)
    """One a training step: step, loss, tokens, seconds."""
    evaluations: list[dict[str, float]] = field(default_factory=list)

    @property
    def last_step(self) -> int:
        return int(self.steps[-1]["step"]) if self.steps else 0

    def mean(self, name: str) -> float | None:
        last = [row[name] for row in self.steps[-_SMOOTHED_STEPS:] if name in row]
        return sum(last) / len(last) if last else None

    def points(self, rows: Sequence[dict[str, float]], name: str) -> Points:
        """(step, value) of every row that has it and is a number, thinned to what a plot shows."""
        found = [
            (int(row["step"]), row[name])
            for row in rows
            if name in row and math.isfinite(row[name])
        ]
        if len(found) <= _MOST_POINTS:
            return found
        each = (len(found) - 1) / (_MOST_POINTS - 1)
        return [found[round(number * each)] for number in range(_MOST_POINTS)]


class RunFolders:
    """All runs below one folder. Curves are read anew only where they have grown.

    Args:
        version_of: name of the version that an adapter was published as, by persona and the hash of its
            files; None where it was not.
    """

    def __init__(self, runs: Path, *, version_of: Callable[[str, str], str | None]) -> None:
        self._runs = runs
        self._version_of = version_of
        self._curves: dict[Path, tuple[tuple[int, int], Curve]] = {}
        self._locked_here: set[Path] = set()

    def all(self) -> list[RunView]:
        """The newest first."""
        held = _held_locks()
        folders = [plan.parent for plan in self._runs.glob(f"*/*/{PLAN}")]
        views = [view for folder in folders if (view := self._view(folder, held)) is not None]
        return sorted(views, key=lambda view: view.started_at, reverse=True)

    def one(self, persona: str, run: str) -> RunDetail | None:
        """None: there is none of that name."""
        folder = self.folder(persona, run)
        plan = _read(Plan, folder / PLAN) if folder is not None else None
        if folder is None or plan is None:
            return None
        view = self._view(folder, _held_locks())
        assert view is not None
        curve = self._curve(folder)
        evaluation = _read(Evaluation, folder / EVALUATIONS / EVALUATION)
        return RunDetail(
            **view.model_dump(),
            base_model=plan.base_model.id,
            settings=plan.settings,
            samples_by_task=plan.samples,
            held_out_documents=plan.held_out_documents,
            series=RunSeries(
                train=curve.points(curve.steps, "loss"),
                held_out=curve.points(curve.evaluations, "held_out_loss"),
                bits_per_byte=curve.points(curve.evaluations, "bits_per_byte"),
                memorization=curve.points(curve.evaluations, "copied_words"),
            ),
            figures=_figures(evaluation) if evaluation is not None else None,
            gates=_gates(folder),
            alive=_read(AliveVerdict, folder / ALIVE),
            samples=evaluation.samples[:_MOST_SAMPLES] if evaluation is not None else [],
            report=(folder / EVALUATIONS / REPORT).is_file(),
        )

    def folder(self, persona: str, run: str) -> Path | None:
        """Of a run; None for a name that is none, whatever a request makes of it."""
        folder = self._runs / persona / run
        names = {persona, run}
        plain = all(name and Path(name).name == name and name not in (".", "..") for name in names)
        return folder if plain and (folder / PLAN).is_file() else None

    def _view(self, folder: Path, held: set[tuple[int, int, int]]) -> RunView | None:
        plan = _read(Plan, folder / PLAN)
        if plan is None:
            return None
        curve, result = self._curve(folder), _read(Result, folder / RESULT)
        state = self._state(folder, held, curve, result)
        steps = int(plan.settings.get("steps", 0)) + int(plan.settings.get("text_steps", 0))
        seconds, tokens = curve.mean("seconds"), curve.mean("tokens")
        running = state == "running" and seconds is not None
        gates, alive = _gates(folder), _read(AliveVerdict, folder / ALIVE)
        held_out = curve.points(curve.evaluations, "held_out_loss")
        return RunView(
            persona=plan.persona,
            run=folder.name,
            state=state,
            step=int(result.metrics.get("steps", 0)) if result is not None else curve.last_step,
            steps=steps,
            loss=_number(curve.mean("loss")),
            held_out_loss=held_out[-1][1] if held_out else None,
            tokens_per_second=round(tokens / seconds, 1) if tokens and seconds else None,
            eta_seconds=round(seconds * (steps - curve.last_step), 1)
            if running and seconds is not None
            else None,
            started_at=_time_of(folder / PLAN),
            finished_at=result.finished_at if result is not None else None,
            gate=None if gates is None else "passed" if all(r.passed for r in gates) else "failed",
            published=self._version_of(plan.persona, alive.adapter_sha256) if alive else None,
            job=None,
        )

    def _state(
        self,
        folder: Path,
        held: set[tuple[int, int, int]],
        curve: Curve,
        result: Result | None,
    ) -> RunState:
        if result is not None:
            return "finished"
        if _is_held(folder / LOCK, held):
            self._locked_here.add(folder)
            return "running"
        if curve.steps and not math.isfinite(curve.steps[-1].get("loss", 0.0)):
            return "failed"
        if folder not in self._locked_here and _writes(folder / METRICS, curve.mean("seconds")):
            return "running"
        return "stopped"

    def _curve(self, folder: Path) -> Curve:
        path = folder / METRICS
        try:
            stat = path.stat()
            stamp = (stat.st_size, stat.st_mtime_ns)
            if folder in self._curves and self._curves[folder][0] == stamp:
                return self._curves[folder][1]
            lines = path.read_text("utf-8").splitlines()
        except OSError:
            return Curve()
        curve = Curve()
        for line in lines:
            try:
                row = json.loads(line)
                (curve.steps if "loss" in row else curve.evaluations).append(row)
            except ValueError:
                continue  # being written
        self._curves[folder] = (stamp, curve)
        return curve


def _held_locks() -> set[tuple[int, int, int]]:
    """(major, minor, inode) of every file that a process here holds by flock; see proc_locks(5).

    1: FLOCK  ADVISORY  WRITE 31670 08:01:1310740 0 EOF
    """
    held = set()
    try:
        lines = _LOCKS.read_text().splitlines()
    except OSError:
        return set()
    for line in lines:
        fields = line.split()
        if len(fields) >= 6 and fields[1] == "FLOCK":
            major, minor, inode = fields[5].split(":")
            held.add((int(major, 16), int(minor, 16), int(inode)))
    return held


def _is_held(path: Path, held: set[tuple[int, int, int]]) -> bool:
    try:
        stat = path.stat()
    except OSError:
        return False
    return (os.major(stat.st_dev), os.minor(stat.st_dev), stat.st_ino) in held


def _writes(path: Path, step_seconds: float | None) -> bool:
    """Whether a file has grown lately, by the pace of its steps."""
    patience = max(_SILENT_SECONDS, _SILENT_STEPS * (step_seconds or 0.0))
    try:
        return time.time() - path.stat().st_mtime < patience
    except OSError:
        return False


def _gates(folder: Path) -> list[GateRow] | None:
    try:
        return _GATE_ROWS.validate_json((folder / GATES).read_bytes())
    except (OSError, ValidationError):
        return None


def _figures(evaluation: Evaluation) -> dict[str, ExplainedFigure]:
    return {
        name: ExplainedFigure(**figure.model_dump(), what=FIGURES.get(name, ""))
        for name, figure in evaluation.figures.items()
    }


def _read(kind: type[M], path: Path) -> M | None:
    try:
        return kind.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _time_of(path: Path) -> str:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
