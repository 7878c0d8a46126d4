"""Make the environment in .venv from a complete lock, and be quick when nothing has changed.

Run as:  python3 requirements/install.py [--dev] [--lock cpu|gpu]
         python3 requirements/install.py --ray

Standard library only. The lock (requirements/cpu.txt or gpu.txt) is complete, so it is installed
with --no-deps: what is not in it does not come in. A stamp in .venv says which lock it holds; an
interrupted run has no stamp and goes on at the next one with what pip has in its cache.

Ray has an environment of its own, .venv-ray, which sees the packages of .venv: the product needs none of it,
and it is made only for those who ask (docs/scaling.md).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
ENVIRONMENT = ROOT / ".venv"
STAMP = ENVIRONMENT / ".personae-stamp"
RAY_ENVIRONMENT = ROOT / ".venv-ray"
OLDEST_PYTHON = (3, 11)

# PyTorch's own index of CPU builds, for machines whose pip is not configured with one.
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--dev", action="store_true", help="also what the tests need")
    arguments.add_argument("--lock", choices=("cpu", "gpu"), help="default: gpu if there is one")
    arguments.add_argument("--ray", action="store_true", help="Ray beside it, in .venv-ray")
    chosen = arguments.parse_args()
    if sys.version_info < OLDEST_PYTHON:
        return fail(
            f"personae needs Python 3.11 or newer; this is {sys.version.split()[0]}. "
            "Call it with a newer one: make PYTHON=python3.12 run"
        )
    if not sys.platform.startswith("linux"):
        return fail("vLLM's builds that personae uses are for Linux. On Windows use WSL 2.")
    if chosen.ray:
        return install_ray()
    lock = chosen.lock or ("gpu" if has_nvidia_gpu() else "cpu")
    locks = [HERE / f"{lock}.txt", *([HERE / "dev.txt"] if chosen.dev else [])]
    # An environment with the tests' packages serves `make run` too: no reinstalling to and fro.
    wanted = stamp_of([HERE / f"{lock}.txt", HERE / "dev.txt"])
    wanted_run = stamp_of([HERE / f"{lock}.txt"])
    have = STAMP.read_text().strip() if STAMP.is_file() else ""
    if have == wanted or (not chosen.dev and have == wanted_run):
        return 0
    say(f"Making the environment in .venv ({lock} lock; once, a few minutes)")
    if not (ENVIRONMENT / "bin" / "python").is_file() or is_other_python():
        try:
            venv.EnvBuilder(with_pip=True, clear=True).create(ENVIRONMENT)
        except (OSError, subprocess.CalledProcessError) as err:
            return fail(
                f"The environment can't be made ({err}). On Debian: apt install python3-venv"
            )
    STAMP.unlink(missing_ok=True)
    for file in locks:
        names = requirements_of(file)
        if file.name == "cpu.txt" and not install_torch(names):
            return 1
        if not pip(["-r", str(file)], f"packages of {file.name}", len(names)):
            return fail("Installing failed; the lines above say why. Run it again to go on.")
    if not pip(["--no-build-isolation", "-e", str(ROOT)], "personae itself", 1):
        return fail("Installing personae itself failed; the lines above say why.")
    STAMP.write_text((wanted if chosen.dev else wanted_run) + "\n")
    say("The environment is ready.")
    return 0


def install_ray() -> int:
    """.venv-ray: the lock of Ray, over what .venv has."""
    lock, stamp = HERE / "ray.txt", RAY_ENVIRONMENT / ".personae-stamp"
    if not STAMP.is_file():
        return fail("Ray's environment stands on the one in .venv. Make that first: make env")
    wanted = stamp_of([lock])
    if stamp.is_file() and stamp.read_text().strip() == wanted:
        return 0
    say("Making Ray's environment in .venv-ray (once, about a minute)")
    python = RAY_ENVIRONMENT / "bin" / "python"
    make = [str(ENVIRONMENT / "bin" / "python"), "-m", "venv", "--clear", "--without-pip"]
    subprocess.run([*make, str(RAY_ENVIRONMENT)], check=True)
    packages = next((RAY_ENVIRONMENT / "lib").glob("python*/site-packages"))
    below = next((ENVIRONMENT / "lib").glob("python*/site-packages"))
    # addsitedir, not the bare path: .venv has such files of its own (personae itself is one).
    (packages / "product.pth").write_text(f"import site; site.addsitedir({str(below)!r})\n")
    names = requirements_of(lock)
    if not pip(["-r", str(lock)], "packages of ray.txt", len(names), into=python):
        return fail("Installing failed; the lines above say why. Run it again to go on.")
    stamp.write_text(wanted + "\n")
    say("Ray's environment is ready.")
    return 0


def has_nvidia_gpu() -> bool:
    """Whether the driver's own tool finds a GPU."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return False
    listed = subprocess.run([tool, "-L"], capture_output=True, text=True, check=False)
    return listed.returncode == 0 and "GPU" in listed.stdout


def requirements_of(file: Path) -> list[str]:
    lines = (line.split("#")[0].strip() for line in file.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("-")]


def stamp_of(locks: list[Path]) -> str:
    """Changes with the locks, the project's metadata and the Python that made the environment."""
    digest = hashlib.sha256(f"{sys.version_info[:2]} {ROOT}".encode())
    for file in [*locks, ROOT / "pyproject.toml"]:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def is_other_python() -> bool:
    """Whether .venv was made by another Python than this one."""
    asked = subprocess.run(
        [str(ENVIRONMENT / "bin" / "python"), "-c", "import sys; print(sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip() != str(tuple(sys.version_info[:2]))


def install_torch(requirements: list[str]) -> bool:
    """The CPU build of PyTorch, from where pip is configured to look, else from PyTorch's index."""
    torch = next((line for line in requirements if line.startswith("torch==")), None)
    if torch is None:
        return True
    if pip([torch], "PyTorch (CPU build)", 1, quiet=True):
        return True
    say(f"pip's registry has no {torch}; trying PyTorch's own index")
    if pip(["--index-url", TORCH_CPU_INDEX, torch], "PyTorch (CPU build)", 1):
        return True
    fail(
        f"{torch} can't be had, neither from pip's registry nor from {TORCH_CPU_INDEX}. "
        "Check the network, or point pip at a folder that holds the wheel: "
        "PIP_FIND_LINKS=/that/folder make run"
    )
    return False


def pip(
    arguments: list[str], what: str, total: int, *, quiet: bool = False, into: Path | None = None
) -> bool:
    """Run `pip install --no-deps`, showing how far it is; what it printed is shown if it fails."""
    command = [str(ENVIRONMENT / "bin" / "python"), "-m", "pip"]
    command += [*(["--python", str(into)] if into else []), "install", "--no-deps"]
    command += ["--no-input", "--disable-pip-version-check", "--progress-bar", "off", *arguments]
    printed: list[str] = []
    done = 0
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            printed.append(line.rstrip())
            if re.match(r"(Collecting|Processing|Requirement already satisfied|Obtaining)", line):
                done += 1
                show(f"  {what}: {done} of {total}", often=total > 1)
            elif line.startswith("Installing collected packages"):
                show(f"  {what}: unpacking", often=False)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    if process.returncode != 0 and not quiet:
        print("\n".join(printed[-25:]), file=sys.stderr)
    return process.returncode == 0


def show(line: str, *, often: bool) -> None:
    """One line that is written over on a terminal; elsewhere every 25th line."""
    if sys.stderr.isatty():
        print(f"\r{line:<60}", end="", file=sys.stderr, flush=True)
        return
    number = re.search(r"(\d+) of", line)
    if not often or number is None or int(number.group(1)) % 25 == 0:
        print(line, file=sys.stderr, flush=True)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def fail(line: str) -> int:
    say(f"Error: {line}")
    return 1


if __name__ == "__main__":
    os.chdir(ROOT)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        say("\nStopped. Run it again to go on.")
        sys.exit(130)
