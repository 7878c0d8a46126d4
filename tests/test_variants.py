"""Strengths and pinned versions on a real vLLM, with the shipped voice, through the gateway.

One engine for all of it, because its start takes most of a minute; nothing is indexed, for nothing is cited.
"""

from __future__ import annotations

import asyncio
from importlib import util
from pathlib import Path

import pytest

from bot.core.gateway_client import GatewayClient
from personae.config import load_config
from personae.persona import Cast, load_cast
from personae.registry import Registry
from personae.wire import AdapterChange, AskRequest, RewriteRequest, Strength
from serving.service import running_service
from tests.conftest import REPOSITORY, with_floor
from tests.fakes.artefacts import WordEmbedder
from tests.kept import MODELS, kept_model
from tests.test_real_engine import add_scaled_version, collect

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(util.find_spec("vllm") is None, reason="vLLM is not installed"),
]

ADMIN_KEY = "key-of-the-variant-tests"
BASE = "smollm2-135m"
TEXT = "I think that people who work hard should be able to keep most of what they earn."
# float32: texts are compared word for word, and in bfloat16 the company in a batch decides near ties.
CONFIG = """\
[personae]
profile = "cpu-demo"
[engine]
dtype = "float32"
[gateway]
port = 0
[adapters]
reconcile_seconds = 0.5
unload_grace_seconds = 0
guests = 2
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with the base model and the shipped versions of lincoln; further ones are added later."""
    kept_model(BASE)
    (tmp_path / "models").symlink_to(MODELS)
    (tmp_path / "personae.toml").write_text(CONFIG)
    Registry(tmp_path / "adapters").import_shipped("lincoln", REPOSITORY / "cast" / "lincoln")
    return tmp_path


async def test_strengths_differ_and_a_pinned_version_is_loaded_again(home):
    shipped = load_cast([REPOSITORY / "cast"])
    cast = Cast([(with_floor(shipped["lincoln"], 0.0), shipped.folder("lincoln"))])
    environment = {"PERSONAE_HOME": str(home), "PERSONAE_ADMIN_KEY": ADMIN_KEY}
    config = load_config(environment, folder=home)
    registry = Registry(config.adapters)
    first = registry.find("lincoln").name
    async with running_service(config, cast, embedder=WordEmbedder()) as service:
        await service.wait_ready()
        engine = service.bases.of("lincoln").engine.client
        async with GatewayClient(service.url, admin_key=ADMIN_KEY) as client:

            async def rewrite(strength: Strength, version: str | None = None) -> str:
                """Greedy, by the version that was shipped."""
                request = RewriteRequest(
                    persona="lincoln",
                    text=TEXT,
                    strength=strength,
                    adapter_version=version,
                    temperature=0,
                    max_tokens=48,
                )
                meta, text = await collect(client, request)
                assert (meta.adapter_version, meta.notice) == (first, None)
                return text

            said: dict[Strength, str] = {}
            for strength in ("normal", "light", "strong"):
                said[strength] = await rewrite(strength)
            assert len(set(said.values())) == 3, said
            assert all(text.strip() for text in said.values())
            together = await asyncio.gather(*(rewrite(strength) for strength in said))
            assert together == list(said.values()), "in one batch, each keeps to itself"

            async def gone(name: str) -> None:
                async with asyncio.timeout(60):
                    while name in await engine.models():
                        await asyncio.sleep(0.2)

            for strength in ("light", "strong"):
                await gone(f"lincoln@{first}~{strength}")
            for _ in range(2):  # the second lets the shipped one go
                add_scaled_version(registry, "lincoln")
                await client.reload("lincoln", AdapterChange(actor="test"))
            await gone(f"lincoln@{first}")
            assert await rewrite("normal", first) == said["normal"]
            assert await rewrite("strong", first) == said["strong"]
            request = RewriteRequest(persona="lincoln", text=TEXT, temperature=0, max_tokens=48)
            meta, text = await collect(client, request)
            assert meta.adapter_version == registry.find("lincoln").name
            assert text != said["normal"]
            lost = AskRequest(
                persona="lincoln", question="Who are you?", adapter_version="v77", max_tokens=8
            )
            meta, _ = await collect(client, lost)
            assert meta.adapter_version == registry.find("lincoln").name
            assert "v77, which is not there any more" in (meta.notice or "")
