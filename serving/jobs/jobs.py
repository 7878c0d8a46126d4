"""The jobs of a home: start them, list them, read what they say, stop them.

In: the configuration. State is on disk alone (serving.jobs.record), so a gateway that was started again, or
another replica over the same home, sees the same jobs. All calls block for a moment: use them in a thread.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from personae.config import Config
from personae.creation_wire import Job, JobKind, JobLog
from personae.errors import InternalError, JobRefused, PersonaeError
from personae.files import disk_errors, one_at_a_time
from serving.jobs.commands import TRAININGS, commands_of, environment_of
from serving.jobs.record import (
    JobRecord,
    is_alive,
    job_path,
    log_of,
    now,
    read_record,
    shown,
    stop_of,
    write_record,
)

log = logging.getLogger(__name__)

_LOCK = ".lock"
_STAMP_CHARACTERS = len("20261121T204500-1f3a")
_KEPT = 200
"""Jobs that are remembered; older ones go when a new one starts."""
_LOG_BYTES = 256 << 10
"""Of a log at once."""


class Jobs:
    """
    Args:
        environment: of this process; jobs get it without most of its secrets.
    """

    def __init__(self, config: Config, *, environment: Mapping[str, str] = os.environ) -> None:
        self._config = config
        self._folder = config.jobs
        self._environment = environment
        self._children: set[int] = set()
        """Workers started here, to be reaped."""

    def start(self, persona: str, kind: JobKind, *, steps: int | None = None) -> Job:
        """Begin a job. It is on disk before this returns.

        Raises:
            JobRefused: one of this persona runs, or a training where this is one too.
        """
        return self.begin(persona, kind, commands_of(kind, persona, self._config, steps=steps))

    def begin(self, persona: str, kind: JobKind, commands: Sequence[Sequence[str]]) -> Job:
        """Begin a job of these programs. Raises JobRefused, as `start`."""
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        job_id = f"{persona}-{kind}-{stamp}-{secrets.token_hex(2)}"
        record = JobRecord(
            id=job_id,
            persona=persona,
            kind=kind,
            state="running",
            started_at=now(),
            commands=[list(command) for command in commands],
            folder=str(self._config.folder.absolute()),
        )
        path = job_path(self._folder, job_id)
        one_starter = one_at_a_time(self._folder / _LOCK, tell=log.warning)
        with one_starter, disk_errors(self._folder, f"starting {kind} of {persona}"):
            self._require_free(persona, kind)
            self._forget_oldest()
            write_record(path, record)
            try:
                self._spawn(path, kind)
            except OSError:  # no memory or no process left; the persona is free at once
                path.unlink()
                raise
        log.info("job %s started", job_id)
        return shown(path, record)

    def all(self, persona: str | None = None) -> list[Job]:
        """Newest first."""
        self._reap()
        found = [
            self._looked_at(path)
            for path in self._paths()
            if persona is None or path.name.startswith(f"{persona}-")
        ]
        return [
            shown(path, record)
            for path, record in found
            if record is not None and persona in (None, record.persona)
        ]

    def one(self, job_id: str) -> Job:
        """
        Raises:
            UnknownJob
        """
        self._reap()
        path = job_path(self._folder, job_id)
        read_record(path)
        _path, record = self._looked_at(path)
        if record is None:
            raise InternalError(f"The record of the job {job_id} can't be read.")
        return shown(path, record)

    def require_none(self, persona: str) -> None:
        """
        Raises:
            JobRefused: one of this persona runs, so its folders have to stay where they are.
        """
        running = [job for job in self.all(persona) if job.ended_at is None]
        if running:
            raise JobRefused(
                f"There is work on {persona} under way ({running[0].kind}). Stop it first, or wait."
            )

    def log(self, job_id: str, after: int) -> JobLog:
        """What a job said from a place on; whole lines while it runs.

        Raises:
            UnknownJob
        """
        job = self.one(job_id)
        try:
            with log_of(job_path(self._folder, job_id)).open("rb") as file:
                file.seek(max(0, after))
                said = file.read(_LOG_BYTES)
        except FileNotFoundError:
            said = b""
        if job.ended_at is None or len(said) == _LOG_BYTES:
            said = said[: said.rfind(b"\n") + 1] or (said if len(said) == _LOG_BYTES else b"")
        text = said.decode("utf-8", errors="replace")
        return JobLog(job=job, text=text, next=max(0, after) + len(said))

    def stop(self, job_id: str) -> Job:
        """Ask a job to end; one that ended already is left alone.

        Raises:
            UnknownJob
        """
        job = self.one(job_id)
        if job.ended_at is not None:
            return job
        path = job_path(self._folder, job_id)
        stop_of(path).touch(mode=0o600)
        return self.one(job_id)

    # ---- inside ----

    def _require_free(self, persona: str, kind: JobKind) -> None:
        for job in self.all():
            if job.ended_at is not None:
                continue
            if job.persona == persona:
                raise JobRefused(
                    f"There is work on {persona} under way ({job.kind}). Wait until it is done, or stop it."
                )
            if {job.kind, kind} <= TRAININGS:
                raise JobRefused(
                    f"{job.persona} is in training, which takes the whole machine. Wait until it is done, or "
                    "stop it: it goes on later where it stopped."
                )

    def _spawn(self, path: Path, kind: JobKind) -> None:
        """Start the worker, in a session of its own. (subprocess would want it to end before we do.)"""
        program = [sys.executable, "-m", "serving.jobs.worker", str(path.absolute())]
        output = (
            os.POSIX_SPAWN_OPEN,
            1,
            log_of(path),
            os.O_WRONLY | os.O_CREAT | os.O_APPEND,
            0o600,
        )
        pid = os.posix_spawn(
            sys.executable,
            program,
            environment_of(kind, self._config, self._environment),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                output,
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )
        self._children.add(pid)

    def _reap(self) -> None:
        for pid in list(self._children):
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    continue
            self._children.discard(pid)

    def _looked_at(self, path: Path) -> tuple[Path, JobRecord | None]:
        """A record; one that says "running" and has no worker is corrected on disk."""
        try:
            record = read_record(path)
            if record.ended_at is not None or is_alive(path, record):
                return path, record
            record = read_record(path)  # it may have ended well since
            if record.ended_at is not None:
                return path, record
            record = record.model_copy(
                update={
                    "state": "stopped",
                    "ended_at": now(),
                    "message": "Its process ended before it was done. Start it again: it goes on where it "
                    "stopped.",
                }
            )
            write_record(path, record)
            stop_of(path).unlink(missing_ok=True)
            return path, record
        except PersonaeError as err:
            log.warning("%s", err)
            return path, None

    def _paths(self) -> list[Path]:
        """Newest first, by the time in their names."""
        paths = self._folder.glob("*.json") if self._folder.is_dir() else ()
        return sorted(paths, key=lambda path: path.stem[-_STAMP_CHARACTERS:], reverse=True)

    def _forget_oldest(self) -> None:
        for path in self._paths()[_KEPT:]:
            _path, record = self._looked_at(path)
            if record is not None and record.ended_at is None:
                continue
            for part in (log_of(path), stop_of(path), path):
                part.unlink(missing_ok=True)
