"""What a job runs: commands of the command line, with the gateway's configuration and hardly any of its
secrets.

In: a kind, a persona, the configuration. Out: programs with arguments, and an environment. Secrets are told
by the names of their variables; a job gets those it can need (to fetch a gated model, to have samples
written), and its worker strikes their values out of the log.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import personae
from personae.config import Config
from personae.creation_wire import JobKind

_SECRET = re.compile(
    r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|DATABASE|DSN|COOKIE|AUTH|SIGNATURE", re.IGNORECASE
)
_NEEDED: Mapping[JobKind, frozenset[str]] = {
    "ingest": frozenset(),
    "index": frozenset({"HF_TOKEN"}),
    "prepare": frozenset({"HF_TOKEN"}),
    "plan": frozenset({"HF_TOKEN", "PERSONAE_SYNTHESIS_KEY"}),
    "train": frozenset({"HF_TOKEN", "PERSONAE_SYNTHESIS_KEY"}),
}
TRAININGS: frozenset[JobKind] = frozenset({"plan", "train"})
"""Kinds that take the whole machine: one of them at a time."""


def is_secret(variable: str) -> bool:
    return _SECRET.search(variable) is not None


def commands_of(
    kind: JobKind, persona: str, config: Config, *, steps: int | None
) -> list[list[str]]:
    """The programs of a job, in order."""
    chosen = ["--steps", str(steps)] if steps is not None else []
    asked: Mapping[JobKind, list[list[str]]] = {
        "ingest": [["corpus", "ingest", persona]],
        "index": [["index", "build", persona]],
        "prepare": [["corpus", "ingest", persona], ["index", "build", persona]],
        "plan": [["train", "plan", persona, *chosen]],
        "train": [["train", "run", persona, *chosen]],
    }
    front = [sys.executable, "-m", "personae.cli", "--profile", config.profile]
    if config.file is not None:
        front += ["--config", str(config.file.absolute())]
    return [[*front, *arguments] for arguments in asked[kind]]


def environment_of(kind: JobKind, config: Config, environment: Mapping[str, str]) -> dict[str, str]:
    """The gateway's environment without secrets that this kind of job does not need."""
    kept = {
        name: value
        for name, value in environment.items()
        if not is_secret(name) or name in _NEEDED[kind]
    }
    here = str(Path(personae.__file__).parent.parent.absolute())
    path = kept.get("PYTHONPATH", "").split(os.pathsep)
    kept["PYTHONPATH"] = os.pathsep.join([here, *(part for part in path if part and part != here)])
    kept["PERSONAE_HOME"] = str(config.home.absolute())
    kept["PYTHONUNBUFFERED"] = "1"
    return kept
