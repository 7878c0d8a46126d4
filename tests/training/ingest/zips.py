"""Archives made in a test's own folder: zips of text files, and exports damaged in every way."""

from __future__ import annotations

import zipfile
from pathlib import Path


def zip_of(path: Path, files: dict[str, str | bytes]) -> Path:
    """A zip with these members."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return path


def folder_of(path: Path, files: dict[str, str | bytes]) -> Path:
    """A folder with these files."""
    for name, content in files.items():
        place = path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
