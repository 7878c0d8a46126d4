"""Files that people hand over as a persona's writing: which are taken, under which name, and what they are.

In: a name and a file. Out: texts in UTF-8 below a folder, or the word that it is an export of a known kind,
which is kept as it is. What comes from a browser may come from anywhere: names can't leave the folder, what
unpacks is counted while it unpacks, and what can't be read later is refused now, with what to do instead.
"""

from __future__ import annotations

import codecs
import contextlib
import re
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from personae.errors import UploadRefused
from personae.files import write_atomic

TEXTS = {".txt", ".text", ".md", ".markdown", ".html", ".htm", ".xhtml"}
BOOKS = {".epub"}
READABLE = TEXTS | BOOKS

ExportKind = Literal[
    "wordpress", "x_archive", "medium", "substack", "slack_export", "discord_export"
]

PIECEWISE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Ways to pack a member of a zip that unpack piece by piece. Python unpacks what it has read of others at
once, whatever that swells to."""

_MEGABYTE = 1 << 20
_MOST_TEXT_BYTES = 50 * _MEGABYTE
_MOST_BOOK_BYTES = 200 * _MEGABYTE
_MOST_MEMBERS = 50_000
_MOST_PARTS = 8
_PART_BYTES = 150
_HEAD_BYTES = 64 << 10
_CHUNK_BYTES = 1 << 20

_BY_MEMBERS: Sequence[tuple[ExportKind, re.Pattern[str]]] = (
    ("slack_export", re.compile(r"(?:^|/)channels\.json$")),
    ("discord_export", re.compile(r"(?:^|/)messages/c?\d{1,20}/messages\.(?:json|csv)$", re.I)),
    ("x_archive", re.compile(r"(?:^|/)data/tweets?(?:-part\d+)?\.js$")),
    ("substack", re.compile(r"(?:^|/)posts\.csv$")),
    ("medium", re.compile(r"(?:^|/)posts/(?:\d{4}-\d{2}-\d{2}|draft)_[^/]*\.html?$")),
)
_WORDPRESS = re.compile(rb"https?://wordpress\.org/export/1\.")


def safe_name(name: str) -> str:
    """A path below a folder, with "/" between its parts.

    Raises:
        UploadRefused: it points elsewhere, or nobody could type it.

    >>> safe_name("C:\\\\essays\\\\On tea.txt")
    'essays/On tea.txt'
    """
    plain = unicodedata.normalize("NFC", name.replace("\\", "/"))
    plain = re.sub(r"^[A-Za-z]:", "", plain)
    parts = [part.strip() for part in plain.split("/") if part.strip() not in ("", ".")]
    if not parts or ".." in parts or not "".join(parts).isprintable():
        raise UploadRefused("This is no name for a file. Rename it.")
    if any(part.startswith(".") or part == "__MACOSX" for part in parts):
        raise UploadRefused("Hidden files are passed over.")
    if len(parts) > _MOST_PARTS or any(len(part.encode()) > _PART_BYTES for part in parts):
        raise UploadRefused("The name is too long, or in too many folders. Shorten it.")
    return "/".join(parts)


def lay_text(source: Path, place: Path) -> str | None:
    """Put a text or a book to the writing, texts as UTF-8. A note where its letters had to be guessed.

    Raises:
        UploadRefused: it is no text, or too large.
    """
    size = source.stat().st_size
    if place.suffix.lower() in BOOKS:
        _refuse_larger(size, _MOST_BOOK_BYTES)
        if not zipfile.is_zipfile(source):
            raise UploadRefused("This is no whole EPUB book. Download it again.")
        place.parent.mkdir(parents=True, exist_ok=True)
        source.replace(place)
        return None
    _refuse_larger(size, _MOST_TEXT_BYTES)
    text, note = _decoded(source.read_bytes())
    write_atomic(place, text)
    return note


def _decoded(raw: bytes) -> tuple[str, str | None]:
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return raw.decode("utf-16"), None
        except UnicodeDecodeError as err:
            raise UploadRefused("This text is damaged. Save it as UTF-8.") from err
    if b"\0" in raw:
        raise UploadRefused("This is no text, whatever its name says.")
    try:
        return raw.decode("utf-8-sig"), None
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace"), "was no UTF-8 and was read as Windows-1252"


def export_kind(path: Path, name: str) -> ExportKind | None:
    """Which export a file is, by what is in it; None for none that is known.

    Raises:
        UploadRefused: a zip that can't be read.
    """
    suffix = Path(name).suffix.lower()
    if suffix == ".xml":
        with path.open("rb") as file:
            return "wordpress" if _WORDPRESS.search(file.read(_HEAD_BYTES)) else None
    if suffix != ".zip":
        return None
    with opened_zip(path) as archive:
        names = list(map(member_name, archive.infolist()))
        for kind, sign in _BY_MEMBERS:
            if any(sign.search(member) for member in names):
                return kind
        for member in archive.infolist():
            if member.filename.lower().endswith(".xml") and _is_wordpress(archive, member):
                return "wordpress"
    return None


def _is_wordpress(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    if member.compress_type not in PIECEWISE:
        return False
    try:
        with archive.open(member) as file:
            return _WORDPRESS.search(file.read(_HEAD_BYTES)) is not None
    except (RuntimeError, OSError, zipfile.BadZipFile, zlib.error, EOFError):
        return False


def opened_zip(path: Path) -> zipfile.ZipFile:
    """
    Raises:
        UploadRefused: it is none, it has far too many members, or a password.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as err:
        raise UploadRefused("This is no whole zip file. Make it or download it again.") from err
    members = archive.infolist()
    if len(members) > _MOST_MEMBERS:
        archive.close()
        raise UploadRefused(f"This zip has more than {_MOST_MEMBERS:,} files. Send it in parts.")
    if any(member.flag_bits & 0x1 for member in members):
        archive.close()
        raise UploadRefused("This zip has a password. Send it without.")
    return archive


def member_name(member: zipfile.ZipInfo) -> str:
    """A member's name with "/" between folders; UTF-8 where the packer forgot to say so, as many do."""
    name = member.orig_filename.split("\0", 1)[0]
    if not member.flag_bits & 0x800:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def unpacked_texts(path: Path, scratch: Path, *, most_bytes: int) -> Iterator[tuple[str, Path]]:
    """(name, file in `scratch`) of each text and book in a zip. Other files and links are passed over.

    Raises:
        UploadRefused: nothing readable is in it, a member points out of it, it is damaged, or it unpacks to
            more than `most_bytes`.
    """
    left = most_bytes
    found = False
    with opened_zip(path) as archive:
        for number, member in enumerate(archive.infolist()):
            if member.is_dir() or stat.S_ISLNK(member.external_attr >> 16):
                continue
            told = member_name(member)
            if ".." in told.split("/"):
                raise UploadRefused("This zip has a file that points out of it. Don't use it.")
            if Path(told).suffix.lower() not in READABLE:
                continue
            try:
                name = safe_name(told)
            except UploadRefused:
                continue
            place = scratch / f"member-{number}"
            left -= _copied(archive, member, place, most_bytes=left)
            found = True
            yield name, place
    if not found:
        raise UploadRefused(
            "Nothing in this zip can be read as writing: no .txt, .md, .html or .epub, and it is no export "
            "that is known here (WordPress, Medium, Substack, X, Slack, Discord)."
        )


def _copied(archive: zipfile.ZipFile, member: zipfile.ZipInfo, to: Path, *, most_bytes: int) -> int:
    if member.compress_type not in PIECEWISE:
        raise UploadRefused("This zip is packed in an unusual way. Pack it again as a plain zip.")
    done = 0
    try:
        with archive.open(member) as file, to.open("wb") as out:
            while chunk := file.read(_CHUNK_BYTES):
                done += len(chunk)
                if done > most_bytes:
                    raise UploadRefused("This zip unpacks to more than there is room for.")
                out.write(chunk)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as err:
        raise UploadRefused(f"This zip is damaged ({member_name(member)[:100]}).") from err
    return done


def _refuse_larger(size: int, most_bytes: int) -> None:
    if size > most_bytes:
        raise UploadRefused(
            f"{size >> 20:,} MB is more than a text has; {most_bytes >> 20} MB are taken. Send it in parts."
        )
