"""What a report shows beside the figures: `evidence.json` in the evaluation folder.

In: what was seen while measuring, and what the adapter was made of. Out: a file from which the report can
be drawn again, with gates or without, when the models are long gone. It judges nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from personae.errors import AdapterError
from personae.files import write_atomic
from training.evaluate.evaluation import Figure

EVIDENCE = "evidence.json"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DocumentRow(_Strict):
    title: str
    date: str
    words: int
    held_out: bool


class LossPoint(_Strict):
    """One line of metrics.jsonl: a training loss, or a held-out one, in nats a token."""

    step: int
    loss: float | None = None
    held_out_loss: float | None = None


class CopyRow(_Strict):
    """The words of a reply that stand so in a document, or in a passage shown beside it."""

    words: int
    where: str
    text: str
    task: str


class AnswerRow(_Strict):
    """One identity answer, and whether it was true."""

    question: str
    answer: str
    right: bool
    other_name: str | None


class Evidence(_Strict):
    recipe: dict[str, Any]
    """Settings and samples, as the plan or the version's manifest has them."""
    documents: list[DocumentRow]
    losses: list[LossPoint]
    cleaning: dict[str, Any] | None
    """The corpus's cleaning.json, where there is one."""
    scores: dict[str, list[float]]
    """P(author) of replies and held-out stretches: base, prompted_base, adapter, author, others."""
    accuracy: Figure
    """Of the classifier on held-out stretches."""
    tics: list[str]
    copies: list[CopyRow]
    identity: list[AnswerRow]
    counts: dict[str, int]
    """How many probes of each task."""


def write_evidence(folder: Path, evidence: Evidence) -> None:
    write_atomic(folder / EVIDENCE, evidence.model_dump_json(indent=1) + "\n")


def read_evidence(folder: Path) -> Evidence:
    """
    Raises:
        AdapterError: there is none yet, or it is damaged.
    """
    again = "Run `personae train evaluate` for this persona."
    try:
        return Evidence.model_validate_json((folder / EVIDENCE).read_bytes())
    except FileNotFoundError as err:
        raise AdapterError(f"There is no evidence of an evaluation in {folder}. {again}") from err
    except ValidationError as err:
        raise AdapterError(f"{folder / EVIDENCE} is damaged ({err}). {again}") from err
