"""Documents on disk between two passes, so that cleaning holds one of them at a time in memory.

The file has no name: it is gone when the process is, however that ends.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path

from personae.corpus import Document


class Spool:
    """Written once, then read as often as needed."""

    def __init__(self, folder: Path | None) -> None:
        # Closed with the last reference to the spool: the corpus is written after cleaning has ended.
        self._file = tempfile.TemporaryFile("w+", dir=folder, encoding="utf-8")  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        self._documents = 0

    def add(self, document: Document) -> None:
        self._file.write(document.model_dump_json() + "\n")
        self._documents += 1

    def __len__(self) -> int:
        return self._documents

    def __iter__(self) -> Iterator[Document]:
        """One reader at a time."""
        self._file.seek(0)
        while line := self._file.readline():
            yield Document.model_validate_json(line)
