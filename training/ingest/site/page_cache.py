"""What was fetched, on disk, so that a killed crawl goes on and a finished one asks only for what changed.

One file for each address, `pages/<2 digits>/<sha256>.page` (`lists/` for sitemaps and feeds): a line of JSON
(`Stored`) and the body. It is written at once, so a file that is there is whole. A crawl of the whole site is
a round; pages carry the number of the round in which they were last asked for, `crawl.json` that of the last
round that was finished. In: answers. Out: the same answers, later. Decides nothing about them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from personae.files import write_atomic

RESULT = "crawl.json"


class Stored(BaseModel):
    """What is known of an address. Without a body it is a redirect, or was left out for a reason."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str
    status: int
    round: int
    """In which it was last asked for."""
    first_round: int
    fetched_at: str
    """When its body came."""
    redirect_to: str | None = None
    left_out: str | None = None
    unchanged: bool = False
    """The site said so (304) in this round."""
    kept: bool = False
    """The site did not answer in this round; the body is from an earlier one."""
    was_page: bool = False
    """In the round before it was a page, whatever it is now."""
    content_type: str = ""
    robots_tag: str = ""
    etag: str = ""
    last_modified: str = ""
    wire_bytes: int = 0
    body_bytes: int = 0

    @property
    def is_page(self) -> bool:
        return self.left_out is None and self.redirect_to is None and self.status == 200

    @property
    def gone(self) -> bool:
        return self.was_page and self.status in (404, 410)

    @property
    def is_html(self) -> bool:
        return not self.content_type.lower().startswith("text/plain")


class PageCache:
    """One folder of them: `<cache>/pages` or `<cache>/lists`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, address: str) -> Stored | None:
        """None where it was never fetched, or the disk damaged it."""
        return _whole(self._path(address))

    def body(self, address: str) -> bytes:
        _line, _newline, body = self._path(address).read_bytes().partition(b"\n")
        return body

    def write(self, stored: Stored, body: bytes = b"") -> Stored:
        """Keep it, body and all, at once.

        Raises:
            DiskFull: what was there before still is.
        """
        kept = stored.model_copy(update={"body_bytes": len(body)})
        write_atomic(self._path(kept.address), kept.model_dump_json().encode() + b"\n" + body)
        return kept

    def all(self) -> Iterator[Stored]:
        for path in sorted(self._folder.glob("*/*.page")):
            stored = _whole(path)
            if stored is not None:
                yield stored

    def remove_leftovers(self) -> None:
        """Delete what a killed process was writing."""
        for path in self._folder.glob("*/.*.page.*"):
            path.unlink(missing_ok=True)

    def _path(self, address: str) -> Path:
        name = hashlib.sha256(address.encode()).hexdigest()
        return self._folder / name[:2] / f"{name}.page"


def _whole(path: Path) -> Stored | None:
    try:
        with path.open("rb") as file:
            line = file.readline()
            stored = Stored.model_validate_json(line)
        whole = path.stat().st_size == len(line) + stored.body_bytes
    except (FileNotFoundError, ValidationError):
        return None
    return stored if whole else None
