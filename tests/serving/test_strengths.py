"""Rewrites at another strength: the same weights by less or more, or a sentence in the prompt without any."""

from __future__ import annotations

import asyncio
import json
import shutil

import pytest

from bot.core.gateway_client import GatewayClient
from personae.errors import AdapterError
from personae.manifest import verify_adapter
from personae.prompt import fingerprint
from personae.registry import Registry
from personae.wire import AdapterChange, AskRequest, Delta, Done, Meta, RewriteRequest
from serving.variants import SCALES, Variants, Voice
from serving.wishes import Choice, Wish
from tests.conftest import RunningGateway, gateway_over
from tests.fakes.artefacts import BASE, add_adapter
from tests.fakes.engine import weights_key
from tests.serving.test_guest_adapters import lease_of

# -- on disk -------------------------------------------------------------------------------------------


def test_a_voice_s_name_says_version_and_strength_and_is_read_back():
    for voice in (Voice("a-b", 3), Voice("lincoln", 12, "light"), Voice("lincoln", 1, "strong")):
        assert Voice.named(voice.name) == voice
    assert Voice("lincoln", 2, "light").name == "lincoln@v2~light"
    for name in ("smollm2-135m", "lincoln@v0", "lincoln@v2~loud", "@v1", "lincoln@v2~"):
        assert Voice.named(name) is None


def test_a_variant_is_the_same_weights_with_another_alpha(stage):
    config = {"lora_alpha": 10, "alpha_pattern": {"q_proj": 20}, "use_rslora": True}
    version = stage.add(2, config=config)
    for strength, alpha in (("light", 6.0), ("strong", 13.0)):
        variant = Variants(stage.folder / "variants").made_of(version, strength)
        assert variant.engine_name == f"lincoln@v2~{strength}"
        made = json.loads((variant.folder / "adapter_config.json").read_text())
        trained = json.loads((version.folder / "adapter_config.json").read_text())
        assert (made["lora_alpha"], made["alpha_pattern"]) == (alpha, {"q_proj": 2 * alpha})
        assert made | {"lora_alpha": 10, "alpha_pattern": {"q_proj": 20}} == trained
        weights = "adapter_model.safetensors"
        assert (variant.folder / weights).samefile(version.folder / weights)
        assert weights_key(variant.folder) != weights_key(version.folder)
        verify_adapter(
            variant.folder,
            persona="lincoln",
            base_model=BASE,
            prompt_fingerprint=fingerprint(stage.cast["lincoln"]),
        )


def test_the_shipped_versions_have_variants_that_vllm_takes(cast, tmp_path):
    """Rank, tensors and everything vLLM looks at but the alpha are the version's own."""
    seen = 0
    for persona in ("lincoln", "roosevelt"):
        registry = Registry(tmp_path / "adapters")
        for version in registry.import_shipped(persona, cast.folder(persona)):
            manifest = version.manifest
            for strength in ("light", "strong"):
                variant = Variants(tmp_path / "variants").made_of(version, strength)
                verify_adapter(
                    variant.folder,
                    persona=persona,
                    base_model=manifest.base_model,
                    prompt_fingerprint=fingerprint(cast[persona]),
                )
                made = json.loads((variant.folder / "adapter_config.json").read_text())
                trained = json.loads((version.folder / "adapter_config.json").read_text())
                assert made["lora_alpha"] == pytest.approx(trained["lora_alpha"] * SCALES[strength])
                seen += 1
    assert seen >= 4


def test_a_variant_is_made_once_and_mended_when_it_was_changed(stage):
    version, variants = stage.add(2), Variants(stage.folder / "variants")
    folder = variants.made_of(version, "light").folder
    first = folder.stat().st_ino
    assert variants.made_of(version, "light").folder.stat().st_ino == first
    (folder / "adapter_config.json").write_text("{}")
    variants.made_of(version, "light")
    assert json.loads((folder / "adapter_config.json").read_text())["lora_alpha"] == 16 * 0.6
    (folder / "adapter_model.safetensors").unlink()
    variants.made_of(version, "light")
    assert (folder / "adapter_model.safetensors").is_file()
    assert [path.name for path in folder.parent.iterdir()] == [folder.name], "nothing is left over"


def test_a_version_whose_configuration_was_edited_has_no_variants(stage):
    version = stage.add(2)
    (version.folder / "adapter_config.json").write_text('{"r": 8, "lora_alpha": 1000}')
    with pytest.raises(AdapterError, match="damaged or edited"):
        Variants(stage.folder / "variants").made_of(version, "light")
    assert not (stage.folder / "variants" / "lincoln").exists()


async def test_variants_of_versions_that_are_gone_are_deleted_with_the_next_engine(stage):
    adapters = await stage.adapters(variants=stage.folder / "v")
    stage.add(2)
    for version in ("v1", "v2"):
        assert (await lease_of(adapters, Wish(version, "light"))).strength == "light"
    shutil.rmtree(stage.registry.find("lincoln", 2).folder)
    await adapters.restore()
    left = [path.name.partition("-")[0] for path in (stage.folder / "v" / "lincoln").iterdir()]
    assert left == ["v1"]


# -- in the engine -------------------------------------------------------------------------------------


async def test_a_lighter_and_a_stronger_voice_are_guests_of_their_own(stage):
    adapters = await stage.adapters()
    for strength in ("light", "strong"):
        asked = len(stage.engine.requests)
        lease = await lease_of(adapters, Wish(None, strength))
        assert (lease.engine_model, lease.version) == (f"lincoln@v1~{strength}", "v1")
        assert (lease.strength, lease.notice) == (strength, None)
        assert len(stage.engine.requests) > asked, "the canary asked it"
        assert f"~{strength}-" in stage.engine.adapters[f"lincoln@v1~{strength}"]
    await adapters.reconcile()
    assert stage.loaded() == {"lincoln@v1"}, "idle, and without a grace here"


async def test_a_reference_of_the_version_does_not_condemn_its_variants(stage):
    """What it said where it was trained was said at the strength it was trained at."""
    stage.add(2, reference="true")
    adapters = await stage.adapters()
    assert adapters.live_version("lincoln") == "v2"
    assert (await lease_of(adapters, Wish(None, "strong"))).strength == "strong"


async def test_a_variant_that_the_engine_does_not_apply_is_not_used(stage):
    adapters = await stage.adapters()
    stage.engine.deaf_to_adapters = True
    lease = await lease_of(adapters, Wish(None, "light"))
    assert (lease.engine_model, lease.strength) == ("lincoln@v1", "normal")
    assert lease.notice == "v1 can't be had lighter, so this is its usual strength."
    assert stage.loaded() == {"lincoln@v1"}


async def test_with_a_pinned_version_that_is_gone_the_live_one_speaks_at_that_strength(stage):
    adapters = await stage.adapters()
    lease = await lease_of(adapters, Wish("v7", "strong"))
    assert lease.engine_model == "lincoln@v1~strong"
    assert lease.notice == (
        "This conversation began with v7, which is not there any more, so v1 answers."
    )


async def test_without_a_place_for_the_variant_the_pinned_version_speaks_as_it_is(stage):
    adapters = await stage.adapters(guests=1)
    stage.add(2)
    async with adapters.prepared("lincoln", Wish("v2")):
        lease = await lease_of(adapters, Wish("v2", "light"))
    assert lease.engine_model == "lincoln@v2"
    assert lease.notice == "v2 can't be had lighter just now, so this is its usual strength."


def test_what_is_tried_first():
    voices = Choice.of(Wish("v1", "light"), "a", 2).voices
    assert [voice.name for voice in voices] == ["a@v1~light", "a@v1", "a@v2~light", "a@v2"]
    assert Choice.of(Wish(None, "normal"), "a", 2).voices == []
    assert [voice.name for voice in Choice.of(Wish(None, "light"), "a", 2).voices] == ["a@v2~light"]
    assert Choice.of(Wish(None, "light"), "a", None).voices == []


# -- over HTTP -----------------------------------------------------------------------------------------


async def answered(client: GatewayClient, request: AskRequest | RewriteRequest) -> tuple[Meta, str]:
    events = [event async for event in client.stream(request)]
    assert isinstance(events[0], Meta) and isinstance(events[-1], Done), events
    return events[0], "".join(event.text for event in events if isinstance(event, Delta))


async def test_a_conversation_keeps_its_version_through_reload_and_rollback(
    gateway: RunningGateway, tmp_path
):
    adapters = gateway.service.bases.of("lincoln").adapters
    add_adapter(gateway.registry, gateway.cast["lincoln"], 3, tmp_path / "more")
    async with GatewayClient(gateway.url, admin_key=gateway.admin_key) as client:

        async def ask(version: str | None) -> tuple[str, str | None, str | None]:
            request = AskRequest(
                persona="lincoln", question="What of labor?", adapter_version=version
            )
            meta, text = await answered(client, request)
            return text, meta.adapter_version, meta.notice

        first = await ask(None)
        assert first[1:] == ("v1", None)
        for version in ("v2", "v3"):
            await client.reload("lincoln", AdapterChange(version=version))
            assert await ask("v1") == first
            assert (await ask(None))[1] == version
        await client.rollback("lincoln", AdapterChange())
        assert (await ask("v3"))[1] == "v3"
        assert await ask("v1") == first
        await adapters.reconcile()
        shutil.rmtree(gateway.registry.find("lincoln", 1).folder)
        gateway.engine.restart()
        await adapters.restore()
        text, version, notice = await ask("v1")
        assert text.startswith("[lincoln@v2]") and version == "v2"
        assert (notice or "").startswith("This conversation began with v1, which is not there")


async def test_a_rewrite_s_strength_reaches_the_engine_with_the_trained_prompt(
    gateway: RunningGateway,
):
    async with GatewayClient(gateway.url) as client:
        prompts, penalties = [], []
        for strength, model in (
            ("normal", "@v1"),
            ("light", "@v1~light"),
            ("strong", "@v1~strong"),
        ):
            request = RewriteRequest(persona="lincoln", text="Keep it.", strength=strength)
            meta, text = await answered(client, request)
            assert text.startswith(f"[lincoln{model}]")
            assert (meta.adapter_version, meta.notice) == ("v1", None)
            prompts.append(gateway.engine.requests[-1]["messages"])
            penalties.append(gateway.engine.requests[-1]["repetition_penalty"])
    assert prompts[0] == prompts[1] == prompts[2]
    assert penalties[1] < penalties[0] == penalties[2], "a light one may keep the text's words"


async def test_by_prompt_only_the_prompt_says_the_strength(gateway: RunningGateway):
    async with GatewayClient(gateway.url) as client:
        asked = {}
        for strength in ("light", "normal", "strong"):
            request = RewriteRequest(persona="pg", text="Keep it.", strength=strength)
            meta, _ = await answered(client, request)
            assert meta.adapter_version is None and "usual strength" not in (meta.notice or "")
            asked[strength] = gateway.engine.requests[-1]["messages"][-1]["content"]
    assert len(set(asked.values())) == 3
    assert "Keep its meaning.\n\nText:" in asked["normal"]
    assert "only a few words" in asked["light"] and "Choose other words" in asked["strong"]


async def test_a_version_that_is_slow_to_load_takes_nobody_s_turn(engine, cast, tmp_path):
    """While one waits for its version, others are answered though there is one place only."""
    limits = "max_answers_per_user = 100\nmax_answers_at_once = 1"
    async with gateway_over(engine, cast, tmp_path, gateway=limits) as gateway:
        engine.may_load.clear()
        async with GatewayClient(gateway.url) as client:
            pinned = AskRequest(persona="lincoln", question="Who?", adapter_version="v2")
            waiting = asyncio.create_task(answered(client, pinned))
            while "lincoln@v2" not in engine.loads:
                await asyncio.sleep(0.01)
            other, _ = await answered(client, AskRequest(persona="lincoln", question="Who?"))
            assert other.adapter_version == "v1" and not waiting.done()
            engine.may_load.set()
            meta, _ = await waiting
            assert meta.adapter_version == "v2"
