"""Writing files so that a reader never meets a half-written one.

Everything that must appear at once is written aside and renamed. A folder that carries a
manifest gets its manifest last, so the manifest's existence means the folder is complete.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from personae.errors import DiskFull

_HASH_CHUNK_BYTES = 4 << 20


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_HASH_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


@contextlib.contextmanager
def disk_errors(path: Path, doing: str) -> Iterator[None]:
    """Translate "no space left" (and a full quota) into a sentence.

    Raises:
        DiskFull: when the body ran out of disk space.
    """
    try:
        yield
    except OSError as err:
        if err.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"The disk holding {path} is full, so {doing} stopped; nothing half-written was "
                f"kept. Free some space, or set PERSONAE_HOME to a larger disk, and run it again."
            ) from err
        raise


def require_free_bytes(path: Path, needed_bytes: int, doing: str) -> None:
    """Refuse to begin what cannot end.

    Raises:
        DiskFull: the disk holding `path` has less than `needed_bytes` free.
    """
    existing = path
    while not existing.exists():
        existing = existing.parent
    free_bytes = shutil.disk_usage(existing).free
    if free_bytes < needed_bytes:
        raise DiskFull(
            f"{doing} needs {needed_bytes / 1e6:,.0f} MB on the disk holding {path}, and "
            f"{free_bytes / 1e6:,.0f} MB are free. Free some space, or set PERSONAE_HOME to a "
            f"larger disk, and run it again."
        )


def write_atomic(path: Path, data: str | bytes, *, mode: int = 0o644) -> None:
    """Write a file beside its place, flush it to disk and rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with disk_errors(path, f"writing {path.name}"):
        descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data.encode() if isinstance(data, str) else data)
                file.flush()
                os.fsync(file.fileno())
            Path(aside).chmod(mode)
            Path(aside).replace(path)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def folder_written_aside(final: Path, doing: str) -> Iterator[Path]:
    """A scratch folder that becomes `final` when the body ends well, and vanishes when it does not.

    A `final` that exists already is replaced: it is moved out of the way for the rename, then
    removed. Folders under a version name are never replaced, so their writers pass a new name.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    with disk_errors(final, doing):
        aside = Path(tempfile.mkdtemp(dir=final.parent, prefix=f".{final.name}.writing-"))
        try:
            yield aside
            aside.chmod(0o755)
            if final.exists():
                old = Path(tempfile.mkdtemp(dir=final.parent, prefix=f".{final.name}.old-"))
                final.rename(old / final.name)
                aside.rename(final)
                shutil.rmtree(old, ignore_errors=True)
            else:
                aside.rename(final)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise


def remove_leftovers(folder: Path) -> list[Path]:
    """Delete scratch folders that a killed process left in `folder`; returns what went."""
    gone = []
    for path in folder.glob(".*.writing-*") if folder.is_dir() else ():
        shutil.rmtree(path, ignore_errors=True)
        gone.append(path)
    return gone
