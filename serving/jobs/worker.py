"""The process of one job: runs its commands, keeps its record and its log, ends when it is told to.

Run as: python -m serving.jobs.worker <home>/jobs/<id>.json

It has a session of its own, so it lives on when the gateway ends; its commands end with it. When a file
<id>.stop appears it interrupts them (they go on where they stopped when they are started again), and makes
them end if that does not help. Values of secrets in its environment never reach the log.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

from serving.jobs.commands import is_secret
from serving.jobs.record import (
    HEARTBEAT_SECONDS,
    JobRecord,
    beat,
    log_of,
    now,
    read_record,
    start_time,
    stop_of,
    this_host,
    write_record,
)

_NICE = 10
_LOOK_SECONDS = 0.3
_PATIENCE_SECONDS = ((signal.SIGINT, 60.0), (signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))
_STRUCK_OUT = "•••"
_SHORTEST_SECRET = 6
_PR_SET_PDEATHSIG = 1


def main() -> None:
    path = Path(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    record = read_record(path)
    if record.ended_at is not None:
        return  # it came so late that it was given up
    mine = {"host": this_host(), "pid": os.getpid(), "pid_started": start_time(os.getpid())}
    record = record.model_copy(update=mine)
    write_record(path, record)
    with log_of(path).open("ab", buffering=0) as log:
        try:
            outcome = _run(path, record, log)
        except _Ended:
            outcome = {"state": "stopped", "message": _AGAIN}
        write_record(path, record.model_copy(update={**outcome, "ended_at": now()}))
    stop_of(path).unlink(missing_ok=True)


_AGAIN = "Start it again: it goes on where it stopped."


class _Ended(BaseException):
    """Somebody ends this worker, the machine for example."""


def _end(number: int, frame: object) -> None:
    raise _Ended


def _run(path: Path, record: JobRecord, log: IO[bytes]) -> dict[str, str]:
    """Run all commands; gives the state and message they ended with."""
    for command in record.commands:
        log.write(f"$ personae {' '.join(_typed(command))}\n".encode())
        code, stopped = _run_one(path, record, command, log)
        if stopped:
            return {"state": "stopped", "message": _AGAIN}
        if code != 0:
            return {"state": "failed", "message": _why(code, log_of(path))}
    return {"state": "done"}


def _typed(command: list[str]) -> list[str]:
    """The command as a person would type it."""
    return command[command.index("personae.cli") + 1 :] if "personae.cli" in command else command


def _run_one(path: Path, record: JobRecord, command: list[str], log: IO[bytes]) -> tuple[int, bool]:
    """(exit code, whether somebody wanted it to end) of one command."""
    process = subprocess.Popen(
        command,
        cwd=record.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=_ends_with_its_worker,
    )
    assert process.stdout is not None
    copying = threading.Thread(target=_copied, args=(process.stdout, log), daemon=True)
    copying.start()
    stopped = False
    last_beat = 0.0
    try:
        while process.poll() is None:
            if time.monotonic() - last_beat > HEARTBEAT_SECONDS:
                last_beat = time.monotonic()
                beat(path)
            if stop_of(path).exists():
                stopped = True
                log.write(b"Stopping.\n")
                _made_to_end(process, path)
                break
            time.sleep(_LOOK_SECONDS)
    except _Ended:
        _made_to_end(process, path)
        raise
    finally:
        _signalled(process, signal.SIGKILL)  # helpers of a command that ended must not outlive it
        process.wait()
        copying.join(timeout=5)
    return process.returncode, stopped


def _ends_with_its_worker() -> None:
    """Runs in the child before exec: Linux interrupts it when we are gone, however we went."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def _made_to_end(process: subprocess.Popen[bytes], path: Path) -> None:
    for number, seconds in _PATIENCE_SECONDS:
        _signalled(process, number)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(OSError):
                beat(path)  # its patience is longer than others wait for a heartbeat
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=min(left, HEARTBEAT_SECONDS))
                return


def _signalled(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _copied(output: IO[bytes], log: IO[bytes]) -> None:
    """Lines of the command to the log, without the values of secrets."""
    secrets = sorted(
        (
            value.encode()
            for name, value in os.environ.items()
            if is_secret(name) and len(value) >= _SHORTEST_SECRET
        ),
        key=len,
        reverse=True,
    )
    with output:
        for line in output:
            for secret in secrets:
                line = line.replace(secret, _STRUCK_OUT.encode())
            log.write(line)


def _why(code: int, log: Path) -> str:
    """What a failed command said last, or how it died."""
    lines = log.read_bytes()[-16_384:].decode("utf-8", errors="replace").splitlines()
    said = [number for number, line in enumerate(lines) if line.startswith("Error: ")]
    if code < 0:
        how = signal.Signals(-code).name
        memory = " Perhaps the memory was full." if how == "SIGKILL" else ""
        return f"It was ended by the system ({how}).{memory} {_AGAIN}"
    if said:
        return "\n".join(lines[said[-1] :])[len("Error: ") :][:2000]
    return f"It ended with code {code}; its log says why."


if __name__ == "__main__":
    main()
