"""A version out of a store into the registry. What a store gives is untrusted.

In: a persona's id and a store. Out: a version of the registry, or nothing. Only files of the manifest are
fetched; their names, kinds, sizes and hashes are checked before the registry sees them, and the tensors by
`personae.manifest.verify_adapter`. Whether the version fits the base model and prompts of this server is not
asked here (`personae adapters verify`).

    pull("lincoln", None, open_store("hf://owner/lincoln-voice"), registry)
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from personae.errors import AdapterError, UnknownVersion
from personae.files import disk_errors, require_free_bytes, sha256_of
from personae.manifest import MANIFEST, AdapterManifest, verify_adapter
from personae.progress import Progress, silent
from personae.registry import RegisteredVersion, Registry
from training.release.store import Report, Store
from training.release.stores import StoredVersion, read_stored_manifest, versions_in

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_COULD_RUN = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".py", ".so", ".sh")
_MOST_FILES = 64
_MOST_VERSION_BYTES = 20 << 30


def pull(
    persona: str,
    version: int | None,
    store: Store,
    registry: Registry,
    *,
    progress: Progress = silent,
) -> RegisteredVersion:
    """Bring one version, or the newest, into the registry; a rerun goes on with the files it has.

    Raises:
        UnknownVersion: the store has no such version; says which it has.
        AdapterError: what came is not what its manifest says, or could run code, or the registry has
            this number with other contents.
        DiskFull: said before the first file.
    """
    stored = _choose(versions_in(store, persona), persona, version, store.name)
    manifest = read_stored_manifest(store, stored)
    for known in registry.versions(persona):
        if known.version == stored.version:
            if known.folder.name == stored.folder and known.problem is None:
                return known
            raise AdapterError(
                f"{persona} v{stored.version} is here already with other contents "
                f"({known.folder.name}). Pull it into another PERSONAE_HOME."
            )
    sizes = _checked_sizes(manifest, stored, store.name)
    aside = registry.root / persona / f".{stored.folder}.pulling"
    total = sum(sizes.values())
    # Once for the files that come, once for the registry's own copy of them.
    require_free_bytes(registry.root, 2 * total, f"Pulling {persona} v{stored.version}")
    with disk_errors(aside, f"pulling {persona} v{stored.version}"):
        if aside.is_symlink():
            raise AdapterError(f"{aside} is a link. Delete it.")
        aside.mkdir(parents=True, exist_ok=True)
        _fetch_files(store, stored, manifest, aside, sizes, progress)
        (aside / MANIFEST).write_text(manifest.model_dump_json(indent=2), encoding="utf-8")
        try:
            verify_adapter(
                aside,
                persona=persona,
                base_model=manifest.base_model,
                prompt_fingerprint=manifest.prompt_fingerprint,
            )
            return registry.add(aside, manifest)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _choose(
    listed: list[StoredVersion], persona: str, version: int | None, where: str
) -> StoredVersion:
    complete = [stored for stored in listed if stored.complete]
    if not complete:
        raise UnknownVersion(f"{where} has no complete version of {persona}.")
    number = complete[-1].version if version is None else version
    fitting = [stored for stored in complete if stored.version == number]
    if not fitting:
        known = ", ".join(f"v{stored.version}" for stored in complete)
        raise UnknownVersion(f"{where} has no {persona} v{number}. There are: {known}.")
    if len(fitting) > 1:
        raise AdapterError(
            f"{where} holds two versions {persona} v{number} ({fitting[0].folder}, "
            f"{fitting[1].folder}), pushed at the same time. Delete the wrong one there."
        )
    return fitting[0]


def _checked_sizes(manifest: AdapterManifest, stored: StoredVersion, where: str) -> dict[str, int]:
    """{file: bytes} of what will be fetched: the manifest's files and no other.

    Raises:
        AdapterError: a name that is no plain file name, a kind that could run code, or too much.
    """
    place = f"{stored.persona}/{stored.folder} in {where}"
    if len(manifest.files) > _MOST_FILES:
        raise AdapterError(f"{place} names {len(manifest.files)} files; that is no adapter.")
    sizes = {}
    for name in manifest.files:
        if not _PLAIN_NAME.fullmatch(name) or name == MANIFEST:
            shown = json.dumps(name[:80])
            raise AdapterError(f"{place} names the file {shown}. Nothing was fetched.")
        if name.lower().endswith(_COULD_RUN):
            raise AdapterError(
                f"{place} holds {name}, which could run code when loaded; adapters are safetensors "
                "only. Nothing was fetched."
            )
        if name not in stored.sizes:
            raise AdapterError(f"{place} lacks {name}. Push the version again.")
        sizes[name] = stored.sizes[name]
    if sum(sizes.values()) > _MOST_VERSION_BYTES:
        raise AdapterError(f"{place} is {sum(sizes.values()) / 1e9:.0f} GB; that is no adapter.")
    return sizes


def _fetch_files(
    store: Store,
    stored: StoredVersion,
    manifest: AdapterManifest,
    aside: Path,
    sizes: Mapping[str, int],
    progress: Progress,
) -> None:
    total = sum(sizes.values())
    for path in aside.iterdir():  # whatever else is there was not fetched for this manifest
        if path.is_symlink() or (path.is_file() and path.name not in sizes):
            path.unlink()
    report = Report(progress, f"pulling {stored.persona} v{stored.version}", total)
    for name, size in sizes.items():
        target = aside / name
        expected = manifest.files[name]
        if target.is_file() and sha256_of(target) == expected:
            report(size)
            continue
        target.unlink(missing_ok=True)
        store.fetch(stored.key(name), target, size, report)
        if sha256_of(target) != expected:
            target.unlink()
            raise AdapterError(
                f"{stored.key(name)} in {store.name} differs from its manifest: it was damaged or "
                "exchanged. Nothing was added; push the version again from where it was made."
            )
    for path in aside.iterdir():
        if path.is_dir():  # where a store kept a file that was on its way
            shutil.rmtree(path)
