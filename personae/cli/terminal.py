"""What the terminal shows: progress of long work, sources below an answer, results as JSON or words."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence

import click
from pydantic import BaseModel
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from personae.progress import Progress
from personae.wire import Citation, Span

_PLAIN_EVERY_SECONDS = 10.0
_SAID = {"quote": "quoted", "paraphrase": "paraphrased"}


@contextlib.contextmanager
def shown_progress() -> Iterator[Progress]:
    """Progress as a bar on a terminal, and as a line now and then elsewhere (logs, CI)."""
    if not sys.stderr.isatty():
        yield _plain()
        return
    bar = RichProgress(
        TextColumn("  {task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
    tasks: dict[str, TaskID] = {}

    def show(doing: str, done: float, total: float | None) -> None:
        if doing not in tasks:
            tasks[doing] = bar.add_task(doing, total=total)
        bar.update(tasks[doing], completed=done, total=total)

    with bar:
        yield show


def _plain() -> Progress:
    last: dict[str, float] = {}

    def show(doing: str, done: float, total: float | None) -> None:
        now = time.monotonic()
        finished = total is not None and done >= total
        if doing in last and not finished and now - last[doing] < _PLAIN_EVERY_SECONDS:
            return
        last[doing] = now
        share = f" {done / total:4.0%}" if total else ""
        click.echo(f"  {doing}{share}", err=True)

    return show


def say(text: str) -> None:
    """A line about what is being done, on stderr, so that results alone stand on stdout."""
    click.echo(text, err=True)


def print_json(model: BaseModel | Sequence[BaseModel]) -> None:
    """The result of a command for programs."""
    if isinstance(model, BaseModel):
        click.echo(model.model_dump_json(indent=2))
    else:
        click.echo("[" + ",\n".join(item.model_dump_json(indent=2) for item in model) + "]")


def sources(citations: Sequence[Citation], provenance: Sequence[Span] = ()) -> list[str]:
    """Lines below an answer: numbers, title, date, link, and whether the text quotes or paraphrases it;
    passages of one page share a line.

    >>> sources([])
    []
    """
    numbers: dict[tuple[str, str, str], list[int]] = {}
    for citation in citations:
        page = (citation.title, citation.date, citation.url)
        numbers.setdefault(page, []).append(citation.number)
    lines = []
    for (title, date, url), cited in numbers.items():
        marks = "".join(f"[{number}]" for number in cited)
        kinds = {span.kind for span in provenance if span.citation in cited}
        how = ", ".join(said for kind, said in _SAID.items() if kind in kinds)
        line = f"{marks} {title}{f' ({date})' if date else ''}{f'  {url}' if url else ''}"
        lines.append(f"{line}  ({how})" if how else line)
    return lines
