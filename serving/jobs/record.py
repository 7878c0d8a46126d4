"""A job's state on disk: written whole, by one process at a time, and enough to tell whether it still lives.

    <home>/jobs/ada-train-20261121T204500-1f3a.json   the record; changed at every heartbeat of the worker
                                              .log    what the commands said
                                              .stop   is there when somebody wants it to end

First the gateway writes the record, then the worker alone. A record that says "running" without a living
worker is told by pid and start time on this host; elsewhere, or without a start time, by the heartbeat.
"""

from __future__ import annotations

import os
import platform
import re
import time
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from personae.creation_wire import Job, JobKind, JobState
from personae.errors import InternalError, UnknownJob
from personae.files import write_atomic

HEARTBEAT_SECONDS = 5.0
_SILENT_SECONDS = 60.0
"""Without a heartbeat for so long a worker elsewhere is gone, and one that was just started never came."""
_TAIL_BYTES = 4096
_LINE_CHARACTERS = 300
_ID = re.compile(r"^[a-z0-9_-]{1,100}(?:T[0-9]{6}-[0-9a-f]{4})$")


class JobRecord(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    persona: str
    kind: JobKind
    state: JobState
    started_at: str
    ended_at: str | None = None
    message: str | None = None
    commands: list[list[str]]
    """Programs with their arguments, run one after the other."""
    folder: str
    """Where they run."""
    host: str = ""
    pid: int | None = None
    pid_started: int | None = None
    """The kernel's start time of that process: a pid alone is given away again."""


def job_path(jobs: Path, job_id: str) -> Path:
    """
    Raises:
        UnknownJob: no job can be called so.
    """
    if not _ID.match(job_id):
        raise UnknownJob(f'There is no job "{job_id[:100]}".')
    return jobs / f"{job_id}.json"


def read_record(path: Path) -> JobRecord:
    """
    Raises:
        UnknownJob, InternalError: it is not there; it is damaged.
    """
    try:
        return JobRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError as err:
        raise UnknownJob(f'There is no job "{path.stem}".') from err
    except (OSError, ValidationError) as err:
        raise InternalError(f"The record of the job {path.stem} can't be read.") from err


def write_record(path: Path, record: JobRecord) -> None:
    write_atomic(path, record.model_dump_json(indent=1) + "\n", mode=0o600)


def log_of(path: Path) -> Path:
    return path.with_suffix(".log")


def stop_of(path: Path) -> Path:
    return path.with_suffix(".stop")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def this_host() -> str:
    """A name that changes with the machine, its start, and (by the host name) the container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        boot = ""
    return f"{platform.node()}/{boot}"


def start_time(pid: int) -> int | None:
    """When a living process began, in the kernel's ticks since boot; None if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name before may hold anything
    return None if fields[0] in "ZX" else int(fields[19])


def is_alive(path: Path, record: JobRecord) -> bool:
    """Whether a job that says it runs has a worker."""
    if record.pid is not None and record.pid_started is not None and record.host == this_host():
        return start_time(record.pid) == record.pid_started
    try:
        return time.time() - path.stat().st_mtime < _SILENT_SECONDS
    except OSError:
        return False


def beat(path: Path) -> None:
    os.utime(path)


def shown(path: Path, record: JobRecord) -> Job:
    """The job as the console sees it."""
    wanted_to_end = record.state == "running" and stop_of(path).exists()
    return Job(
        id=record.id,
        persona=record.persona,
        kind=record.kind,
        state="stopping" if wanted_to_end else record.state,
        started_at=record.started_at,
        ended_at=record.ended_at,
        last_line=last_line(log_of(path)),
        message=record.message,
    )


def last_line(log: Path) -> str:
    """The newest line that says something."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            lines = file.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    said = [line.strip() for line in lines if line.strip()]
    return said[-1][:_LINE_CHARACTERS] if said else ""
