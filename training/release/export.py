"""A version as files for other programs: a merged model, a GGUF file, or the LoRA as peft reads it.

In: a version of the registry, its persona, the models folder. Out: a folder with the files, README.md
(disclosure, rights, licences) and `personae-export.json`, which names every file with its sha256. The
folder is written aside, checked against base and adapter, and renamed: it is complete or not there.

    from training.release.export import export_version
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from personae.errors import AdapterError
from personae.files import disk_errors, require_free_bytes, sha256_of, write_atomic
from personae.manifest import AdapterManifest, BaseModelRef, verify_adapter
from personae.persona import Persona
from personae.progress import Progress, silent
from personae.reference import reference_prompts
from personae.registry import RegisteredVersion
from personae.weights import model_folder, module_shapes, read_model_manifest
from training.models.fetch import write_model_manifest
from training.release.card import CARD, model_card
from training.release.compare import Agreement, compare_merge
from training.release.gguf import GgufType, check_gguf, write_gguf
from training.release.merge import merge_weights, merged_bytes, require_16_bit

EXPORT = "personae-export.json"
Format = Literal["merged", "gguf", "peft"]

_TOLERATED = 2.0**-5
"""Most difference of a logit from base with LoRA, as a share of the largest logit. Weights of bfloat16
carry 8 bits, and the errors of all layers add up: 1.1 % was measured on SmolLM2-135M."""


class ExportManifest(BaseModel):
    """`personae-export.json`, written last."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Format
    type: str
    """"bfloat16", "q8_0" …: how the weights are stored."""
    adapter: AdapterManifest
    merged_into: BaseModelRef
    measured: dict[str, float]
    files: dict[str, str]
    """Path below the folder → sha256 (hex) of every file but this one."""
    created_at: str


@dataclass(frozen=True)
class Wanted:
    """What to export, and how."""

    format: Format
    gguf_type: GgufType = "f16"
    converter: Path | None = None
    """llama.cpp's convert_hf_to_gguf.py; None looks for it on PATH, and else writes Llamas itself."""
    base: str | None = None
    """Merge into this model instead of the one trained on: the 16-bit twin of a quantised base."""


def export_version(
    version: RegisteredVersion,
    persona: Persona,
    wanted: Wanted,
    out: Path,
    *,
    models: Path,
    progress: Progress = silent,
) -> ExportManifest:
    """Write one version to `out`; the same export twice is done at once.

    Raises:
        AdapterError: the version is damaged, `out` holds something else, or the export does not say
            what base and adapter say (then nothing is kept).
        ModelError: the base is missing, quantised, or of a family this format can't hold.
        DiskFull: said before anything is written.
    """
    manifest, base_folder, base = _checked(version, persona, wanted, models)
    out = out.absolute()
    if done := _finished(out, manifest, wanted, base):
        return done
    copies = {"peft": 0, "merged": 1, "gguf": 2}[wanted.format]
    needed = copies * merged_bytes(base_folder) + _folder_bytes(version.folder)
    require_free_bytes(out, int(needed * 1.05), f"Exporting {version.engine_name}")
    with _written_aside(out) as aside:
        if wanted.format == "peft":
            type_name, measured = "as trained", _copy_peft(version, manifest, aside, base)
        elif wanted.format == "merged":
            type_name = "16 bit"
            measured = _merge(version, persona, base_folder, aside, progress)
        else:
            type_name = wanted.gguf_type
            measured = _gguf(version, persona, wanted, base_folder, aside, progress)
        licence = read_model_manifest(base_folder).licence
        form = f"{wanted.format}, {type_name}"
        facts = [f"{name.replace('_', ' ')}: {value:.4g}" for name, value in measured.items()]
        card = model_card(persona, manifest, base_licence=licence, form=form, facts=facts)
        (aside / CARD).write_text(card, encoding="utf-8")
        if wanted.format == "merged":
            name = f"{persona.id}-{version.name}"
            source = f"{base.id} with {version.engine_name} merged into it"
            write_model_manifest(aside, name, source=source, licence=licence)
        progress("hashing", 0, 1)
        export = ExportManifest(
            format=wanted.format,
            type=type_name,
            adapter=manifest,
            merged_into=base,
            measured=measured,
            files=_hashes(aside),
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        progress("hashing", 1, 1)
        write_atomic(aside / EXPORT, export.model_dump_json(indent=2) + "\n")
    return export


def _checked(
    version: RegisteredVersion, persona: Persona, wanted: Wanted, models: Path
) -> tuple[AdapterManifest, Path, BaseModelRef]:
    """The version's manifest and the base to merge into, both sound, and fitting each other."""
    manifest = version.manifest
    if manifest is None or version.problem:
        raise AdapterError(version.problem or f"{version.folder} has no manifest.")
    model_id = wanted.base or manifest.base_model.id
    folder = model_folder(models, model_id)
    fetched = read_model_manifest(folder)
    base = BaseModelRef(id=fetched.id, weights_sha256=fetched.weights_sha256)
    if wanted.format != "peft":
        require_16_bit(folder, model_id)
    verify_adapter(
        version.folder,
        persona=persona.id,
        base_model=manifest.base_model if wanted.base else base,
        prompt_fingerprint=manifest.prompt_fingerprint,
        base_shapes=module_shapes(folder),
    )
    return manifest, folder, base


def _finished(
    out: Path, manifest: AdapterManifest, wanted: Wanted, base: BaseModelRef
) -> ExportManifest | None:
    """The export that is there already, where it is the wanted one and whole.

    Raises:
        AdapterError: something else is there.
    """
    if not out.exists() and not out.is_symlink():
        return None
    other = f"{out} exists and is not this export. Delete it, or choose another --out."
    try:
        found = ExportManifest.model_validate_json((out / EXPORT).read_bytes())
    except (OSError, ValidationError) as err:
        raise AdapterError(other) from err
    same = (found.format, found.adapter.files, found.merged_into) == (
        wanted.format,
        manifest.files,
        base,
    )
    if wanted.format == "gguf":
        same = same and found.type == wanted.gguf_type
    if not same or _hashes(out) != found.files:
        raise AdapterError(other)
    return found


def _merge(
    version: RegisteredVersion, persona: Persona, base: Path, target: Path, progress: Progress
) -> dict[str, float]:
    merge_weights(base, version.folder, target, progress=progress)
    messages = reference_prompts(persona)["labor"]
    found = compare_merge(base, version.folder, target, messages, progress=progress)
    require_agreement(found, version.engine_name)
    return {
        "largest_logit_difference_from_base_with_adapter": found.merged_to_adapter,
        "largest_logit_difference_from_base": found.adapter_to_base,
        "largest_logit": found.largest_logit,
    }


def require_agreement(found: Agreement, name: str) -> None:
    """Raises AdapterError when a merged model is not base and adapter, or can't be told from the base."""
    if not found.merged_to_adapter <= _TOLERATED * found.largest_logit:
        raise AdapterError(
            f"The merged model of {name} does not say what base and adapter say (a logit differs by "
            f"{found.merged_to_adapter:.2f} of {found.largest_logit:.1f}); nothing was kept. "
            "Check the version with `personae adapters verify`."
        )
    if not found.merged_to_adapter < found.adapter_to_base:
        raise AdapterError(
            f"{name} changes the base model less than rounding to 16 bits does "
            f"({found.adapter_to_base:.2g} against {found.merged_to_adapter:.2g}), so merging it would "
            "lose the voice. Train it longer, or export it with --format peft."
        )


def _gguf(
    version: RegisteredVersion,
    persona: Persona,
    wanted: Wanted,
    base: Path,
    target: Path,
    progress: Progress,
) -> dict[str, float]:
    """Merge beside the target, then convert; the merged model goes when the file is checked."""
    merged = target / ".merged"
    merged.mkdir()
    measured = _merge(version, persona, base, merged, progress)
    name = f"{persona.id}-{version.name}-{wanted.gguf_type}.gguf"
    write_gguf(
        merged,
        target / name,
        wanted.gguf_type,
        title=f"{persona.display_name} {version.name} (imitation)",
        description=persona.disclosure,
        converter=wanted.converter,
        progress=progress,
    )
    messages = reference_prompts(persona)["labor"]
    measured |= check_gguf(target / name, merged, wanted.gguf_type, messages, progress=progress)
    shutil.rmtree(merged)
    return measured


def _copy_peft(
    version: RegisteredVersion, manifest: AdapterManifest, target: Path, base: BaseModelRef
) -> dict[str, float]:
    for name in manifest.files:
        shutil.copyfile(version.folder / name, target / name)
    return {}


def _hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).as_posix() != EXPORT
    }


def _folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


@contextlib.contextmanager
def _written_aside(out: Path) -> Iterator[Path]:
    """A folder beside `out` that becomes it; what a killed export of the same left is removed first.

    Unlike `personae.files.folder_written_aside` it never replaces what is there: `out` is a place of
    the person's choice, not ours.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    for left in out.parent.glob(f".{out.name}.writing-*"):
        shutil.rmtree(left, ignore_errors=True)
    with disk_errors(out, f"exporting to {out}"):
        aside = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.writing-"))
        try:
            yield aside
            aside.chmod(0o755)
            try:
                aside.rename(out)
            except OSError as err:
                if out.exists():
                    raise AdapterError(
                        f"{out} was made by somebody else meanwhile. Choose another --out."
                    ) from err
                raise
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
