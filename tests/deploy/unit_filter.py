"""The system calls and address families that a systemd unit allows, tried without systemd: libseccomp.

As a library: `allowed_by(unit)`. As a program, `python unit_filter.py '<its JSON>' command …`: becomes the
command, to which everything else is refused with EPERM, as systemd does it for that unit.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | 1  # EPERM
_EQUAL = 4
_LIBRARY = "libseccomp.so.2"


class _Compared(ctypes.Structure):
    _fields_ = [
        ("argument", ctypes.c_uint),
        ("how", ctypes.c_int),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    ]


def allowed_by(unit: Path) -> dict[str, list[str]]:
    """What `SystemCallFilter` and `RestrictAddressFamilies` leave, by systemd's own groups."""
    text = unit.read_text()
    calls: set[str] = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", text, flags=re.MULTILINE):
        names = set().union(*(_expanded(word) for word in line.removeprefix("~").split()))
        calls = calls - names if line.startswith("~") else calls | names
    (families,) = re.findall(r"^RestrictAddressFamilies=(.*)$", text, flags=re.MULTILINE)
    return {"calls": sorted(calls), "families": families.split()}


def _expanded(word: str) -> set[str]:
    if not word.startswith("@"):
        return {word}
    told = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager", word],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.strip() for line in told.stdout.splitlines()[1:]]
    names = [line for line in lines if line and not line.startswith("#")]
    return set().union(*(_expanded(name) for name in names))


def confine(allowed: dict[str, list[str]]) -> None:
    """This process, and what it becomes, from now on."""
    library = ctypes.CDLL(_LIBRARY)
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(_REFUSE))
    for name in allowed["calls"]:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if name != "socket" and number >= 0:  # below: not of this processor
            library.seccomp_rule_add(context, _ALLOW, number, 0)
    number = library.seccomp_syscall_resolve_name(b"socket")
    for family in allowed["families"]:
        compared = _Compared(0, _EQUAL, getattr(socket, family), 0)
        library.seccomp_rule_add_array(context, _ALLOW, number, 1, ctypes.byref(compared))
    if library.seccomp_load(context) != 0:
        raise OSError("the filter was not taken")


if __name__ == "__main__":
    confine(json.loads(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
