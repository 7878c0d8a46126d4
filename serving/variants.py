"""A version at another strength: the same weights, applied by less or more.

A LoRA adds `alpha / rank · B A` to the base model's matrices, so another `lora_alpha` gives the voice less
or more say, with rank, tensors and prompt as they were trained. What comes out is a *variant*: a folder of
its own with a changed `adapter_config.json`, the version's weights (a hard link) and a manifest, loaded
under a name of its own, and checked like any version.

    <PERSONAE_HOME>/variants/lincoln/v2-0e831ba8~light-0.6/    →    lincoln@v2~light

In: a version of the registry. Out: a variant's folder. It does not know what is loaded.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from personae.errors import AdapterError
from personae.files import folder_written_aside, remove_leftovers, sha256_of
from personae.manifest import ADAPTER_CONFIG, ADAPTER_WEIGHTS, MANIFEST, AdapterManifest
from personae.registry import RegisteredVersion, engine_name
from personae.wire import Strength

log = logging.getLogger(__name__)

SCALES: dict[Strength, float] = {"light": 0.6, "normal": 1.0, "strong": 1.3}
"""What each strength multiplies `lora_alpha` by. How they were chosen: docs/decisions.md."""

_NAME = re.compile(r"^(?P<persona>.+)@v(?P<version>[1-9][0-9]*)(?:~(?P<strength>light|strong))?$")


@dataclass(frozen=True)
class Voice:
    """What can speak for a persona through the engine: a version, at a strength."""

    persona: str
    version: int
    strength: Strength = "normal"

    @property
    def name(self) -> str:
        """As the engine knows it: "lincoln@v2", or "lincoln@v2~light"; never reused for other weights."""
        name = engine_name(self.persona, self.version)
        return name if self.strength == "normal" else f"{name}~{self.strength}"

    @classmethod
    def named(cls, name: str) -> Self | None:
        """The voice of a name in the engine; None for a name of another kind."""
        match = _NAME.match(name)
        if match is None:
            return None
        strength: Any = match["strength"] or "normal"
        return cls(match["persona"], int(match["version"]), strength)


@dataclass(frozen=True)
class Variant(RegisteredVersion):
    """A version at another strength, as if it were one of the registry."""

    strength: Strength = "normal"

    @property
    def engine_name(self) -> str:
        return Voice(self.persona, self.version, self.strength).name


class Variants:
    """The variants on disk, made when they are first wanted.

    Args:
        root: their folder. Where the engine is ours or sees our files, it has to see this too.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def made_of(self, version: RegisteredVersion, strength: Strength) -> Variant:
        """The variant of a version, written if it is not there. Blocks on disk.

        The weights are compared with the manifest by whoever loads it, as those of any version.

        Raises:
            AdapterError: the version can't be read, or its configuration was edited, or there is no
                writing where variants are kept.
            DiskFull: nothing was kept.
        """
        config, manifest = _derived(version, strength)
        folder = (
            self.root / version.persona / f"{version.folder.name}~{strength}-{SCALES[strength]:g}"
        )
        weights = version.folder / ADAPTER_WEIGHTS
        if not _holds(folder, config, manifest, weights):
            try:
                with folder_written_aside(folder, f"making {folder.name}") as aside:
                    _link(weights, aside / ADAPTER_WEIGHTS)
                    (aside / ADAPTER_CONFIG).write_bytes(config)
                    (aside / MANIFEST).write_bytes(manifest)
            except OSError as err:
                raise AdapterError(f"{folder} can't be written ({err.strerror}).") from err
            log.info("made %s", folder)
        return Variant(
            persona=version.persona,
            version=version.version,
            folder=folder,
            manifest=AdapterManifest.model_validate_json(manifest),
            strength=strength,
        )

    def tidy(self, persona: str, versions: Collection[RegisteredVersion]) -> None:
        """Delete variants whose version is not in the registry any more, and what a kill left behind.

        For a time when the engine holds none of them: it may read a folder again later.
        """
        parent = self.root / persona
        remove_leftovers(parent)
        known = {version.folder.name for version in versions}
        for folder in sorted(parent.iterdir()) if parent.is_dir() else ():
            version, strength, _ = folder.name.partition("~")
            if strength and version not in known:
                shutil.rmtree(folder, ignore_errors=True)


def _derived(version: RegisteredVersion, strength: Strength) -> tuple[bytes, bytes]:
    """(adapter_config.json, manifest.json) of a variant."""
    manifest = version.manifest
    if version.problem is not None or manifest is None:
        raise AdapterError(version.problem or f"{version.folder} has no manifest.")
    path = version.folder / ADAPTER_CONFIG
    try:
        trained = path.read_bytes()
    except OSError as err:
        raise AdapterError(f"{path} can't be read. Publish or copy the version again.") from err
    if sha256(trained).hexdigest() != manifest.files.get(ADAPTER_CONFIG):
        raise AdapterError(
            f"{path} differs from its manifest: it was damaged or edited. "
            "Publish or copy the version again."
        )
    try:
        config = _scaled(json.loads(trained), SCALES[strength])
    except (ValueError, TypeError, AttributeError) as err:
        raise AdapterError(f"{path} is no configuration of peft ({err}).") from err
    derived = manifest.model_copy(
        update={
            "files": {
                ADAPTER_CONFIG: sha256(config).hexdigest(),
                ADAPTER_WEIGHTS: manifest.files.get(ADAPTER_WEIGHTS, ""),
            },
            "recipe": manifest.recipe
            | {"variant": {"of": manifest.folder_name, "lora_alpha times": SCALES[strength]}},
            "reference": None,  # it is of the weights at the strength they were trained at
            "alive": None,
        }
    )
    return config, (derived.model_dump_json(indent=2) + "\n").encode()


def _scaled(config: dict[str, Any], scale: float) -> bytes:
    """peft's configuration with every alpha times `scale`. peft's own default alpha is 8."""
    alphas = config.get("alpha_pattern") or {}
    changed = {
        "lora_alpha": config.get("lora_alpha", 8) * scale,
        "alpha_pattern": {module: alpha * scale for module, alpha in alphas.items()},
    }
    return (json.dumps(config | changed, indent=2, sort_keys=True) + "\n").encode()


def _holds(folder: Path, config: bytes, manifest: bytes, weights: Path) -> bool:
    """Whether a variant's folder is there and what it should be."""
    try:
        if (folder / MANIFEST).read_bytes() != manifest:
            return False
        if (folder / ADAPTER_CONFIG).read_bytes() != config:
            return False
        own = folder / ADAPTER_WEIGHTS
        return own.samefile(weights) or sha256_of(own) == sha256_of(weights)
    except OSError:
        return False


def _link(source: Path, target: Path) -> None:
    """The same bytes under another name; a copy where the disk can't do better.

    Raises:
        AdapterError: they are not there.
    """
    if not source.is_file():
        raise AdapterError(f"{source} is missing. Publish or copy the version again.")
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
