"""Adapters by a store: what is put there, what a replica fetches, and what is made of Ray's forgetting."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from personae.errors import AdapterError, ConfigError
from personae.manifest import ADAPTER_CONFIG, ADAPTER_WEIGHTS, MANIFEST
from personae.registry import Registry
from personae.wire import AdapterChange
from serving.adapter_store import AdapterStore
from serving.adapters import Adapters
from serving.ledger import Ledger
from serving.ray_engine import RayEngineClient
from tests.fakes.artefacts import BASE, add_adapter
from tests.fakes.engine import BASE_MODEL
from tests.fakes.ray_serve import FakeRay
from tests.fakes.s3_server import empty_bucket, s3_server

BUCKET = "voices"
QUESTION = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def server():
    with s3_server() as url:
        yield url


@pytest.fixture
def client(server, monkeypatch, tmp_path):
    with empty_bucket(server, BUCKET, monkeypatch=monkeypatch, folder=tmp_path) as client:
        yield client


@pytest.fixture
def store(client):
    store = AdapterStore.at(f"s3://{BUCKET}/loras")
    yield store
    store.close()


@pytest.fixture
def version(cast, tmp_path):
    return add_adapter(Registry(tmp_path / "adapters"), cast["lincoln"], 1, tmp_path / "scratch")


def keys(client) -> list[str]:
    listed = client.list_objects_v2(Bucket=BUCKET).get("Contents", ())
    return sorted(entry["Key"] for entry in listed)


@contextlib.asynccontextmanager
async def ray_and_client(
    client, store, folder: Path, **options
) -> AsyncIterator[tuple[FakeRay, RayEngineClient]]:
    async with FakeRay(client, BUCKET, "loras", folder / "replica", **options) as ray:
        engine = RayEngineClient(ray.url, base_model=BASE_MODEL, store=store)
        async with engine:
            yield ray, engine


# -- the store -------------------------------------------------------------------------------------


def test_a_version_is_put_where_ray_looks_once(client, store, version):
    assert store.publish("lincoln@v1", version.folder)
    files = (ADAPTER_CONFIG, ADAPTER_WEIGHTS, MANIFEST)
    assert keys(client) == sorted(f"loras/lincoln@v1/{file}" for file in files)
    before = client.head_object(Bucket=BUCKET, Key=f"loras/lincoln@v1/{MANIFEST}")["ETag"]
    assert not store.publish("lincoln@v1", version.folder), "it is there already"
    assert client.head_object(Bucket=BUCKET, Key=f"loras/lincoln@v1/{MANIFEST}")["ETag"] == before


def test_a_push_that_was_cut_off_is_written_again(client, store, version):
    """Without the manifest nothing has read it as whole."""
    client.put_object(Bucket=BUCKET, Key=f"loras/lincoln@v1/{ADAPTER_WEIGHTS}", Body=b"half")
    assert store.publish("lincoln@v1", version.folder)
    body = client.get_object(Bucket=BUCKET, Key=f"loras/lincoln@v1/{ADAPTER_WEIGHTS}")["Body"]
    assert body.read() == (version.folder / ADAPTER_WEIGHTS).read_bytes()


def test_weights_that_somebody_took_away_are_put_there_again(client, store, version):
    store.publish("lincoln@v1", version.folder)
    client.delete_object(Bucket=BUCKET, Key=f"loras/lincoln@v1/{ADAPTER_WEIGHTS}")
    assert store.publish("lincoln@v1", version.folder)
    assert not store.publish("lincoln@v1", version.folder), "it is whole again"


def test_a_name_never_gets_other_weights(client, store, version, cast, tmp_path):
    store.publish("lincoln@v1", version.folder)
    other = add_adapter(Registry(tmp_path / "b"), cast["lincoln"], 2, tmp_path / "scratch")
    with pytest.raises(AdapterError, match=r"other contents \(adapter_model.safetensors\)"):
        store.publish("lincoln@v1", other.folder)


def test_addresses_and_buckets_that_are_none_are_named(client, version):
    with pytest.raises(ConfigError, match="is no S3 address"):
        AdapterStore.at("/somewhere")
    with pytest.raises(ConfigError, match="There is no bucket"):
        AdapterStore.at("s3://nobody-made-this/loras").publish("lincoln@v1", version.folder)


# -- the engine ------------------------------------------------------------------------------------


async def test_names_are_rays_outside_and_ours_inside(client, store, version, tmp_path):
    async with ray_and_client(client, store, tmp_path) as (ray, engine):
        assert await engine.is_healthy()
        await engine.load_adapter("lincoln@v1", version.folder)
        assert ray.fetched == ["lincoln@v1"]
        assert await engine.models() == [BASE_MODEL, "lincoln@v1"]
        answer = await engine.greedy("lincoln@v1", QUESTION, max_tokens=8, seconds=5)
        assert answer.text.startswith("[smollm2-135m:lincoln@v1]")
        base = await engine.greedy(BASE_MODEL, QUESTION, max_tokens=8, seconds=5)
        assert base.text.startswith("[smollm2-135m]")
        stream = engine.stream(
            "lincoln@v1", QUESTION, {}, first_token_seconds=5, between_tokens_seconds=5
        )
        async with stream:
            assert (await stream.read()).startswith("[smollm2-135m:lincoln@v1]")
        await engine.unload_adapter("lincoln@v1")
        assert await engine.models() == [BASE_MODEL], "the store's list is not what was checked"


async def test_what_the_gateway_holds_outlives_a_moment_without_the_store(
    client, store, version, tmp_path
):
    """Ray lists no adapter then; its replicas still have those they fetched."""
    async with ray_and_client(client, store, tmp_path) as (ray, engine):
        await engine.load_adapter("lincoln@v1", version.folder)
        ray.store_is_away = True
        assert await engine.models() == [BASE_MODEL, "lincoln@v1"]
        assert (await engine.greedy("lincoln@v1", QUESTION, max_tokens=2, seconds=5)).text


async def test_several_first_questions_at_a_fresh_replica_are_all_answered(
    client, store, version, tmp_path
):
    """Ray refuses all but one of them; nothing was said yet, so they are asked again."""
    async with ray_and_client(client, store, tmp_path) as (ray, engine):
        await engine.load_adapter("lincoln@v1", version.folder)
        ray.restart()

        async def words() -> str:
            stream = engine.stream(
                "lincoln@v1", QUESTION, {}, first_token_seconds=10, between_tokens_seconds=5
            )
            async with stream:
                return await stream.read()

        said = await asyncio.gather(
            words(), words(), engine.greedy("lincoln@v1", QUESTION, max_tokens=4, seconds=5)
        )
        assert all("lincoln@v1" in str(answer) for answer in said)
        assert ray.fetched == ["lincoln@v1", "lincoln@v1"]


async def test_a_version_asked_for_before_it_was_there_is_waited_for(
    client, store, version, tmp_path
):
    async with ray_and_client(client, store, tmp_path, remembers_missing_seconds=1.0) as (
        ray,
        engine,
    ):
        with pytest.raises(AdapterError):
            await engine.greedy("lincoln@v1", QUESTION, max_tokens=2, seconds=5)
        await engine.load_adapter("lincoln@v1", version.folder)
        assert ray.fetched == ["lincoln@v1"]


async def test_a_store_that_refuses_is_told_as_the_adapters_fault(client, version, tmp_path):
    gone = AdapterStore.at("s3://nobody-made-this/loras")
    async with ray_and_client(client, gone, tmp_path) as (_ray, engine):
        with pytest.raises(AdapterError, match="There is no bucket"):
            await engine.load_adapter("lincoln@v1", version.folder)


async def test_reload_rollback_and_a_store_that_lost_the_voice(client, store, cast, tmp_path):
    """The life cycle of `Adapters`, unchanged, over Ray: and a folder deleted from the store comes back."""
    registry = Registry(tmp_path / "adapters")
    ledger = Ledger(f"sqlite:///{tmp_path}/state.db")
    add_adapter(registry, cast["lincoln"], 1, tmp_path / "scratch")
    try:
        async with ray_and_client(client, store, tmp_path, remembers_missing_seconds=0.5) as (
            ray,
            engine,
        ):
            adapters = Adapters(
                cast=cast.only(["lincoln"]),
                registry=registry,
                ledger=ledger,
                engine=engine,
                base_model=BASE,
            )
            await adapters.restore()
            assert adapters.live_version("lincoln") == "v1"
            add_adapter(registry, cast["lincoln"], 2, tmp_path / "scratch")
            outcome = await adapters.reload("lincoln", AdapterChange(actor="test"))
            assert (outcome.live, outcome.previous) == ("v2", "v1")
            outcome = await adapters.rollback("lincoln", AdapterChange(actor="test"))
            assert outcome.live == "v1"
            assert ray.fetched == ["lincoln@v1", "lincoln@v2"]

            ray.restart()  # fresh replicas, and somebody has tidied the bucket
            for key in keys(client):
                if "lincoln@v1" in key:
                    client.delete_object(Bucket=BUCKET, Key=key)
            with adapters.lease("lincoln") as lease:
                stream = engine.stream(
                    lease.engine_model,
                    QUESTION,
                    {},
                    first_token_seconds=30,
                    between_tokens_seconds=5,
                )
                async with stream:
                    assert (await stream.read()).startswith("[smollm2-135m:lincoln@v1]")
            assert json.loads((tmp_path / "replica" / "lincoln@v1" / ADAPTER_CONFIG).read_text())
            await adapters.close()
    finally:
        ledger.close()
