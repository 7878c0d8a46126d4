"""Opening a downloaded archive: a zip, a folder, or a single file of one.

In: a path. Out: an `Archive`. One that contains what no export contains (members that point out of it,
encrypted ones, far too many) is refused as a whole. Links, hidden files and what macOS adds are passed
over; a zip in a zip is a member like any other and is never opened.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from personae.errors import CorpusError
from personae.uploads import PIECEWISE, member_name
from training.ingest.archive import Archive, Limits

_JUNK = re.compile(r"(?:^|/)(?:__MACOSX/|\.)")
_DRIVE = re.compile(r"^[A-Za-z]:")


class _Zip(Archive):
    def __init__(self, where: Path, file: zipfile.ZipFile, limits: Limits) -> None:
        self._file = file
        self._members: dict[str, zipfile.ZipInfo] = {}
        self._twice: set[str] = set()
        members = file.infolist()
        if len(members) > limits.members:
            raise CorpusError(
                f"{where} has {len(members):,} members, more than the {limits.members:,} an export has. "
                "Unpack the part that is wanted and put its folder's path into `path`."
            )
        for member in members:
            name = _name_of(member, where)
            if member.flag_bits & 0x1:
                raise CorpusError(
                    f"{where} is encrypted ({name}). Unpack it with its password and put the folder's "
                    "path into `path`."
                )
            if member.is_dir() or stat.S_ISLNK(member.external_attr >> 16) or _JUNK.search(name):
                continue
            if name in self._members:
                self._twice.add(name)
            self._members[name] = member
        super().__init__(where, list(self._members), limits)

    def opened(self, name: str) -> tuple[IO[bytes], int]:
        if name in self._twice:
            raise self.refused(
                name,
                "is in the archive twice, so that nobody can say which one counts. Unpack the archive, "
                "keep the right one, and put the folder's path into `path`.",
            )
        member = self._members[name]
        if member.compress_type not in PIECEWISE:
            raise self.refused(
                name,
                "is packed in an unusual way. Unpack the archive and put the folder's path into `path`.",
            )
        return self._file.open(member), member.compress_size


class _Folder(Archive):
    def __init__(self, where: Path, root: Path, names: list[str], limits: Limits) -> None:
        super().__init__(where, names, limits)
        self._root = root
        self._paths = {unicodedata.normalize("NFC", name): name for name in names}
        self.names = sorted(self._paths)

    def opened(self, name: str) -> tuple[IO[bytes], int]:
        path = self._root / self._paths[name]
        return path.open("rb"), path.stat().st_size


def _name_of(member: zipfile.ZipInfo, where: Path) -> str:
    """A member's path within the export.

    Raises:
        CorpusError: it would be outside.
    """
    name = member_name(member)
    while name.startswith("./"):
        name = name[2:]
    if name.startswith("/") or _DRIVE.match(name) or ".." in name.split("/"):
        raise CorpusError(
            f'{where} has a member that points out of it ("{name[:100]}"), which no export does. '
            "Don't use this archive; download the export again."
        )
    return name


def _files_below(folder: Path, limits: Limits) -> Iterator[str]:
    """Plain files below a folder, as paths within it. Links are not followed, hidden ones not listed."""
    count = 0

    def unreadable(err: OSError) -> None:
        raise CorpusError(
            f"The folder {err.filename} can't be read ({err.strerror}). Check its permissions."
        ) from err

    for root, folders, files in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        for file in sorted(files):
            path = Path(root) / file
            if file.startswith(".") or not stat.S_ISREG(path.lstat().st_mode):
                continue
            count += 1
            if count > limits.members:
                raise CorpusError(
                    f"{folder} has more than {limits.members:,} files. "
                    "Put the path of the export's own folder into `path`."
                )
            yield path.relative_to(folder).as_posix()


@contextlib.contextmanager
def open_archive(
    path: Path, what: str, *, files: tuple[str, ...] = (), limits: Limits | None = None
) -> Iterator[Archive]:
    """Open a zip, a folder, or a single file.

    Args:
        what: the kind of export, for sentences ("a Slack export").
        files: suffixes a single file may have, in small letters (".xml").

    Raises:
        CorpusError: there is no such path, or it is none of the three, or a zip that is not to be read.
    """
    limits = limits or Limits()
    if path.is_dir():
        yield _Folder(path, path, list(_files_below(path, limits)), limits)
    elif path.is_file() and path.suffix.lower() in files:
        yield _Folder(path, path.parent, [path.name], limits)
    elif path.is_file():
        with _zip_file(path, what, files) as file:
            yield _Zip(path, file, limits)
    else:
        raise CorpusError(
            f"{path} does not exist. Download {what} and put its path into `path` of the source."
        )


def _zip_file(path: Path, what: str, files: tuple[str, ...]) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as err:
        single = f", nor one of its files ({', '.join(files)})" if files else ""
        raise CorpusError(
            f"{path} is not {what}: neither a whole zip nor a folder{single} ({err}). "
            "Download it again, and check its size."
        ) from err


def located(path: str, persona_folder: Path) -> Path:
    """The place a source names; a relative path counts from the persona's folder.

    Raises:
        CorpusError: it begins with the home folder ("~ada") of nobody here, or is no path.
    """
    try:
        place = persona_folder / Path(path).expanduser()
        place.exists()
    except (OSError, RuntimeError, ValueError) as err:
        raise CorpusError(
            f"{path[:200]} can't be looked up ({err}). Correct `path` of the source."
        ) from err
    return place
