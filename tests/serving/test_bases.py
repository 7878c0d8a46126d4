"""Several base models: each persona on its own engine, and a plain word where there is none for it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.core.gateway_client import GatewayClient
from personae.config import Config, load_config
from personae.manifest import BaseModelRef
from personae.persona import Cast, load_cast
from personae.registry import Registry
from serving.service import running_service
from tests.cli.test_cli import personae
from tests.conftest import REPOSITORY
from tests.fakes.artefacts import BASE, WordEmbedder, add_adapter
from tests.fakes.engine import FakeEngine

OTHER = BaseModelRef(id="other-base", weights_sha256="ef" * 32)


@pytest.fixture
async def other_engine() -> AsyncIterator[FakeEngine]:
    async with FakeEngine(OTHER.id) as engine:
        yield engine


@pytest.fixture
def server(tmp_path: Path, engine: FakeEngine, other_engine: FakeEngine) -> tuple[Config, Cast]:
    """lincoln on the default base, roosevelt on the other one, pg wanting a third that nobody serves."""
    for persona, base in (("lincoln", None), ("roosevelt", OTHER.id), ("pg", "third-base")):
        folder = tmp_path / "cast" / persona
        folder.mkdir(parents=True)
        text = (REPOSITORY / "cast" / persona / "persona.toml").read_text()
        (folder / "persona.toml").write_text(f'base_model = "{base}"\n{text}' if base else text)
    (tmp_path / "personae.toml").write_text(
        '[personae]\nprofile = "external"\nhome = "."\n[gateway]\nport = 0\n'
        f'[engine]\nurl = "{engine.url}"\nbase_model = "{BASE.id}"\n'
        f'[engines."{OTHER.id}"]\nurl = "{other_engine.url}"\n'
    )
    config = load_config({}, folder=tmp_path)
    cast = load_cast(config.cast)
    registry, scratch = Registry(config.adapters), tmp_path / "scratch"
    add_adapter(registry, cast["lincoln"], 1, scratch)
    add_adapter(registry, cast["roosevelt"], 1, scratch, base=OTHER)
    return config, cast


async def test_each_persona_speaks_on_its_base_and_one_without_an_engine_says_so(
    server, engine, other_engine
):
    config, cast = server
    async with running_service(config, cast, embedder=WordEmbedder()) as service:
        await service.wait_ready()
        assert (set(engine.adapters), set(other_engine.adapters)) == (
            {"lincoln@v1"},
            {"roosevelt@v1"},
        )
        async with GatewayClient(service.url) as client:
            cards = {card.id: card for card in (await client.personas()).personas}
    assert (cards["roosevelt"].base_model, cards["roosevelt"].adapter_version) == (OTHER.id, "v1")
    assert "no engine serves" not in (cards["roosevelt"].notice or "")
    assert cards["pg"].base_model == BASE.id
    assert "wants the base model third-base, which no engine serves" in (cards["pg"].notice or "")


async def test_the_command_line_checks_each_adapter_against_its_own_base(server, tmp_path):
    there = ["--config", str(tmp_path / "personae.toml")]
    for persona, base in (("lincoln", BASE.id), ("roosevelt", OTHER.id)):
        code, out, err = await personae(*there, "adapters", "verify", persona)
        assert (code, err) == (0, "")
        assert f"{persona} v1 is sound and fits {base}." in out
    code, out, _ = await personae(*there, "doctor", "--json")
    found = {(f["what"], f["verdict"]): f["sentence"] for f in json.loads(out)}
    assert code == 1
    assert found["base", "problem"].startswith("pg wants the base model third-base")
    adapters = [f["sentence"] for f in json.loads(out) if f["what"] == "adapter"]
    assert adapters == [f"lincoln v1 fits {BASE.id}", f"roosevelt v1 fits {OTHER.id}"]


async def test_a_version_for_another_base_than_its_persona_s_is_refused(server, tmp_path, engine):
    config, cast = server
    add_adapter(Registry(config.adapters), cast["roosevelt"], 2, tmp_path / "scratch", base=BASE)
    code, _, err = await personae(
        "--config", str(tmp_path / "personae.toml"), "adapters", "verify", "roosevelt"
    )
    assert code == 1
    assert f"trained for the base model {BASE.id}, and this server runs {OTHER.id}" in err
