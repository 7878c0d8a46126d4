"""What an adapter was made of, as far as measuring it needs to know.

In: a run's plan.json, or a published version's manifest. Out: a `MadeOf`, the same form of both, so that a
live version is measured as a new one is. Nothing is measured here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from personae.corpus import Document
from personae.errors import AdapterError
from personae.manifest import AdapterManifest
from training.evaluate.evidence import DocumentRow, LossPoint
from training.tune.run_folder import ADAPTER, METRICS, PLAN, Plan

_CLEANING = "cleaning.json"
_MOST_POINTS = 400
"""Steps beyond that are thinned out: a curve needs no more, and a report stays small."""


@dataclass(frozen=True)
class MadeOf:
    persona: str
    base_model: str
    prompt_fingerprint: str
    corpus_sha256: str
    held_out_documents: list[str]
    recipe: dict[str, Any]
    losses: list[LossPoint] = field(default_factory=list)
    cleaning: dict[str, Any] | None = None

    def rows(self, documents: Sequence[Document]) -> list[DocumentRow]:
        away = set(self.held_out_documents)
        return [
            DocumentRow(
                title=document.title,
                date=document.date,
                words=len(document.text.split()),
                held_out=document.id in away,
            )
            for document in documents
        ]


def made_of_run(run: Path, corpus: Path) -> MadeOf:
    """
    Raises:
        AdapterError: the run has no adapter yet, or its plan is damaged.
    """
    again = "Run the same `personae train run` again; it goes on where it stopped."
    try:
        plan = Plan.model_validate_json((run / PLAN).read_bytes())
    except FileNotFoundError as err:
        raise AdapterError(f"There is no training run in {run}. {again}") from err
    except ValidationError as err:
        raise AdapterError(f"The plan of the training run {run} is damaged ({err}).") from err
    if not (run / ADAPTER).is_dir():
        raise AdapterError(f"The training run {run} has no adapter yet. {again}")
    return MadeOf(
        persona=plan.persona,
        base_model=plan.base_model.id,
        prompt_fingerprint=plan.prompt_fingerprint,
        corpus_sha256=plan.corpus_sha256,
        held_out_documents=plan.held_out_documents,
        recipe={"settings": plan.settings, "samples": plan.samples},
        losses=_losses(run / METRICS),
        cleaning=_cleaning(corpus),
    )


def made_of_version(manifest: AdapterManifest, corpus: Path) -> MadeOf:
    """
    Raises:
        AdapterError: its manifest does not say what was held out.
    """
    recipe = manifest.recipe
    held_out, corpus_sha256 = recipe.get("held_out_documents"), recipe.get("corpus_sha256")
    if not isinstance(held_out, list) or not isinstance(corpus_sha256, str):
        raise AdapterError(
            f"The manifest of {manifest.persona} v{manifest.version} does not say which documents were held "
            "out, so it can't be measured fairly. Train a version here with `personae train run`."
        )
    return MadeOf(
        persona=manifest.persona,
        base_model=manifest.base_model.id,
        prompt_fingerprint=manifest.prompt_fingerprint,
        corpus_sha256=corpus_sha256,
        held_out_documents=[str(name) for name in held_out],
        recipe={name: recipe[name] for name in ("settings", "samples") if name in recipe},
        cleaning=_cleaning(corpus),
    )


def _losses(path: Path) -> list[LossPoint]:
    found = []
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    for line in lines:
        try:
            row = json.loads(line)
            point = LossPoint(
                step=row["step"], loss=row.get("loss"), held_out_loss=row.get("held_out_loss")
            )
        except (ValueError, KeyError, TypeError):
            continue  # a line that a kill cut short
        found.append(point)
    thin = max(1, len(found) // _MOST_POINTS)
    return [
        point
        for number, point in enumerate(found)
        if point.held_out_loss is not None or number % thin == 0
    ]


def _cleaning(corpus: Path) -> dict[str, Any] | None:
    """As the corpus has it. The report needs its sums only: samples of what was taken out stay there."""
    try:
        found = json.loads((corpus / _CLEANING).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict):
        return None
    rules = [
        {name: value for name, value in rule.items() if name != "samples"}
        for rule in found.get("rules", [])
        if isinstance(rule, dict)
    ]
    return found | {"rules": rules}
