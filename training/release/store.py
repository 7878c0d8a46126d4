"""What every kind of store can do. `training.release.stores` says what is done with it.

Keys are `<persona>/v<N>-<sha8>/<file>`, relative to the store's own root.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from personae.progress import Progress


class Report:
    """Counts bytes of several files, from several threads, into one progress."""

    def __init__(self, progress: Progress, doing: str, total: int) -> None:
        self._progress, self._doing, self._total = progress, doing, total
        self._done = 0
        self._lock = threading.Lock()

    def __call__(self, count: int) -> None:
        with self._lock:
            self._done += count
            self._progress(self._doing, min(self._done, self._total), self._total)


@dataclass(frozen=True)
class Parcel:
    """A version on its way into a store."""

    files: Mapping[str, tuple[Path, str]]
    """Key → file here and its sha256 (hex)."""
    last: tuple[str, bytes]
    """Key and content of the manifest; when it can be read there, everything else can."""
    persona: str
    card: str
    title: str
    """For stores that keep a history."""

    @property
    def total_bytes(self) -> int:
        return sum(path.stat().st_size for path, _sha256 in self.files.values())


class Store(Protocol):
    @property
    def name(self) -> str:
        """Its address as a person reads it; holds no secret."""

    def public(self) -> bool:
        """Whether strangers can read what is pushed, as far as the store tells."""

    def keys(self, below: str) -> dict[str, int]:
        """{key: bytes} of every file whose key begins with `below`; empty where there is no store yet.

        Raises:
            ConfigError: no permission, or nobody answers.
        """

    def read(self, key: str, limit_bytes: int) -> bytes | None:
        """A small file, or None where there is none.

        Raises:
            AdapterError: it is larger than the limit.
        """

    def fetch(self, key: str, target: Path, size_bytes: int, report: Report) -> None:
        """Write a file to `target`.

        Raises:
            AdapterError: it is not as long as the store said.
        """

    def send(self, parcel: Parcel, progress: Progress) -> None:
        """Put every file that is not there yet, then `parcel.last`."""
