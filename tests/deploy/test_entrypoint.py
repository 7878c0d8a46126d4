"""The container's start script, run as a container would: read-only, without privileges, secrets as files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.deploy.container import HOME, USER, Container, container, wait_until_healthy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

_PERSONA = """
id = "ada"
display_name = "Ada"
description = "A test."
disclosure = "An imitation of Ada, not the person."
refusal = "I have not written about that."

[ask]
system = "You are Ada."

[rewrite]
system = "Rewrite in Ada's manner."

[[sources]]
kind = "folder"
path = "writing"
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A cast of one persona, a configuration and two secrets, as an operator would mount them."""
    os.chmod(tmp_path, 0o755)  # noqa: PTH101
    writing = tmp_path / "cast" / "ada" / "writing"
    writing.mkdir(parents=True)
    (tmp_path / "cast" / "ada" / "persona.toml").write_text(_PERSONA)
    text = "The engine weaves algebraic patterns as the loom weaves flowers and leaves. " * 12
    (writing / "notes.txt").write_text(text)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "PERSONAE_ADMIN_KEY").write_text("a-key-from-a-file\n")
    (tmp_path / "volume").mkdir(mode=0o700)
    return tmp_path


@pytest.fixture
def inside(files: Path) -> Iterator[Container]:
    mounts = [(files / "cast", "/app/cast"), (files / "secrets", "/run/secrets")]
    (files / "personae.toml").write_text("")
    mounts.append((files / "personae.toml", "/app/personae.toml"))
    with container(files, "cpu", volume=files / "volume", mounts=mounts) as made:
        made.variables["PERSONAE_SECRETS"] = "/run/secrets"
        yield made


@pytest.fixture
def engine(inside: Container, files: Path) -> Iterator[str]:
    """A neighbour in the container's network: an engine that is a fake on the wire."""
    command = inside.beside(sys.executable, "-m", "tests.serving.processes", "engine")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        (files / "personae.toml").write_text(
            f'[personae]\nprofile = "external"\n[engine]\nurl = "{url}"\nbase_model = "smollm2-135m"\n'
            '[observability]\nlog_to = "stderr"\nlog_format = "json"\n'
            "[deadlines]\ndrain_seconds = 5\n"
        )
        yield url
        process.terminate()


def test_the_gateway_runs_read_only_and_without_privileges(inside, engine, files):
    """Ready by its own health check, answers, takes its secret from a file, logs to stderr, ends at SIGTERM;
    and wrote nowhere but into its volume."""
    with (files / "log").open("w") as log:
        gateway = subprocess.Popen(
            inside.command("/app/bin/personae-container", "gateway"),
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        assert "ready" in wait_until_healthy(inside, gateway, 600)
        asked = http(
            inside,
            "/v1/ask",
            {"persona": "ada", "question": "What does it weave?", "stream": False},
        )
        assert asked["text"] and asked["meta"]["citations"]
        assert http(inside, "/admin/adapters", key="a-key-from-a-file")
        assert http(inside, "/admin/adapters", key="another") == "401"
        assert inside.writable_elsewhere() == []
        (child,) = processes(inside, "personae up")  # nsenter passes no signals on
        os.kill(child, signal.SIGTERM)
        assert gateway.wait(timeout=90) == 0
    finally:
        gateway.kill()
        gateway.wait()
    said = (files / "log").read_text()
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert any("outcome=stop" in line["message"] for line in lines), said
    assert "a-key-from-a-file" not in said
    assert not (files / "volume" / "admin.key").exists()
    assert not (files / "volume" / "logs" / "gateway.log").exists()
    owners = {path.stat().st_uid for path in (files / "volume").rglob("*")}
    assert owners == {USER}
    assert (files / "volume" / "state.db").stat().st_mode & 0o077 == 0


def test_a_volume_that_cannot_be_written_is_told_with_the_remedy(inside, files):
    os.chown(files / "volume", 0, 0)
    done = inside.run("/app/bin/personae-container", "gateway")
    assert done.returncode == 2
    assert f"{HOME} can't be written by user {USER}" in done.stderr and "fsGroup" in done.stderr


def test_other_commands_run_as_they_are(inside):
    done = inside.run("/app/bin/personae-container", "personae", "--version")
    assert done.returncode == 0 and "personae" in done.stdout
    done = inside.run("/app/bin/personae-container", "touch", "/app/there")
    assert done.returncode != 0 and "Read-only file system" in done.stderr
    done = inside.run("/app/bin/personae-container", "id", "-u")
    assert done.stdout.strip() == str(USER)


def test_bots_say_what_they_lack(inside):
    for bot, lacking in (("discord", "DISCORD_TOKEN"), ("slack", "SLACK_BOT_TOKEN")):
        done = inside.run("/app/bin/personae-container", bot)
        assert done.returncode == 2 and lacking in done.stderr, done.stderr


def test_an_unhealthy_gateway_is_told_apart(inside):
    done = inside.run("python", "/app/bin/healthy.py")
    assert done.returncode == 1 and "nothing answers" in done.stdout


_CALL = """
import json, sys, urllib.error, urllib.request
path, body, key = json.loads(sys.argv[1])
request = urllib.request.Request("http://127.0.0.1:8420" + path, headers={"Authorization": f"Bearer {key}"},
                                 data=json.dumps(body).encode() if body else None)
try:
    print(urllib.request.urlopen(request, timeout=60).read().decode())
except urllib.error.HTTPError as err:
    print(json.dumps(str(err.code)))
"""


def http(inside: Container, path: str, body: object = None, key: str = "") -> object:
    done = inside.run("python", "-c", _CALL, json.dumps([path, body, key]))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def processes(inside: Container, words: str) -> list[int]:
    """Numbers, outside, of the container's processes whose command line holds these words."""
    mine = Path(f"/proc/{inside.init}/ns/pid").readlink()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            own = (entry / "ns" / "pid").readlink() == mine
        except OSError:
            continue
        if own and words in line:
            found.append(int(entry.name))
    return found
