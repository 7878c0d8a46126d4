"""A store that is a folder: a network drive, a USB stick, another server's registry.

Links inside it are not followed, neither to files nor to folders: who may write there must not be able to
make us read, or overwrite, something elsewhere.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from personae.errors import AdapterError, ConfigError
from personae.files import disk_errors, require_free_bytes, sha256_of, write_atomic
from personae.progress import Progress
from training.release.card import CARD
from training.release.store import Parcel, Report

_CHUNK_BYTES = 4 << 20


class FolderStore:
    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    @property
    def name(self) -> str:
        return str(self._root)

    def public(self) -> bool:
        return False

    def keys(self, below: str) -> dict[str, int]:
        if self._root.exists() and not self._root.is_dir():
            raise ConfigError(f"{self._root} is a file. Give a folder as the store.")
        return {
            key: path.stat(follow_symlinks=False).st_size
            for key, path in self._files()
            if key.startswith(below)
        }

    def _files(self) -> Iterator[tuple[str, Path]]:
        for persona in _folders(self._root):
            for version in _folders(persona):
                for path in sorted(version.iterdir()):
                    if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
                        yield f"{persona.name}/{version.name}/{path.name}", path

    def read(self, key: str, limit_bytes: int) -> bytes | None:
        path = self._inside(key)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            found = file.read(limit_bytes + 1)
        if len(found) > limit_bytes:
            raise AdapterError(f"{path} is larger than {limit_bytes / 1e6:.0f} MB.")
        return found

    def fetch(self, key: str, target: Path, size_bytes: int, report: Report) -> None:
        left = size_bytes
        descriptor = os.open(self._inside(key), os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as source, target.open("wb") as out:
            while chunk := source.read(min(_CHUNK_BYTES, left + 1)):
                left -= len(chunk)
                if left < 0:
                    raise AdapterError(f"{key} in {self.name} is changing. Pull it again.")
                out.write(chunk)
                report(len(chunk))

    def send(self, parcel: Parcel, progress: Progress) -> None:
        total = parcel.total_bytes
        require_free_bytes(self._root, total, parcel.title)
        report = Report(progress, f"pushing to {self.name}", total)
        with disk_errors(self._root, parcel.title.lower()):
            for key, (source, sha256) in parcel.files.items():
                target = self._inside(key)
                size = source.stat().st_size
                if target.is_file() and not target.is_symlink() and sha256_of(target) == sha256:
                    report(size)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                _copy(source, target, report)
            write_atomic(self._root / parcel.persona / CARD, parcel.card)
            key, content = parcel.last
            write_atomic(self._inside(key), content)

    def _inside(self, key: str) -> Path:
        """A key's place; no folder on the way to it is a link.

        Raises:
            AdapterError: one is.
        """
        path = self._root
        for part in key.split("/")[:-1]:
            path /= part
            if path.is_symlink():
                raise AdapterError(f"{path} is a link; links in a store are not followed.")
        return path / key.rpartition("/")[2]


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return [
        path
        for path in sorted(parent.iterdir())
        if path.is_dir() and not path.is_symlink() and not path.name.startswith(".")
    ]


def _copy(source: Path, target: Path, report: Report) -> None:
    """Written aside and renamed; what a killed push left of this file is removed first."""
    for left in target.parent.glob(f".{target.name}.sending-*"):
        left.unlink(missing_ok=True)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.sending-")
    aside = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as out, source.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                out.write(chunk)
                report(len(chunk))
            out.flush()
            os.fsync(out.fileno())
        aside.chmod(0o644)
        aside.replace(target)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
