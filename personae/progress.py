"""How long work tells how far it is. The command line draws it; tests and services may ignore it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called often with what is being done and how much of it is done.

    Args:
        doing: a short phrase, the same for all the calls of one stage ("embedding passages").
        done: units done so far.
        total: units in all, or None where that is unknown.
    """

    def __call__(self, doing: str, done: float, total: float | None) -> None: ...


def silent(doing: str, done: float, total: float | None) -> None:
    """Progress nobody watches."""
