"""The adapter registry on disk: `adapters/<persona>/v<N>-<sha8>/`, written once, never changed.

It lists, adds and finds versions. Which one is live is not its business: that is the ledger's
(`serving.ledger`).
"""

from __future__ import annotations

import logging
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from personae.errors import AdapterError, UnknownVersion
from personae.files import folder_written_aside
from personae.manifest import MANIFEST, AdapterManifest, hash_files, read_manifest

log = logging.getLogger(__name__)

_FOLDER = re.compile(r"^v([1-9][0-9]{0,8})-([0-9a-f]{8})$")
_VERSION = re.compile(r"^v?([1-9][0-9]{0,8})$")


@dataclass(frozen=True)
class RegisteredVersion:
    """A version's folder as found; `manifest` is None when it can't be read (`problem` says why)."""

    persona: str
    version: int
    folder: Path
    manifest: AdapterManifest | None
    problem: str | None = None

    @property
    def name(self) -> str:
        return f"v{self.version}"

    @property
    def engine_name(self) -> str:
        """The name this version is loaded under in the engine; never reused for other weights."""
        return engine_name(self.persona, self.version)

    @property
    def stamp(self) -> tuple[tuple[str, int, int], ...]:
        """(name, bytes, nanoseconds of the last change) of its files: differs when one was touched."""
        try:
            found = [(path.name, path.stat()) for path in sorted(self.folder.iterdir())]
        except OSError:
            return ()
        return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in found)


def engine_name(persona: str, version: int) -> str:
    """("lincoln", 3) → "lincoln@v3": what a version is called in the engine."""
    return f"{persona}@v{version}"


def parse_version(typed: str) -> int:
    """ "v3" or "3" → 3.

    Raises:
        UnknownVersion: anything else.
    """
    match = _VERSION.match(typed.strip().lower())
    if match is None:
        raise UnknownVersion(f'"{typed[:40]}" is no version. Versions look like v3.')
    return int(match.group(1))


class Registry:
    """Adapter versions below one root folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def versions(self, persona: str) -> list[RegisteredVersion]:
        """All versions of a persona that have a manifest, oldest first.

        A folder without one is a version that was never finished, and is passed over. One whose
        manifest can't be read, or that claims another version than its name, is listed with its
        problem.
        """
        found: dict[int, RegisteredVersion] = {}
        parent = self.root / persona
        for folder in sorted(parent.iterdir()) if parent.is_dir() else ():
            match = _FOLDER.match(folder.name)
            if match is None or not (folder / MANIFEST).is_file():
                continue
            version = int(match.group(1))
            if version in found:
                log.warning("two folders claim %s v%d; %s is ignored", persona, version, folder)
                continue
            found[version] = self._read(persona, version, folder)
        return [found[version] for version in sorted(found)]

    def find(self, persona: str, version: int | None = None) -> RegisteredVersion:
        """One version, or the newest.

        Raises:
            UnknownVersion: there is no such version; names those there are.
        """
        versions = self.versions(persona)
        if not versions:
            raise UnknownVersion(
                f"{persona} has no adapter version yet. Train one with `personae train run {persona}` "
                f"and publish it with `personae train publish {persona}`."
            )
        if version is None:
            return versions[-1]
        for candidate in versions:
            if candidate.version == version:
                return candidate
        known = ", ".join(candidate.name for candidate in versions)
        raise UnknownVersion(f"{persona} has no version v{version}. There are: {known}.")

    def next_version(self, persona: str) -> int:
        """One above every folder ever started, finished or not: names are never reused."""
        parent = self.root / persona
        started = [
            int(match.group(1))
            for folder in (parent.iterdir() if parent.is_dir() else ())
            if (match := _FOLDER.match(folder.name))
        ]
        return max(started, default=0) + 1

    def add(self, source: Path, manifest: AdapterManifest) -> RegisteredVersion:
        """Copy a finished adapter folder in under the manifest's version, manifest last.

        Raises:
            AdapterError: the files differ from the manifest, or the version exists with other bytes.
            DiskFull: nothing was kept.
        """
        if hash_files(source) != manifest.files:
            raise AdapterError(
                f"The files in {source} differ from their manifest; nothing was added."
            )
        for existing in self.versions(manifest.persona):
            if existing.version == manifest.version:
                if existing.folder.name == manifest.folder_name:
                    return existing
                raise AdapterError(
                    f"{manifest.persona} {manifest.name} is in the registry with other contents. "
                    f"Publish it as v{self.next_version(manifest.persona)}."
                )
        final = self.root / manifest.persona / manifest.folder_name
        with folder_written_aside(final, f"adding {manifest.persona} {manifest.name}") as aside:
            for name in manifest.files:
                shutil.copyfile(source / name, aside / name)
            (aside / MANIFEST).write_text(
                manifest.model_dump_json(indent=2) + "\n", encoding="utf-8"
            )
        return self._read(manifest.persona, manifest.version, final)

    def import_shipped(self, persona: str, folder: Path) -> list[RegisteredVersion]:
        """Copy the versions that came with a persona (`<folder>/adapters/v<N>-<sha8>/`) in.

        One that is in the registry already is left alone.

        Raises:
            AdapterError: a shipped version is damaged, or its number is taken by another one.
        """
        added = []
        shipped = folder / "adapters"
        for source in sorted(shipped.iterdir()) if shipped.is_dir() else ():
            if not _FOLDER.match(source.name):
                continue
            if (self.root / persona / source.name / MANIFEST).is_file():
                continue
            added.append(self.add(source, read_manifest(source)))
        return added

    def _read(self, persona: str, version: int, folder: Path) -> RegisteredVersion:
        try:
            manifest = read_manifest(folder)
        except AdapterError as err:
            return RegisteredVersion(persona, version, folder, None, str(err))
        if manifest.folder_name != folder.name:
            problem = (
                f"{folder} holds a manifest of {manifest.folder_name}: it was edited or renamed."
            )
            return RegisteredVersion(persona, version, folder, manifest, problem)
        return RegisteredVersion(persona, version, folder, manifest)
