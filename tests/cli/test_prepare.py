"""What `personae up` prepares: gateways that share a home do it one after the other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from personae.cli.prepare import LOCK_FILE

_PROGRAM = """
import sys
from pathlib import Path
from personae.cli.prepare import prepare
from personae.config import load_config
from personae.errors import ModelError
from personae.persona import Cast
from personae.progress import silent
folder = Path(sys.argv[1])
(folder / "personae.toml").write_text('[retrieval]\\nembedder = "no-such-model"\\n[engine]\\nurl = "http://x"')
try:
    prepare(load_config({}, folder=folder), Cast([]), progress=silent)
except ModelError:
    print("had its turn")
"""

_HOLDER = """
import fcntl, sys
with open(sys.argv[1], "a") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_gateway_of_a_home_waits_and_says_so(tmp_path: Path):
    lock = tmp_path / "var" / LOCK_FILE
    lock.parent.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, lock],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout and holder.stdout.readline() == "held\n"
        with subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, tmp_path],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as second:  # fmt: skip
            assert second.stderr and "waiting for it" in second.stderr.readline()
            assert second.poll() is None
            holder.communicate()  # its input ends, and so does it
            said, _ = second.communicate(timeout=60)
    assert said == "had its turn\n"
