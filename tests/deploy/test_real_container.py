"""The image's start script with the real vLLM: read-only, no privileges, a model that it may not write."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from importlib import util
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.deploy.container import HOME, container, wait_until_healthy
from tests.deploy.test_entrypoint import http, processes
from tests.deploy.unit_filter import allowed_by
from tests.kept import MODELS, kept_model

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(util.find_spec("vllm") is None, reason="vLLM is not installed"),
    pytest.mark.skipif(
        shutil.which("systemd-analyze") is None,
        reason="systemd-analyze is missing (apt install systemd)",
    ),
]
SECONDS = 600


def test_the_gateway_with_its_engine_runs_in_what_an_image_gives(tmp_path: Path):
    """Ready; a cited answer in the shipped voice; no secret in the engine's environment; an end that leaves
    no process. All of it with the system calls that the systemd unit allows, so that one is tried as well."""
    os.chmod(tmp_path, 0o755)  # noqa: PTH101
    for model in ("smollm2-135m", "minilm"):
        kept_model(model)
    (tmp_path / "volume").mkdir(mode=0o700)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "PERSONAE_ADMIN_KEY").write_text("a-key-from-a-file")
    (tmp_path / "personae.toml").write_text('[observability]\nlog_to = "stderr"\n')
    mounts = [
        (REPOSITORY / "cast" / "lincoln", "/app/cast/lincoln"),
        (tmp_path / "personae.toml", "/app/personae.toml"),
        (tmp_path / "secrets", "/run/secrets"),
        (REPOSITORY / "tests" / "deploy" / "unit_filter.py", "/app/bin/unit_filter.py"),
        (MODELS, f"{HOME}/models"),  # read-only, as a shared volume of models may be
    ]
    allowed = json.dumps(allowed_by(REPOSITORY / "deploy" / "systemd" / "personae.service"))
    start = ("python", "/app/bin/unit_filter.py", allowed, "/app/bin/personae-container")
    with container(tmp_path, "cpu", volume=tmp_path / "volume", mounts=mounts) as inside:
        inside.variables |= {"PERSONAE_SECRETS": "/run/secrets", "PERSONAE_PROFILE": "cpu-demo"}
        with (tmp_path / "log").open("w") as log:
            gateway = subprocess.Popen(
                inside.command(*start),
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )
        try:
            wait_until_healthy(inside, gateway, SECONDS)
            question = "What should we do about the Union and slavery?"
            asked = http(
                inside, "/v1/ask", {"persona": "lincoln", "question": question, "stream": False}
            )
            assert asked["text"] and asked["meta"]["citations"] and asked["meta"]["adapter_version"]
            engines = processes(inside, "vllm.entrypoints")
            assert engines
            for engine in engines:
                variables = Path(f"/proc/{engine}/environ").read_bytes()
                assert b"a-key-from-a-file" not in variables and b"PERSONAE_" not in variables
            assert inside.writable_elsewhere() == []
            (program,) = processes(inside, "personae up")
            os.kill(program, signal.SIGTERM)
            assert gateway.wait(timeout=120) == 0
            assert processes(inside, "vllm") == []
        finally:
            gateway.kill()
            gateway.wait()
            print((tmp_path / "log").read_text()[-2000:])
