"""A finished training run as the version it would become: what the alive check tries and publishing adds.

In: a run folder (`training.tune.run_folder`) and its base model. Out: the run's adapter with the manifest of
the next version, its reference answers included; nothing is written into the registry. The answers
take a while on a CPU, so they are kept in the run's folder (`reference.json`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from personae.errors import AdapterError
from personae.files import write_atomic
from personae.manifest import (
    NOT_GATED,
    AdapterManifest,
    ReferenceAnswer,
    check_lora,
    content_sha256,
    hash_files,
)
from personae.persona import Persona
from personae.progress import Progress, silent
from personae.prompt import fingerprint
from personae.registry import RegisteredVersion, Registry
from personae.weights import model_folder, module_shapes, read_model_manifest
from training.release.reference import reference_answers
from training.tune.lora import load_tokenizer
from training.tune.preflight import Preflight, template_hash
from training.tune.run_folder import ADAPTER, PREFLIGHT, Plan, Result, read_run

REFERENCE = "reference.json"


class _Recorded(BaseModel):
    """`reference.json`: answers, and of which adapter."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    adapter_sha256: str
    answers: list[ReferenceAnswer]


def candidate(
    run: Path, persona: Persona, *, models: Path, registry: Registry, progress: Progress = silent
) -> RegisteredVersion:
    """The version that publishing this run would add.

    Args:
        models: holds the base model; it is asked with the adapter for the reference answers.

    Raises:
        AdapterError: the run is unfinished, damaged, of another persona or of other prompts, or its adapter
            is none that vLLM serves.
        ModelError: the base model is gone.
    """
    plan, result = read_run(run)
    if plan.persona != persona.id:
        raise AdapterError(f"{run} is a run of {plan.persona}, not of {persona.id}.")
    if plan.prompt_fingerprint != fingerprint(persona):
        raise AdapterError(
            f"The prompts of {persona.id} were changed after {run} was trained. Undo the change of "
            f"its system prompts, or train again with `personae train run {persona.id}`."
        )
    base_folder = model_folder(models, plan.base_model.id)
    fetched = read_model_manifest(base_folder)
    if fetched.weights_sha256 != plan.base_model.weights_sha256:
        raise AdapterError(
            f"{run} was trained on other weights of {plan.base_model.id} than {base_folder} holds now. "
            f"Train again with `personae train run {persona.id}`."
        )
    template = _template(run, plan, base_folder)
    folder = run / ADAPTER
    check_lora(folder, plan.settings["rank"], module_shapes(base_folder))
    files = hash_files(folder)
    reference = _reference(run, persona, base_folder, content_sha256(files), progress)
    manifest = _manifest(
        plan, result, registry.next_version(persona.id), files, reference, template
    )
    return RegisteredVersion(persona.id, manifest.version, folder, manifest)


def _template(run: Path, plan: Plan, base_folder: Path) -> str:
    """The hash of the chat template, as it was in training and still is; that of the weights leaves it out.

    Raises:
        AdapterError: the engine would put other words around a conversation than training did.
    """
    now = template_hash(load_tokenizer(base_folder).chat_template)
    checked = run / PREFLIGHT
    if not checked.is_file():  # a run from before it was written down
        return now
    if Preflight.model_validate_json(checked.read_bytes()).template_sha256 != now:
        raise AdapterError(
            f"The chat template of {plan.base_model.id} was changed after {run} was trained. Fetch the base "
            f"model again, or train again with `personae train run {plan.persona}`."
        )
    return now


def _reference(
    run: Path, persona: Persona, base_folder: Path, adapter_sha256: str, progress: Progress
) -> list[ReferenceAnswer]:
    try:
        recorded = _Recorded.model_validate_json((run / REFERENCE).read_bytes())
        if recorded.adapter_sha256 == adapter_sha256:
            return recorded.answers
    except (FileNotFoundError, ValidationError):
        pass  # not made yet, or damaged: they are made again
    answers = reference_answers(persona, base_folder, run / ADAPTER, progress=progress)
    kept = _Recorded(adapter_sha256=adapter_sha256, answers=answers)
    write_atomic(run / REFERENCE, kept.model_dump_json(indent=2) + "\n")
    return answers


def _manifest(
    plan: Plan,
    result: Result,
    version: int,
    files: dict[str, str],
    reference: list[ReferenceAnswer],
    template: str,
) -> AdapterManifest:
    """Everything to make the adapter again, and no path of the machine that made it."""
    return AdapterManifest(
        persona=plan.persona,
        version=version,
        base_model=plan.base_model,
        prompt_fingerprint=plan.prompt_fingerprint,
        rank=plan.settings["rank"],
        recipe={
            "command": f"personae train run {plan.persona}",
            "method": "LoRA",
            "settings": plan.settings,
            "samples": plan.samples,
            **({"revisions": plan.revisions} if plan.revisions else {}),
            "held_out_documents": plan.held_out_documents,
            "corpus_sha256": plan.corpus_sha256,
            "chat_template_sha256": template,
            "libraries": plan.libraries,
        },
        dataset_fingerprint=plan.dataset_fingerprint,
        metrics=result.metrics,
        gate=NOT_GATED,
        files=files,
        reference=reference or None,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
