"""A finished training run as an adapter version: into the registry, and into the repository's cast.

In: a run folder (`training.run_folder`) and its base model. Out: `adapters/<persona>/v<N>-<sha8>/` with
its manifest, reference answers included (`training.reference`). Nothing is trained here, and which
version is live is decided by the server's owner (`personae adapters reload`).
"""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from personae.errors import AdapterError
from personae.files import folder_written_aside
from personae.manifest import (
    MANIFEST,
    AdapterManifest,
    ReferenceAnswer,
    hash_files,
    verify_adapter,
)
from personae.persona import Persona
from personae.progress import Progress, silent
from personae.prompt import fingerprint
from personae.registry import RegisteredVersion, Registry
from personae.weights import model_folder, read_model_manifest
from training.release.reference import reference_answers
from training.tune.run_folder import ADAPTER, Plan, Result, read_run

NOT_GATED = "not gated"


def publish(
    run: Path,
    persona: Persona,
    *,
    models: Path,
    registry: Registry,
    progress: Progress = silent,
) -> RegisteredVersion:
    """Add a run's adapter to the registry under the next version; the same run twice is one version.

    Args:
        models: holds the base model; it is asked with the adapter for the reference answers.

    Raises:
        AdapterError: the run is unfinished or damaged, or the persona's prompts were changed since.
        ModelError: the base model is gone.
        DiskFull: nothing was kept.
    """
    plan, result = read_run(run)
    if plan.persona != persona.id:
        raise AdapterError(f"{run} is a run of {plan.persona}, not of {persona.id}.")
    if plan.prompt_fingerprint != fingerprint(persona):
        raise AdapterError(
            f"The prompts of {persona.id} were changed after {run} was trained. Undo the change of "
            f"its system prompts, or train again with `personae train run {persona.id}`."
        )
    files = hash_files(run / ADAPTER)
    for version in registry.versions(persona.id):
        if version.manifest is not None and version.manifest.files == files:
            return version
    base_folder = model_folder(models, plan.base_model.id)
    read_model_manifest(base_folder)
    reference = reference_answers(persona, base_folder, run / ADAPTER, progress=progress)
    manifest = _manifest(plan, result, registry.next_version(persona.id), files, reference)
    with tempfile.TemporaryDirectory(dir=run, prefix=".publishing-") as scratch:
        folder = Path(scratch)
        for name in files:
            shutil.copyfile(run / ADAPTER / name, folder / name)
        (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2), encoding="utf-8")
        verify_adapter(
            folder,
            persona=persona.id,
            base_model=plan.base_model,
            prompt_fingerprint=fingerprint(persona),
        )
        return registry.add(folder, manifest)


def _manifest(
    plan: Plan,
    result: Result,
    version: int,
    files: dict[str, str],
    reference: list[ReferenceAnswer],
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
            "held_out_documents": plan.held_out_documents,
            "corpus_sha256": plan.corpus_sha256,
            "libraries": plan.libraries,
        },
        dataset_fingerprint=plan.dataset_fingerprint,
        metrics=result.metrics,
        gate=NOT_GATED,
        files=files,
        reference=reference or None,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def ship(version: RegisteredVersion, persona_folder: Path) -> Path:
    """Copy a version beside the persona's file, where `Registry.import_shipped` finds it.

    Raises:
        AdapterError: its manifest can't be read, or its files differ from it.
    """
    manifest = version.manifest
    if manifest is None or version.problem:
        raise AdapterError(version.problem or f"{version.folder} has no manifest.")
    if hash_files(version.folder) != manifest.files:
        raise AdapterError(f"The files of {version.folder} differ from their manifest.")
    final = persona_folder / "adapters" / manifest.folder_name
    if final.is_dir():
        return final
    with folder_written_aside(final, f"shipping {version.engine_name}") as aside:
        for name in [*manifest.files, MANIFEST]:
            shutil.copyfile(version.folder / name, aside / name)
    return final
