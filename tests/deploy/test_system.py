"""requirements/system.py: says what is missing, never stops the tests, takes one program out of a package."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import REPOSITORY

SCRIPT = REPOSITORY / "requirements" / "system.py"


@pytest.fixture
def system() -> ModuleType:
    spec = importlib.util.spec_from_file_location("system", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["system"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def test_what_is_missing_is_said_with_the_package_and_the_tests_go_on(tmp_path):
    """A machine without any of it, and without apt-get."""
    alone = tmp_path / "requirements" / "system.py"
    alone.parent.mkdir()
    alone.write_text(SCRIPT.read_text())
    for arguments, code in ([], 0), (["--check"], 1):
        done = subprocess.run(
            [sys.executable, alone, *arguments],
            env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert "promtool is missing: tests of alert rules" in done.stderr
        assert "(Debian's package is prometheus)" in done.stderr


def test_every_program_is_named_by_a_test_or_its_reason(system):
    """No program is fetched that nothing uses."""
    texts = "\n".join(
        path.read_text()
        for path in (REPOSITORY / "tests").rglob("*")
        if path.suffix in (".py", ".json")
    )
    texts += (REPOSITORY / "deploy" / "backup" / "backup.sh").read_text()
    for program in system.PROGRAMS:
        assert program.name in texts, program.name


@pytest.mark.skipif(os.access("/usr/bin/dpkg-deb", os.X_OK) is False, reason="dpkg is missing")
def test_a_program_is_taken_out_of_a_package_without_installing_it(system, tmp_path, monkeypatch):
    """With a package made here, by the real dpkg; only apt's download is a copy."""
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        "Package: tool\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
    )
    (tree / "usr" / "bin").mkdir(parents=True)
    (tree / "usr" / "bin" / "tool").write_text("#!/bin/sh\necho hello\n")
    (tree / "usr" / "bin" / "tool").chmod(0o755)
    made = tmp_path / "tool.deb"
    subprocess.run(["dpkg-deb", "--build", tree, made], check=True, capture_output=True)
    apt_get = tmp_path / "path" / "apt-get"
    apt_get.parent.mkdir()
    apt_get.write_text(f'#!/bin/sh\ncp "{made}" .\n')
    apt_get.chmod(0o755)
    monkeypatch.setenv("PATH", f"{apt_get.parent}:{os.environ['PATH']}")
    (tmp_path / "bin").mkdir()
    program = system.Program("tool", "tool", "nothing", only_program=True)
    system.take_out(program, tmp_path / "bin")
    said = subprocess.run([tmp_path / "bin" / "tool"], capture_output=True, text=True, check=True)
    assert said.stdout == "hello\n"
    assert Path("/var/lib/dpkg/info/tool.list").exists() is False
