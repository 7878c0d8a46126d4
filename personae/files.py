"""Writing files so that a reader never meets a half-written one.

Everything that must appear at once is written aside and renamed. A folder that carries a
manifest gets its manifest last, so the manifest's existence means the folder is complete.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
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
        descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.writing-")
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


@contextlib.contextmanager
def one_at_a_time(lock: Path, *, tell: Callable[[str], None]) -> Iterator[None]:
    """Of all processes that name this lock file one runs the body, and the others wait for it.

    The lock goes with the process that holds it, however that ends. Where a file system has no locks,
    as some network ones, the body runs without.

    Args:
        tell: hears, in a sentence, why it waits or that nothing can be locked.
    """
    with disk_errors(lock, "locking a folder"):
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("a")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(f"Another process is at work in {lock.parent}; waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as err:
            tell(
                f"{lock.parent} can't be locked ({err.strerror}): let one process at a time work there."
            )
        yield


def remove_leftovers(folder: Path) -> list[Path]:
    """Delete what a killed process was writing aside in `folder` or below; returns what went.

    Only for who holds `folder` alone: what a living process writes there looks the same.
    """
    gone = []
    for path in list(folder.rglob(".*.writing-*")):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        gone.append(path)
    return gone
