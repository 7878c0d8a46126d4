"""Versions kept elsewhere: a folder, an S3-compatible store, or the Hugging Face hub.

In: a version of the registry and a store's address. Out: the same files there. Every
store has the registry's layout, `<persona>/v<N>-<sha8>/<file>`, with `manifest.json` written last, so its
existence means that the version is complete. A version that is there never changes. How each kind of
store reads and writes is its own module's business (`store_folder`, `store_s3`, `store_hub`); how a version
comes back is `training.release.pull`'s.

    push(version, persona, open_store("s3://voices/team"), card=…)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from personae.errors import AdapterError, ConfigError, UnknownVersion
from personae.manifest import MANIFEST, AdapterManifest, hash_files
from personae.persona import PERSONA_ID_PATTERN, Persona
from personae.progress import Progress, silent
from personae.registry import RegisteredVersion, parse_version
from training.release.rights import require_rights
from training.release.store import Parcel, Store

_MOST_MANIFEST_BYTES = 4 << 20


@dataclass(frozen=True)
class StoredVersion:
    """A version as a store lists it."""

    persona: str
    version: int
    folder: str
    """ "v3-0a1b2c3d" """
    sizes: Mapping[str, int]
    """File name → bytes."""

    @property
    def complete(self) -> bool:
        return MANIFEST in self.sizes

    def key(self, name: str) -> str:
        return f"{self.persona}/{self.folder}/{name}"


def open_store(address: str, *, public: bool = False) -> Store:
    """The store at an address: a folder's path, `s3://bucket/prefix`, or `hf://owner/name`.

    Args:
        public: a repository on the hub may be, or become, one that everyone can read.

    Raises:
        ConfigError: the address is none of these.
    """
    kind, separator, rest = address.partition("://")
    if not separator:
        from training.release.store_folder import FolderStore

        return FolderStore(Path(address).expanduser())
    if kind == "s3":
        from training.release.store_s3 import S3Store

        return S3Store.at(rest)
    if kind == "hf":
        from training.release.store_hub import HubStore

        return HubStore.at(rest, public=public)
    raise ConfigError(
        f"{kind}:// is no store. Give a folder's path, s3://bucket/prefix, or hf://owner/name."
    )


def versions_in(store: Store, persona: str | None = None) -> list[StoredVersion]:
    """What a store holds, of one persona or of all; by persona, then oldest first."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for key, size in store.keys("" if persona is None else f"{persona}/").items():
        parts = key.split("/")
        if len(parts) == 3 and _version_of(parts[1]) and re.match(PERSONA_ID_PATTERN, parts[0]):
            found.setdefault((parts[0], parts[1]), {})[parts[2]] = size
    listed = [
        StoredVersion(name, _version_of(folder) or 0, folder, sizes)
        for (name, folder), sizes in found.items()
    ]
    return sorted(listed, key=lambda stored: (stored.persona, stored.version, stored.folder))


def push(
    version: RegisteredVersion,
    persona: Persona,
    store: Store,
    *,
    card: str,
    progress: Progress = silent,
) -> bool:
    """Send one version; files that are there already are not sent again.

    Args:
        card: README.md for whoever finds the store.

    Returns:
        False when the store held it already.

    Raises:
        AdapterError: the version is damaged, the store has this number with other contents, or the
            store is public and the persona's file names no rights.
        ConfigError: no such store, or no permission.
    """
    manifest = version.manifest
    if manifest is None or version.problem:
        raise AdapterError(version.problem or f"{version.folder} has no manifest.")
    if any(path.is_symlink() for path in version.folder.iterdir()):
        raise AdapterError(f"{version.folder} holds a link. Publish the version again.")
    if hash_files(version.folder) != manifest.files:
        raise AdapterError(
            f"The files of {version.folder} differ from their manifest. Publish the version again."
        )
    if store.public():
        require_rights(persona)
    manifest_bytes = (version.folder / MANIFEST).read_bytes()
    if _is_there(version, manifest, store):
        return False
    below = f"{version.persona}/{version.folder.name}"
    parcel = Parcel(
        files={
            f"{below}/{name}": (version.folder / name, sha256)
            for name, sha256 in manifest.files.items()
        },
        last=(f"{below}/{MANIFEST}", manifest_bytes),
        persona=version.persona,
        card=card,
        title=f"Add {version.persona} {version.name}",
    )
    store.send(parcel, progress)
    if not _is_there(version, manifest, store):
        raise AdapterError(
            f"{store.name} does not show {version.engine_name} whole after it was sent. Push it again."
        )
    return True


def _is_there(version: RegisteredVersion, manifest: AdapterManifest, store: Store) -> bool:
    """Whether the store holds this version, complete.

    Raises:
        AdapterError: it holds another version of this number, or another manifest of this one.
    """
    for stored in versions_in(store, version.persona):
        if stored.version != version.version or not stored.complete:
            continue
        if stored.folder != version.folder.name:
            raise AdapterError(
                f"{store.name} holds {version.persona} {version.name} with other contents "
                f"({stored.folder}). Versions never change: publish yours under the next number."
            )
        if read_stored_manifest(store, stored) != manifest:
            raise AdapterError(
                f"{store.name} holds {version.persona} {version.name} with another manifest. "
                "Versions never change: publish yours under the next number."
            )
        sizes = {name: (version.folder / name).stat().st_size for name in manifest.files}
        return all(stored.sizes.get(name) == size for name, size in sizes.items())
    return False


def read_stored_manifest(store: Store, stored: StoredVersion) -> AdapterManifest:
    """The manifest of a stored version, which must be the one of this folder.

    Raises:
        AdapterError: it can't be read, or is another version's.
    """
    place = f"{stored.persona}/{stored.folder} in {store.name}"
    raw = store.read(stored.key(MANIFEST), _MOST_MANIFEST_BYTES)
    try:
        manifest = AdapterManifest.model_validate_json(raw or b"")
    except ValidationError as err:
        raise AdapterError(f"The manifest of {place} can't be read. Push it again.") from err
    if (manifest.persona, manifest.folder_name) != (stored.persona, stored.folder):
        raise AdapterError(
            f"The manifest of {place} is one of {manifest.persona[:40]} {manifest.folder_name}: it was "
            "edited or moved. Nothing was fetched."
        )
    return manifest


def _version_of(folder: str) -> int | None:
    """ "v3-0a1b2c3d" → 3; None for what is no version's folder."""
    head, _, sha8 = folder.partition("-")
    if not re.fullmatch(r"[0-9a-f]{8}", sha8) or not head.startswith("v"):
        return None
    try:
        return parse_version(head)
    except UnknownVersion:
        return None
