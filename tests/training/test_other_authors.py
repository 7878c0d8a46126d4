"""The one command, for an author of one's own: sources → corpus → samples → adapter → evaluation."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from personae.feedback import Revision, write_revisions
from tests.conftest import REPOSITORY
from tests.fakes.essays import essays, write_markdown, write_wordpress, write_x_archive
from tests.training.conftest import TINY
from training.models.fetch import fetch_model

_PERSONA = """
id = "ada"
display_name = "Ada of the Village"
description = "Essays on a village"
disclosure = "An imitation of Ada, not the person."
refusal = "I have not written about that."
base_model = "tiny"

[ask]
system = "You are an imitation of Ada of the Village. Answer in her voice."
sampling = { max_tokens = 24 }

[rewrite]
system = "Rewrite what you are given as Ada would have written it."
sampling = { max_tokens = 24 }

[[sources]]
kind = "KIND"
path = "PATH"
"""

_REVISION = Revision(
    request_id="r1", persona="ada", task="ask", adapter_version=None, base_model=TINY, prompt_fingerprint="",
    strength="normal", quoted=False, question="What of pancakes?", history=[], passages=[], answer="Good.",
    at="2026-01-01", revision="A pancake is turned once, and never twice.",
)  # fmt: skip


@pytest.fixture(scope="module")
def home(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    shutil.copytree(models / TINY, folder / "models" / TINY)
    fetch_model("minilm", folder / "models")
    return folder


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("kind", "name", "write"),
    [
        ("folder", "essays", write_markdown),
        ("wordpress", "export.xml", write_wordpress),
        ("x_archive", "tweets.js", write_x_archive),
    ],
)
def test_one_command_trains_and_measures_another_author(
    home: Path, tmp_path: Path, kind: str, name: str, write: Callable[[Path], Path]
) -> None:
    cast = tmp_path / "cast" / "ada"
    cast.mkdir(parents=True)
    write(cast / name)
    (cast / "persona.toml").write_text(
        _PERSONA.replace("KIND", kind).replace("PATH", name), encoding="utf-8"
    )
    for part in ("corpora", "runs"):
        shutil.rmtree(home / part, ignore_errors=True)
    (tmp_path / "personae.toml").write_text(
        f'[personae]\nprofile = "cpu-demo"\nhome = "{home}"\ncast = "cast"\n'
        f'[engine]\nbase_model = "{TINY}"\n',
        encoding="utf-8",
    )
    command = [
        *(sys.executable, "-m", "personae.cli", "--config", str(tmp_path / "personae.toml")),
        *("train", "run", "ada", "--steps", "3"),
    ]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PERSONAE_")}
    write_revisions(home / "feedback", "ada", [_REVISION])
    done = subprocess.run(
        [*command, "--no-publish"],
        cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    documents = [
        json.loads(line) for line in (home / "corpora/ada/documents.jsonl").read_text().splitlines()
    ]
    assert len(documents) == len(essays())
    assert "draft" not in " ".join(document["text"] for document in documents)
    (run,) = (path.parent for path in (home / "runs" / "ada").glob("*/result.json"))
    assert (run / "adapter" / "adapter_model.safetensors").is_file()
    found = json.loads((run / "evaluation" / "evaluation.json").read_bytes())
    assert {"attribution_gain", "bits_per_byte_drop", "rewrite_copy", "identity"} <= set(
        found["figures"]
    )
    assert "Time  " in done.stderr  # what it will take, before it began
    assert json.loads((run / "plan.json").read_bytes())["revisions"] == ["r1"]
    # What an operator revises meanwhile waits for the next training: the run that was begun is found again.
    later = _REVISION.model_copy(update={"request_id": "r2", "at": "2026-01-02"})
    write_revisions(home / "feedback", "ada", [later, _REVISION])
    command += ["--revisions-until", _REVISION.at]

    # Nobody has said yet on what ground the writing may be used.
    refused = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert refused.returncode != 0
    assert "[rights]" in refused.stderr
    assert [path.parent for path in (home / "runs" / "ada").glob("*/plan.json")] == [run]
    assert not list((home / "adapters").glob("ada/*"))
