"""Jobs are processes of their own: one a persona, stopped and found again, and silent about secrets."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from personae.config import Config, load_config
from personae.creation_wire import Job, JobKind
from personae.errors import JobRefused, UnknownJob
from personae.own_cast import OwnCast
from personae.persona_draft import PersonaDraft
from serving.jobs.commands import commands_of, environment_of
from serving.jobs.jobs import Jobs
from serving.jobs.record import (
    JobRecord,
    job_path,
    read_record,
    start_time,
    this_host,
    write_record,
)

SECRET = "a-secret-nobody-may-read"
SLEEPING = "import time; print('begun', flush=True); time.sleep(600)"
_PATIENCE_SECONDS = 100


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "personae.toml").write_text('[personae]\nprofile = "cpu-demo"\ncast = []\n')
    config = load_config({}, folder=tmp_path)
    for name in ("ada", "eve"):
        OwnCast(config).create(PersonaDraft(id=name, display_name=name.title()))
    (config.own_cast / "ada" / "writing" / "tea.txt").write_text("Tea is a plant of hills. " * 60)
    return config


@pytest.fixture
def jobs(config: Config) -> Iterator[Jobs]:
    jobs = Jobs(config, environment={**os.environ, "HF_TOKEN": SECRET, "DISCORD_TOKEN": SECRET})
    yield jobs
    for job in jobs.all():
        jobs.stop(job.id)
    until(lambda: all(job.ended_at for job in jobs.all()))


def scripted(jobs: Jobs, script: str, persona: str = "ada", kind: JobKind = "ingest") -> Job:
    """A job that runs a line of Python in place of the command line."""
    return jobs.begin(persona, kind, [[sys.executable, "-u", "-c", script]])


def until(true: Callable[[], object], *, seconds: float = _PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)


def ended(jobs: Jobs, job: Job, *, seconds: float = _PATIENCE_SECONDS) -> Job:
    until(lambda: jobs.one(job.id).ended_at, seconds=seconds)
    return jobs.one(job.id)


def begun(jobs: Jobs, job: Job) -> JobRecord:
    """The record once its command runs."""
    until(lambda: any(line.startswith("begun") for line in said(jobs, job)))
    return record(jobs, job)


def said(jobs: Jobs, job: Job) -> list[str]:
    return jobs.log(job.id, 0).text.splitlines()


def record(jobs: Jobs, job: Job) -> JobRecord:
    return read_record(job_path(jobs._folder, job.id))


def test_the_real_command_line_reads_the_writing(config, jobs):
    job = jobs.start("ada", "ingest")
    assert (job.state, job.persona, job.kind) == ("running", "ada", "ingest")
    done = ended(jobs, job)
    assert done.state == "done", jobs.log(job.id, 0).text
    assert (config.corpora / "ada" / "manifest.json").is_file()
    log = jobs.log(job.id, 0)
    assert "corpus ingest ada" in log.text.splitlines()[0] and "1 documents" in log.text
    assert jobs.log(job.id, log.next).text == ""


def test_a_failure_says_what_the_command_said(jobs):
    failed = ended(jobs, jobs.start("eve", "ingest"))
    assert failed.state == "failed"
    assert failed.message is not None and "no Markdown, text, HTML or EPUB file" in failed.message


def test_an_early_failure_keeps_later_commands_from_running(jobs):
    commands = [[sys.executable, "-c", "raise SystemExit(3)"], [sys.executable, "-c", "print('x')"]]
    failed = ended(jobs, jobs.begin("ada", "prepare", commands))
    assert failed.state == "failed" and "code 3" in (failed.message or "")
    assert jobs.log(failed.id, 0).text.count("$ ") == 1


def test_one_job_a_persona_and_one_training_at_all(jobs):
    first = scripted(jobs, SLEEPING, kind="plan")
    with pytest.raises(JobRefused, match="work on ada"):
        scripted(jobs, SLEEPING)
    with pytest.raises(JobRefused, match="ada is in training"):
        scripted(jobs, SLEEPING, "eve", "train")
    other = scripted(jobs, SLEEPING, "eve", "index")
    assert [job.id for job in jobs.all("eve")] == [other.id]
    assert {job.id for job in jobs.all()} == {first.id, other.id}


def test_where_no_worker_can_be_started_the_persona_is_free_at_once(jobs, monkeypatch):
    def no_room(*_given: object, **_more: object) -> int:
        raise BlockingIOError(errno.EAGAIN, "no process left")

    with monkeypatch.context() as full, pytest.raises(BlockingIOError):
        full.setattr(os, "posix_spawn", no_room)
        scripted(jobs, SLEEPING)
    assert jobs.all() == []
    assert ended(jobs, scripted(jobs, "print(1)")).state == "done"


def test_a_job_that_is_stopped_interrupts_its_command_and_its_helpers(jobs, tmp_path):
    helper = tmp_path / "helper"
    job = scripted(
        jobs,
        "import subprocess, sys, time, pathlib\n"
        "its = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"pathlib.Path({str(helper)!r}).write_text(str(its.pid)); print('begun', flush=True)\n"
        "try:\n    time.sleep(600)\nexcept KeyboardInterrupt:\n    print('tidied up'); sys.exit(130)",
    )
    begun(jobs, job)
    assert jobs.stop(job.id).state in ("stopping", "stopped")
    stopped = ended(jobs, job)
    assert stopped.state == "stopped" and "goes on where it stopped" in (stopped.message or "")
    assert "tidied up" in jobs.log(job.id, 0).text
    until(lambda: start_time(int(helper.read_text())) is None)
    assert jobs.stop(job.id).state == "stopped"  # once more changes nothing
    assert not list(jobs._folder.glob("*.stop"))


def test_a_gateway_that_was_started_again_finds_its_jobs(config, jobs):
    job = scripted(jobs, SLEEPING)
    begun(jobs, job)
    again = Jobs(config)
    assert again.one(job.id).state == "running"
    again.stop(job.id)
    assert ended(again, job).state == "stopped"


def test_a_worker_that_was_killed_takes_its_command_along_and_is_told(config, jobs):
    job = scripted(jobs, "import os; print('begun', os.getpid(), flush=True)\n" + SLEEPING)
    pid = begun(jobs, job).pid
    assert pid is not None
    (command,) = (int(line.split()[1]) for line in said(jobs, job) if line.startswith("begun "))
    os.kill(pid, signal.SIGKILL)
    stopped = ended(Jobs(config), job)
    assert stopped.state == "stopped" and "goes on" in (stopped.message or "")
    until(lambda: start_time(command) is None)
    scripted(jobs, "print('again')")  # nothing is in its way


def test_a_pid_that_was_given_to_another_process_is_no_worker(jobs):
    job = scripted(jobs, "print('x')")
    ended(jobs, job)
    its = record(jobs, job).model_copy(
        update={"state": "running", "ended_at": None, "pid": os.getpid(), "pid_started": 1}
    )
    write_record(job_path(jobs._folder, job.id), its)
    assert jobs.one(job.id).state == "stopped"


@pytest.mark.parametrize(
    "its",
    [
        {"host": "another/boot", "pid": 1, "pid_started": 1},
        {"host": this_host(), "pid": os.getpid(), "pid_started": None},
    ],
)
@pytest.mark.parametrize(("silent_seconds", "state"), [(1, "running"), (1000, "stopped")])
def test_a_worker_on_another_machine_or_of_no_known_start_is_told_by_its_heartbeat(
    jobs, silent_seconds, state, its
):
    job = scripted(jobs, "print('x')")
    ended(jobs, job)
    path = job_path(jobs._folder, job.id)
    elsewhere = {"state": "running", "ended_at": None, **its}
    write_record(path, record(jobs, job).model_copy(update=elsewhere))
    os.utime(path, (time.time() - silent_seconds,) * 2)
    assert jobs.one(job.id).state == state
    if state == "running":  # or the fixture waits for it
        os.utime(path, (0, 0))


def test_a_command_that_takes_its_time_to_end_is_seen_alive_from_elsewhere(jobs):
    job = scripted(
        jobs,
        "import os, signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "print('begun', os.getpid(), flush=True)\n" + SLEEPING,
    )
    begun(jobs, job)
    (command,) = (int(line.split()[1]) for line in said(jobs, job) if line.startswith("begun "))
    jobs.stop(job.id)
    until(lambda: "Stopping." in said(jobs, job))
    path = job_path(jobs._folder, job.id)
    os.utime(path, (0, 0))
    until(lambda: path.stat().st_mtime)
    assert jobs.one(job.id).state == "stopping"
    os.kill(command, signal.SIGKILL)
    assert ended(jobs, job).state == "stopped"


def test_a_worker_that_comes_after_its_job_was_given_up_runs_nothing(config, jobs):
    job = ended(jobs, scripted(jobs, "print('x')"))
    its = record(jobs, job)
    subprocess.run(
        [sys.executable, "-m", "serving.jobs.worker", str(job_path(jobs._folder, job.id))],
        env=environment_of("ingest", config, os.environ),
        timeout=60,
        check=True,
    )
    assert record(jobs, job) == its and jobs.log(job.id, 0).text.count("$ ") == 1


def test_the_jobs_of_a_persona_are_not_those_of_one_whose_name_begins_alike(jobs):
    job = scripted(jobs, "print('x')", "ada-love")
    assert jobs.all("ada") == [] and [its.id for its in jobs.all("ada-love")] == [job.id]


def test_secrets_are_passed_only_where_they_are_needed_and_never_logged(jobs):
    script = "import os; print({k: v for k, v in os.environ.items() if 'TOKEN' in k})"
    for kind, passed in (("ingest", set()), ("train", {"HF_TOKEN"})):
        job = ended(jobs, scripted(jobs, script, kind=kind))
        text = jobs.log(job.id, 0).text
        assert SECRET not in text and ("HF_TOKEN" in text) == (passed != set())
        assert "DISCORD_TOKEN" not in text
    for path in jobs._folder.iterdir():
        assert SECRET not in path.read_text()


def test_a_job_gets_the_gateways_configuration_and_not_its_secrets(config):
    environment = {
        "PATH": "/bin", "LANG": "C", "PERSONAE_ADMIN_KEY": "k", "PERSONAE_ADMIN_KEY_FILE": "/f",
        "PERSONAE_SECRETS": "/run/secrets", "PERSONAE_DATABASE_URL": "postgresql://u:p@h/d",
        "AWS_SECRET_ACCESS_KEY": "k", "PERSONAE_SYNTHESIS_KEY": "s", "SLACK_SIGNING_SECRET": "s",
    }  # fmt: skip
    assert environment_of("ingest", config, environment).keys() == {
        "PATH", "LANG", "PYTHONPATH", "PERSONAE_HOME", "PYTHONUNBUFFERED"
    }  # fmt: skip
    assert environment_of("train", config, environment)["PERSONAE_SYNTHESIS_KEY"] == "s"
    (command,) = commands_of("train", "ada", config, steps=2)
    assert command[3:] == [
        "--profile", "cpu-demo", "--config", str(config.file), "train", "run", "ada", "--steps", "2"
    ]  # fmt: skip


def test_a_log_comes_in_whole_lines_from_where_it_was_left(jobs):
    job = scripted(jobs, "print('begun\\nhalf', end='', flush=True); import time; time.sleep(600)")
    begun(jobs, job)
    first = jobs.log(job.id, 0)
    assert first.text.endswith("begun\n") and jobs.log(job.id, first.next).text == ""
    jobs.stop(job.id)
    ended(jobs, job)
    assert "\nhalf" in jobs.log(job.id, first.next).text
    assert jobs.log(job.id, 1 << 40).text == ""


@pytest.mark.parametrize(
    "name", ["", "../state", "ada", "ada-train-20261121T204500-zzzz", "a" * 300]
)
def test_there_is_no_job_of_any_other_name(jobs, name):
    with pytest.raises(UnknownJob):
        jobs.one(name)


def test_a_damaged_record_hides_no_other(jobs, caplog):
    job = scripted(jobs, "print('x')")
    ended(jobs, job)
    (jobs._folder / "eve-train-20261121T204500-0000.json").write_text(json.dumps({"id": 1}))
    assert [its.id for its in jobs.all()] == [job.id]
