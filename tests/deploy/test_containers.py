"""Container files: linted, pinned by digest, without root, with a health check, made of what they name."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

CONTAINERS = REPOSITORY / "deploy" / "containers"
FILES = sorted(CONTAINERS.glob("Containerfile.*"))
SCRIPTS = sorted(
    path
    for folder in ("containers", "compose", "backup", "systemd")
    for path in (REPOSITORY / "deploy" / folder).glob("*.sh")
)
BIN = Path(sys.executable).parent
_DIGEST = r"[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}"


def test_there_are_container_files_and_scripts():
    assert {path.suffix for path in FILES} == {".cpu", ".gpu", ".bots"}
    assert len(SCRIPTS) >= 2


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_hadolint_has_nothing_to_say(file):
    done = subprocess.run(
        [BIN / "hadolint", "--failure-threshold", "style", file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_has_nothing_to_say(script):
    done = subprocess.run(
        [BIN / "shellcheck", "--severity=style", "-x", "-P", "SCRIPTDIR", script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_images_are_pinned_unprivileged_and_checked(file):
    text = file.read_text().replace("\\\n", " ")
    (base,) = re.findall(r"^ARG PYTHON_IMAGE=(.*)$", text, flags=re.MULTILINE)
    assert re.fullmatch(_DIGEST, base)
    assert set(re.findall(r"^FROM (\S+)", text, flags=re.MULTILINE)) == {"${PYTHON_IMAGE}"}
    last = text.rpartition("FROM ")[2]
    assert re.search(r"^USER 10001:10001$", last, flags=re.MULTILINE)
    assert re.search(r"^HEALTHCHECK .*CMD", last, flags=re.MULTILINE)
    assert re.search(r"^VOLUME /var/lib/personae$", last, flags=re.MULTILINE)
    assert re.search(r'personae.weights="', last), "say which weights are inside"
    # Nothing is run after the user changed, and nothing needs root at run time.
    assert "RUN" not in last.partition("USER 10001")[2]


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_what_is_copied_exists_and_is_let_into_the_context(file):
    """The context is a list of what may go in; state, secrets and models are not on it."""
    allowed = [
        line[1:].rstrip("/")
        for line in (REPOSITORY / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    assert (REPOSITORY / ".dockerignore").read_text().splitlines()[1] == "*"
    copied = []
    for line in re.findall(r"^COPY (.*)$", file.read_text(), flags=re.MULTILINE):
        words = [word for word in line.split() if not word.startswith("--")]
        if "--from=" not in line:
            copied += [word.rstrip("/") for word in words[:-1]]
    assert copied
    for name in copied:
        assert (REPOSITORY / name).exists(), name
        assert any(
            name == a or name.startswith(a + "/") or a.startswith(name + "/") for a in allowed
        ), name
    for never in ("var", "tests", ".git", ".venv", "personae.toml", "deploy/compose", "."):
        assert never not in copied and never not in allowed


def test_what_is_left_out_of_the_gpu_image_is_in_its_lock():
    text = (CONTAINERS / "Containerfile.gpu").read_text()
    left_out = re.findall(r'^ARG WITHOUT="(.*)"$', text, flags=re.MULTILINE)[0].split()
    lock = (REPOSITORY / "requirements" / "gpu.txt").read_text()
    assert left_out and all(re.search(rf"^{name}==", lock, flags=re.MULTILINE) for name in left_out)


def test_the_image_with_a_gpu_has_a_compiler():
    """vLLM's first answer with log-probabilities has PyTorch compile a kernel; a CPU's is told not to."""
    last = (CONTAINERS / "Containerfile.gpu").read_text().rpartition("FROM ")[2]
    assert re.search(r"apt-get install .*\bg\+\+ ", last)


def test_an_unknown_image_is_refused_before_anything_is_made(tmp_path):
    done = subprocess.run(
        ["sh", "deploy/containers/install.sh", "nothing", str(tmp_path / "prefix")],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and 'no image "nothing"' in done.stderr
    assert not (tmp_path / "prefix").exists()


@pytest.mark.slow
def test_the_wheel_carries_every_file_of_the_rooms(tmp_path):
    """Images install a wheel; what package data forgets (locales, the console) would be missing there."""
    source = tmp_path / "source"
    source.mkdir()
    rooms = ("personae", "bot", "serving", "training")
    for name in ("pyproject.toml", "README.md", *rooms):
        origin = REPOSITORY / name
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
        if origin.is_dir():
            shutil.copytree(origin, source / name, ignore=ignored)
        else:
            shutil.copy(origin, source / name)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet",
         "--wheel-dir", str(tmp_path), str(source)],
        check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("personae-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        carried = set(archive.namelist())
    there = {
        str(path.relative_to(source))
        for room in rooms
        for path in (source / room).rglob("*")
        if path.is_file() and path.suffix != ".md"
    }
    assert there - carried == set()
