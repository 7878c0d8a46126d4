"""What a container of ours gives a program, without a container engine: Linux namespaces.

A root file system that is read-only and holds the machine's /usr and /etc, the Python environment, the
shipped files where the container file puts them, a writable volume, an empty /tmp; a network and process
numbers of its own; a user without any privilege; the environment that the container file sets. What it
is not: the image's Debian and its size. Needs root, as building the namespaces does.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

USER = 10001
HOME = "/var/lib/personae"
_TOOLS = ("unshare", "nsenter", "setpriv", "chroot", "ip", "mount")

# $1: where the root is built; $2: the system whose /usr and /etc it gets; then pairs "source target", bound
# read-only; a "+" before the source: writable.
_SET_UP = """
set -eu
root=$1; system=${2%/}; shift 2
mount --make-rprivate /
mount -t tmpfs -o mode=0755 tmpfs "$root"
cd "$root"
mkdir -p dev/shm proc sys tmp var/lib run root
for name in null zero full random urandom; do touch "dev/$name"; mount --bind "/dev/$name" "dev/$name"; done
# As Docker mounts them: no program runs from there, no library is loaded.
mount -t tmpfs -o mode=1777,noexec,nosuid,nodev tmpfs dev/shm
mount -t tmpfs -o mode=1777,noexec,nosuid,nodev tmpfs tmp
for name in usr etc; do mkdir "$name"; mount --rbind -o ro "$system/$name" "$name"; done
for name in bin sbin lib lib64; do
    if [ -L "$system/$name" ]; then ln -s "usr/$name" "$name"; continue; fi
    mkdir "$name"; mount --rbind "$system/$name" "$name"
done
while [ $# -gt 0 ]; do
    source=$1; target=$root$2; shift 2; writable=
    case $source in +*) writable=1; source=${source#+};; esac
    mkdir -p "$(dirname "$target")"
    if [ -d "$source" ]; then mkdir -p "$target"; else [ -e "$target" ] || touch "$target"; fi
    mount --bind "$source" "$target"
    if [ -z "$writable" ]; then mount -o remount,bind,ro "$target"; fi
done
mount -t proc proc proc
mount --rbind -o ro /sys sys
mount -o remount,ro "$root"
ip link set lo up
echo ready
exec sleep infinity
"""


def needs_namespaces() -> str | None:
    """Why containers can't be imitated here; None where they can."""
    if os.geteuid() != 0:
        return "imitating a container needs root"
    if missing := [tool for tool in _TOOLS if shutil.which(tool) is None]:
        return f"{', '.join(missing)} missing (apt install util-linux iproute2)"
    tried = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--fork", "mount", "-t", "tmpfs", "none", "/mnt"],
        capture_output=True,
        check=False,
    )
    return None if tried.returncode == 0 else "this machine does not let root make namespaces"


def environment_of(containerfile: Path, environment: Path) -> dict[str, str]:
    """The variables that a container file sets, with its environment's programs at `environment`."""
    text = containerfile.read_text().replace("\\\n", " ")
    (line,) = re.findall(r"^ENV (.*)$", text, flags=re.MULTILINE)
    pairs = dict(word.split("=", 1) for word in line.split())
    return pairs | {"PATH": pairs["PATH"].replace("/opt/personae", str(environment))}


class Container:
    """Made by `container`."""

    def __init__(self, root: Path, init: int, variables: Mapping[str, str]) -> None:
        self._root = root
        self.init = init
        self.variables = dict(variables)

    def command(self, *command: str, variables: Mapping[str, str] | None = None) -> list[str]:
        """How to run a command inside, as the image's user and without any capability."""
        settings = [f"{k}={v}" for k, v in {**self.variables, **(variables or {})}.items()]
        return [
            *("nsenter", f"--target={self.init}", "--mount", "--net", "--pid", "--ipc", "--"),
            *("chroot", str(self._root), "setpriv", f"--reuid={USER}", f"--regid={USER}"),
            *("--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"),
            *("env", "-i", "--chdir=/app", *settings, *command),
        ]

    def run(
        self, *command: str, variables: Mapping[str, str] | None = None, seconds: float = 180
    ) -> subprocess.CompletedProcess[str]:
        whole = self.command(*command, variables=variables)
        return subprocess.run(whole, capture_output=True, text=True, timeout=seconds, check=False)

    def beside(self, *command: str) -> list[str]:
        """How to run a command outside, in the container's network: a neighbour such as its engine."""
        return ["nsenter", f"--target={self.init}", "--net", "--", *command]

    def writable_elsewhere(self) -> list[str]:
        """Files outside the volume and /tmp that the image's user could write to."""
        kernel = ("(", "-path", "/proc", "-o", "-path", "/sys", ")", "-prune")
        found = self.run("find", "/", *kernel, "-o", "-writable", "-type", "f", "-print")
        own = (HOME, "/tmp/", "/dev/")
        return [line for line in found.stdout.splitlines() if not line.startswith(own)]


@contextlib.contextmanager
def container(
    place: Path,
    image: str,
    *,
    volume: Path,
    mounts: Sequence[tuple[Path, str]] = (),
    environment: Path = REPOSITORY / ".venv",
    system: Path = Path("/"),
) -> Iterator[Container]:
    """A container of an image, in which nothing runs yet.

    Args:
        image: which container file.
        volume: becomes PERSONAE_HOME; given to the image's user.
        mounts: further files and folders, read-only.
        environment: the Python environment that takes the place of /opt/personae; of `install.sh`, or the
            one for development, which finds the packages in the source tree.
        system: whose /usr and /etc it sees; a minimal Debian (debootstrap) comes closest to the image.
    """
    reason = needs_namespaces()
    if reason:
        pytest.skip(reason)
    root = place / "root"
    root.mkdir()
    os.chown(volume, USER, USER)
    pairs: list[tuple[str, str]] = [
        (str(environment), str(environment)),
        (sysconfig.get_config_var("prefix"), sysconfig.get_config_var("prefix")),
        (str(REPOSITORY / "deploy/containers/entrypoint.sh"), "/app/bin/personae-container"),
        (str(REPOSITORY / "deploy/containers/healthy.py"), "/app/bin/healthy.py"),
        (f"+{volume}", HOME),
        *((str(source), target) for source, target in mounts),
    ]
    if environment == REPOSITORY / ".venv":
        rooms = ("personae", "bot", "serving", "training")
        pairs += [(str(REPOSITORY / room),) * 2 for room in rooms]
    pairs = [pair for pair in pairs if not pair[0].startswith("/usr/")]
    holder = subprocess.Popen(
        ["unshare", "--mount", "--net", "--pid", "--ipc", "--fork", "--kill-child",
         "sh", "-c", _SET_UP, "sh", str(root), str(system), *(part for pair in pairs for part in pair)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n", "the container's file system was not made"
        children = Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()
        containerfile = REPOSITORY / "deploy" / "containers" / f"Containerfile.{image}"
        yield Container(root, int(children[0]), environment_of(containerfile, environment))
    finally:
        holder.kill()
        holder.wait()
        if holder.stdout is not None:
            holder.stdout.close()


def wait_until_healthy(inside: Container, process: subprocess.Popen[str], seconds: float) -> str:
    """What the image's own health check says once it is content."""
    until = time.monotonic() + seconds
    while True:
        checked = inside.run("python", "/app/bin/healthy.py")
        if checked.returncode == 0:
            return checked.stdout
        assert process.poll() is None, f"the container ended with {process.returncode}"
        assert time.monotonic() < until, f"not healthy: {checked.stdout}"
        time.sleep(0.5)
