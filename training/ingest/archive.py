"""Reading an archive somebody downloaded: a zip, a folder or a single file behind one small interface.

In: what `training.ingest.open_archive` opened. Out: names, bytes, text and JSON. Nothing is extracted to
disk, and nothing in the archive is believed: sizes are counted while they are decompressed, because a zip's
own statement may lie, and JSON has the shape it is expected to have or is refused. What the members mean
is not known here.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from personae.errors import CorpusError

Shape = TypeVar("Shape")

_CHUNK_BYTES = 1 << 20
_HALF_CHARACTER = re.compile(r"[\ud800-\udfff]")
_TOO_DEEP_FOR_SENTENCES = 300
MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What no honest export exceeds."""

    members: int = 300_000
    total_bytes: int = 8 << 30
    """Of everything that is read, decompressed."""
    ratio: int = 200
    """Decompressed to compressed size of one member; text reaches 10, logs 60."""
    ratio_from_bytes: int = 8 << 20
    """Smaller members may be compressed as well as they like."""


class Archive:
    """Names and bytes of a zip or folder. Made by `open_archive`.

    Attributes:
        where: the zip, folder or file, for sentences.
        names: members in order, "/" between folders, NFC; folders, links and hidden files are left out.
    """

    def __init__(self, where: Path, names: list[str], limits: Limits) -> None:
        self.where = where
        self.names = sorted(names)
        self.limits = limits
        self._total_bytes = 0

    def opened(self, name: str) -> tuple[IO[bytes], int]:
        """The open member, and its compressed size."""
        raise NotImplementedError

    def refused(self, name: str, problem: str) -> CorpusError:
        """The error for one member. `problem` says what is wrong and what to do: two sentences."""
        place = self.where / name if self.where.is_dir() else f"{name} in {self.where}"
        if self.where.name == name:
            place = str(self.where)
        return CorpusError(f"{place} {problem}")

    @contextlib.contextmanager
    def stream(self, name: str, limit_bytes: int) -> Iterator[IO[bytes]]:
        """A member to read piece by piece.

        Raises:
            CorpusError: damaged, larger than the limit, or a bomb; also while it is read.
        """
        with self._translated(name):
            file, compressed = self.opened(name)
            with file:
                yield io.BufferedReader(_Counted(self, name, file, compressed, limit_bytes))

    def read(self, name: str, limit_bytes: int) -> bytes:
        """A whole member. Raises as `stream`."""
        parts = []
        with self.stream(name, limit_bytes) as file:
            while part := file.read(_CHUNK_BYTES):
                parts.append(part)
        return b"".join(parts)

    def text(self, name: str, limit_bytes: int) -> str:
        """A member as text.

        Raises:
            CorpusError: as `stream`, or it is neither UTF-8 nor marked as UTF-16.
        """
        raw = self.read(name, limit_bytes)
        marked = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
        try:
            return raw.decode("utf-16" if marked else "utf-8-sig")
        except UnicodeDecodeError as err:
            raise self.refused(
                name,
                f"is not UTF-8 text (byte {err.start}). If you edited it, save it as UTF-8, "
                "else download the export again.",
            ) from err

    def json(self, name: str, limit_bytes: int, shape: TypeAdapter[Shape]) -> Shape:
        """A member that is JSON of a known shape. Raises CorpusError, also where the shape differs."""
        return self.json_from(name, self.text(name, limit_bytes), shape)

    def json_from(self, name: str, text: str, shape: TypeAdapter[Shape]) -> Shape:
        """The same from text that was read already."""
        try:
            value = json.loads(text)
            if "\\ud" in text or "\\uD" in text:
                value = _whole_characters(value)
            return shape.validate_python(value)
        except ValidationError as err:
            first = err.errors(include_url=False, include_context=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "its root"
            problem = f"at {place}: {first['msg'][:_TOO_DEEP_FOR_SENTENCES]}"
        except (ValueError, RecursionError) as err:
            problem = str(err)[:_TOO_DEEP_FOR_SENTENCES]
        raise self.refused(
            name,
            f"is not the JSON that such an export has ({problem}). "
            "Download the export again, and don't edit it.",
        )

    @contextlib.contextmanager
    def _translated(self, name: str) -> Iterator[None]:
        try:
            yield
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as err:
            raise self.refused(
                name, f"is damaged ({err}). Download the export again, and check its size."
            ) from err
        except (NotImplementedError, RuntimeError) as err:
            raise self.refused(
                name, f"can't be read ({err}). Unpack the archive and put its folder into `path`."
            ) from err
        except OSError as err:
            raise self.refused(
                name, f"can't be read ({err.strerror or err}). Check the file and its permissions."
            ) from err

    def count(
        self, name: str, size: int, read_bytes: int, compressed: int, limit_bytes: int
    ) -> None:
        """Note `size` more bytes of a member. Raises CorpusError when anything becomes too much."""
        self._total_bytes += size
        if read_bytes > limit_bytes:
            raise self.refused(
                name,
                f"is larger than {limit_bytes // MEGABYTE:,} MB, which no such file of an export is. "
                "Check that `path` names the right archive.",
            )
        ratio = read_bytes / max(compressed, 1)
        if read_bytes > self.limits.ratio_from_bytes and ratio > self.limits.ratio:
            raise self.refused(
                name,
                f"swells to more than {self.limits.ratio} times its packed size, as a zip bomb does. "
                "If you trust it, unpack it yourself and put the folder's path into `path`.",
            )
        if self._total_bytes > self.limits.total_bytes:
            raise CorpusError(
                f"{self.where} holds more than {self.limits.total_bytes // MEGABYTE:,} MB to read. "
                "Unpack the part that is wanted and put its folder's path into `path`."
            )


class _Counted(io.RawIOBase):
    """A stream that counts what went through it."""

    def __init__(
        self, archive: Archive, name: str, file: IO[bytes], compressed: int, limit_bytes: int
    ) -> None:
        self._archive = archive
        self._name = name
        self._file = file
        self._compressed = compressed
        self._limit_bytes = limit_bytes
        self._read_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._file.read(len(buffer))
        buffer[: len(part)] = part
        self._read_bytes += len(part)
        self._archive.count(
            self._name, len(part), self._read_bytes, self._compressed, self._limit_bytes
        )
        return len(part)


def _whole_characters(value: Any) -> Any:
    """JSON can spell half a character ("\\ud83d"), which no text file can hold."""
    if isinstance(value, str):
        return _HALF_CHARACTER.sub("\ufffd", value)
    if isinstance(value, list):
        return [_whole_characters(item) for item in value]
    if isinstance(value, dict):
        return {_whole_characters(key): _whole_characters(item) for key, item in value.items()}
    return value
