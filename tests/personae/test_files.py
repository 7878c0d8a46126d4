"""What a kill leaves is found again; what is written is there whole or not at all."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from personae.files import folder_written_aside, remove_leftovers, write_atomic

_KILLED = """
import os, signal, sys
from pathlib import Path
from personae import files
folder = Path(sys.argv[1])
def kill(*_arguments):
    os.kill(os.getpid(), signal.SIGKILL)
files.os.fsync = kill
with files.folder_written_aside(folder / "version", "trying"):
    (folder / "inner").mkdir()
    files.write_atomic(folder / "inner" / "plan.json", "new")
"""


def test_a_kill_amid_writing_leaves_nothing_that_stays(tmp_path):
    """Neither a file nor a folder that was written aside, however deep; and nothing else goes."""
    write_atomic(tmp_path / "plan.json", "old")
    done = subprocess.run([sys.executable, "-c", _KILLED, tmp_path], check=False)
    assert done.returncode == -signal.SIGKILL
    gone = remove_leftovers(tmp_path)
    assert len(gone) == 2
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["inner", "plan.json"]
    assert (tmp_path / "plan.json").read_text() == "old"
    assert remove_leftovers(tmp_path / "nowhere") == []


def test_what_fails_while_it_is_written_is_not_there(tmp_path):
    with pytest.raises(KeyboardInterrupt), folder_written_aside(tmp_path / "version", "trying"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
