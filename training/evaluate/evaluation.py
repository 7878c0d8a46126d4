"""Reading and writing `evaluation.json`, the evidence that gates judge and reports show."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from personae.errors import AdapterError
from personae.evaluation import EVALUATION, FIGURES, REPORT, Evaluation, Figure, SampleRow
from personae.files import write_atomic

__all__ = [
    "EVALUATION",
    "FIGURES",
    "REPORT",
    "Evaluation",
    "Figure",
    "SampleRow",
    "read_evaluation",
    "write_evaluation",
]


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    write_atomic(folder / EVALUATION, evaluation.model_dump_json(indent=2) + "\n")


def read_evaluation(folder: Path) -> Evaluation:
    """The evaluation of a run's `evaluation/` folder.

    Raises:
        AdapterError: there is none yet, or it is damaged.
    """
    again = "Run `personae train evaluate` for this persona."
    try:
        return Evaluation.model_validate_json((folder / EVALUATION).read_bytes())
    except FileNotFoundError as err:
        raise AdapterError(f"There is no evaluation in {folder}. {again}") from err
    except ValidationError as err:
        raise AdapterError(f"{folder / EVALUATION} is damaged ({err}). {again}") from err
