"""Programs of the tests that pip can't bring: said what is missing, and fetched where that is possible.

Run as:  python3 requirements/system.py [--check]

Standard library only. Nothing here is needed to run personae: tests whose program is missing are skipped and
say so. On Debian and Ubuntu, as root, packages are installed with apt-get; of packages that would bring a
running service (prometheus) only the program is taken, into .venv/bin. Elsewhere it prints what to install.
It ends with 0 whatever it finds, so that `make test` goes on; --check ends with 1 if something is missing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
OWN_PROGRAMS = HERE.parent / ".venv" / "bin"
SECONDS = 600


@dataclass(frozen=True)
class Program:
    """One program, the Debian package it is in, and what is tested with it."""

    name: str
    package: str
    used_for: str
    only_program: bool = False
    """Take the program out of its package instead of installing that, which would start a service."""


PROGRAMS = (
    Program("chromium", "chromium", "the console in a browser"),
    Program("npm", "npm", "the console's accessibility (axe)"),
    Program("promtool", "prometheus", "alert rules and their cases", only_program=True),
    Program("systemd-analyze", "systemd", "the systemd units"),
    Program("setpriv", "util-linux", "containers' start scripts"),
    Program("ip", "iproute2", "containers' start scripts"),
    Program("sqlite3", "sqlite3", "backups"),
)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument(
        "--check", action="store_true", help="install nothing; 1 if one is missing"
    )
    chosen = arguments.parse_args()
    missing = [program for program in PROGRAMS if find(program.name) is None]
    if missing and not chosen.check and can_install():
        install(missing)
        missing = [program for program in missing if find(program.name) is None]
    for program in missing:
        say(
            f"{program.name} is missing: tests of {program.used_for} are skipped. {remedy(program)}"
        )
    return 1 if missing and chosen.check else 0


def find(name: str) -> str | None:
    own = OWN_PROGRAMS / name
    return str(own) if own.is_file() else shutil.which(name)


def can_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(missing: list[Program]) -> None:
    """What fails is said and left: the tests that need it say it again."""
    say(f"Fetching for the tests, once: {', '.join(program.name for program in missing)}")
    apt("update")
    whole = sorted({program.package for program in missing if not program.only_program})
    if whole and not apt("install", "--yes", "--no-install-recommends", *whole):
        for package in whole:  # one that can't be had must not keep the others away
            apt("install", "--yes", "--no-install-recommends", package)
    for program in missing:
        if program.only_program:
            take_out(program, OWN_PROGRAMS)


def take_out(program: Program, folder: Path) -> None:
    """The program alone, out of its downloaded package, into a folder."""
    if not folder.is_dir():
        say(f"{program.name} goes to .venv/bin, which is not there yet: run `make env-dev` first")
        return
    with tempfile.TemporaryDirectory() as place:
        # apt downloads as a user of its own.
        Path(place).chmod(0o755)
        apt("download", program.package, folder=place)
        for package in Path(place).glob("*.deb"):
            unpacked = Path(place) / "unpacked"
            run(["dpkg-deb", "--extract", str(package), str(unpacked)])
            found = unpacked / "usr" / "bin" / program.name
            if found.is_file():
                shutil.copy(found, folder / program.name)


def apt(*arguments: str, folder: str | None = None) -> bool:
    return run(["apt-get", "--quiet", "--quiet", *arguments], folder=folder)


def run(command: list[str], *, folder: str | None = None) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as err:
        say(f"{' '.join(command[:4])}: {err}")
        return False
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
        say(f"{' '.join(command)} failed: " + " ".join(last))
    return done.returncode == 0


def remedy(program: Program) -> str:
    if shutil.which("apt-get"):
        return f"As root: python3 requirements/system.py (Debian's package is {program.package})."
    return f"Install it (Debian's package is {program.package})."


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
