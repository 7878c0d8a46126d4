"""A finished training run as an adapter version: into the registry, and into the repository's cast.

In: a run folder with its evaluation, the verdict of the alive check, the live version's evaluation. Out:
`adapters/<persona>/v<N>-<sha8>/` with its manifest and its evidence (evaluation.json, report.html). Only a
version with rights, that passed its gates, gets there; a gate can be forced with a reason, which stays with
the version for good. Nothing is trained or measured here, and which version is live is decided by the
server's owner (`personae adapters reload`).
"""

from __future__ import annotations

import logging
import math
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from personae.errors import AdapterError
from personae.files import disk_errors, folder_written_aside, one_at_a_time, remove_leftovers
from personae.manifest import (
    MANIFEST,
    PASSED,
    AdapterManifest,
    content_sha256,
    forced,
    hash_files,
    verify_adapter,
)
from personae.persona import Persona
from personae.progress import Progress, silent
from personae.prompt import fingerprint
from personae.registry import RegisteredVersion, Registry
from personae.training_run import EVALUATIONS
from personae.verdict import AliveVerdict, GateRow
from training.evaluate.evaluation import EVALUATION, REPORT, Evaluation, read_evaluation
from training.release.candidate import candidate
from training.release.gates import failed, judge
from training.release.rights import require_rights
from training.tune.checkpoint import only_process
from training.tune.run_folder import ADAPTER, read_run

log = logging.getLogger(__name__)

MAX_EVIDENCE_BYTES = 500_000
"""Of evaluation and report together: versions are shipped in repositories and loaded from stores."""
_MAX_REASON = 200


def judge_run(
    run: Path, persona: Persona, *, alive: AliveVerdict | None, live: Evaluation | None
) -> list[GateRow]:
    """All that has to be passed, as rows: the alive check and the gates.

    Raises:
        AdapterError: the run is not finished, or was not evaluated as it is now.
    """
    evaluation = _evaluation_of(run, persona)
    return [_alive_row(alive, evaluation), *judge(evaluation, persona.gates, live=live)]


def publish(
    run: Path,
    persona: Persona,
    *,
    models: Path,
    registry: Registry,
    alive: AliveVerdict | None = None,
    live: Evaluation | None = None,
    force_reason: str | None = None,
    progress: Progress = silent,
) -> RegisteredVersion:
    """Add a run's adapter to the registry under the next version; the same run twice is one version.

    Args:
        models: holds the base model; it is asked with the adapter for the reference answers.
        alive: None fails like a check that failed.
        live: the evaluation of the version that speaks now, if it has one.
        force_reason: publish although gates failed; the reason and the gates are written into the manifest.

    Raises:
        AdapterError: the run is unfinished, unmeasured or damaged, the persona's prompts were changed since,
            rights are missing, or gates failed; names all of them at once.
        ModelError: the base model is gone.
        DiskFull: nothing was kept.
    """
    read_run(run)
    require_rights(persona)
    reason = _checked_reason(force_reason)
    with only_process(run):
        remove_leftovers(run)
        found = candidate(run, persona, models=models, registry=registry, progress=progress)
        rows = judge_run(run, persona, alive=alive, live=live)
        failures = failed(rows)
        if failures and reason is None:
            raise AdapterError(_refusal(persona, failures))
        gate = forced(reason, [row.title for row in failures]) if failures and reason else PASSED
        # Two at a time would take the same number.
        with one_at_a_time(registry.root / persona.id / ".publishing", tell=log.warning):
            return _add(run, persona, registry, found, gate, alive)


def _add(
    run: Path,
    persona: Persona,
    registry: Registry,
    found: RegisteredVersion,
    gate: str,
    alive: AliveVerdict | None,
) -> RegisteredVersion:
    assert found.manifest is not None
    for version in registry.versions(persona.id):
        if version.manifest is not None and _is_same(version.manifest, found.manifest, gate):
            return version
    with tempfile.TemporaryDirectory(dir=run, prefix=".publishing.writing-") as scratch:
        folder = Path(scratch)
        with disk_errors(folder, f"publishing {persona.id}"):
            for name in found.manifest.files:
                shutil.copyfile(run / ADAPTER / name, folder / name)
            for path in _evidence(run):
                shutil.copyfile(path, folder / path.name)
        manifest = found.manifest.model_copy(
            update={
                "version": registry.next_version(persona.id),
                "metrics": found.manifest.metrics | _metrics(_evaluation_of(run, persona)),
                "gate": gate,
                "alive": alive,
                "files": hash_files(folder),
            }
        )
        (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2), encoding="utf-8")
        verify_adapter(
            folder,
            persona=persona.id,
            base_model=manifest.base_model,
            prompt_fingerprint=fingerprint(persona),
        )
        for cut_short in (registry.root / persona.id).glob(f".{manifest.folder_name}.writing-*"):
            shutil.rmtree(cut_short, ignore_errors=True)
        return registry.add(folder, manifest)


def _is_same(existing: AdapterManifest, new: AdapterManifest, gate: str) -> bool:
    """The same adapter with the same verdict; its evidence may have been measured again since."""
    same = all(existing.files.get(name) == sha256 for name, sha256 in new.files.items())
    return same and existing.gate == gate


def _evaluation_of(run: Path, persona: Persona) -> Evaluation:
    """The run's evaluation, if it is one of this adapter under these prompts."""
    evaluation = read_evaluation(run / EVALUATIONS)
    again = f"Measure it again with `personae train evaluate {persona.id}`."
    if evaluation.persona != persona.id:
        raise AdapterError(
            f"The evaluation in {run} is of {evaluation.persona}, not of {persona.id}. {again}"
        )
    if evaluation.adapter_sha256 != content_sha256(hash_files(run / ADAPTER)):
        raise AdapterError(f"The evaluation in {run} is of another adapter than it holds. {again}")
    if evaluation.prompt_fingerprint != fingerprint(persona):
        raise AdapterError(
            f"The prompts of {persona.id} were changed after {run} was measured. {again}"
        )
    return evaluation


def _alive_row(alive: AliveVerdict | None, evaluation: Evaluation) -> GateRow:
    if alive is None:
        passed, sentence = False, "It was not tried in an engine. Publish without leaving that out."
    elif alive.adapter_sha256 != evaluation.adapter_sha256:
        passed, sentence = False, "Another adapter was tried in the engine. Publish again."
    else:
        passed, sentence = alive.outcome != "failed", alive.sentence
    return GateRow(
        name="alive",
        against="threshold",
        value=None if alive is None else alive.nats_off_reference,
        at_least=False,
        passed=passed,
        sentence=f"alive: {sentence}",
    )


def _refusal(persona: Persona, failures: Sequence[GateRow]) -> str:
    count = "1 gate" if len(failures) == 1 else f"{len(failures)} gates"
    lines = "\n".join(f"  - {row.title}: {row.sentence.partition(': ')[2]}" for row in failures)
    return (
        f"{persona.id} was not published: it failed {count}. Nothing was changed.\n{lines}\n"
        f"`personae train publish {persona.id} --force --reason …` publishes it nevertheless, and says so "
        "wherever the version is listed."
    )


def _checked_reason(force_reason: str | None) -> str | None:
    if force_reason is None:
        return None
    reason = " ".join(force_reason.split())
    if not reason or len(reason) > _MAX_REASON:
        raise AdapterError(
            f"Publishing by force needs a reason of at most {_MAX_REASON} characters, for those who see the "
            "version later. Give one with --reason."
        )
    return reason


def _evidence(run: Path) -> list[Path]:
    """Evaluation and report; a report that is too large stays in the run's folder."""
    evaluation, report = run / EVALUATIONS / EVALUATION, run / EVALUATIONS / REPORT
    if evaluation.stat().st_size > MAX_EVIDENCE_BYTES:
        raise AdapterError(
            f"{evaluation} has {evaluation.stat().st_size / 1e3:,.0f} kB, and versions carry at most "
            f"{MAX_EVIDENCE_BYTES / 1e3:,.0f}. Measure again with fewer samples shown."
        )
    found = [path for path in (evaluation, report) if path.is_file()]
    if sum(path.stat().st_size for path in found) > MAX_EVIDENCE_BYTES:
        return [evaluation]
    return found


def _metrics(evaluation: Evaluation) -> dict[str, float]:
    """Each figure with its bounds; what is no finite number can't stand in JSON, and failed its gate."""
    found: dict[str, float] = {}
    for name, figure in sorted(evaluation.figures.items()):
        found |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
    return {name: round(value, 6) for name, value in found.items() if math.isfinite(value)}


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
