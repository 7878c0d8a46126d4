"""The whole line over Ray: a gateway, an S3 store, a cluster of two nodes, real engines, the shipped voices.

Two nodes are two `ray start` on this machine; what lies between machines (networks, image registries) is not
tried. The tests of this module are steps of one story and run in order. What they measured is printed at the
end (`-s` or `-rP` shows it) and stands in docs/scaling.md.

Run as: pytest -m ray -s
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from bot.core.gateway_client import GatewayClient
from personae.errors import PersonaeError, from_wire
from personae.registry import Registry
from personae.wire import AdapterChange, AskRequest, Delta, ErrorEvent, Meta
from serving.ray_app import deployment_name
from tests.conftest import REPOSITORY
from tests.kept import furnish
from tests.ray.cluster import BUCKET, RAY, Cluster, free_port, local_cluster
from tests.test_real_engine import QUESTION, add_scaled_version

pytestmark = [
    pytest.mark.ray,
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(util.find_spec("vllm") is None, reason="vLLM is not installed"),
]

ADMIN_KEY = "key-of-the-ray-test"
BASE = "smollm2-135m"


@dataclass
class Stage:
    cluster: Cluster
    url: str
    registry: Registry
    configuration: Path
    figures: dict[str, Any] = field(default_factory=dict)

    def client(self) -> GatewayClient:
        return GatewayClient(self.url, admin_key=ADMIN_KEY)

    def personae(self, *arguments: str) -> str:
        """A command, as an operator gives it beside the gateway."""
        done = subprocess.run(
            [sys.executable, "-m", "personae.cli", "--config", str(self.configuration), *arguments],
            env=self.cluster.environment,
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """One engine on two nodes, and a gateway that has put lincoln's and roosevelt's voices in the store."""
    made = subprocess.run([sys.executable, REPOSITORY / "requirements" / "install.py", "--ray"])
    if made.returncode or not (RAY / "ray").exists():
        pytest.skip("Ray's environment can't be made here: python requirements/install.py --ray")
    # Sockets have short names at most, and Ray's are long.
    with tempfile.TemporaryDirectory(prefix="ray-") as short:
        yield from _staged(Path(short))


def _staged(folder: Path) -> Iterator[Stage]:
    port, engine_port = free_port(), free_port()
    home = folder / "home"
    furnish(home)
    configuration = folder / "personae.toml"
    configuration.write_text(
        f'[personae]\nprofile = "external"\nhome = "home"\ncast = "{REPOSITORY / "cast"}"\n'
        f"[gateway]\nport = {port}\n"
        f'[engine]\nkind = "ray"\nurl = "http://127.0.0.1:{engine_port}"\n'
        f'base_model = "{BASE}"\nadapter_store = "s3://{BUCKET}/loras"\n'
        'can_phrase = false\nkv_cache_gib = 1\nextra_args = ["--enforce-eager"]\n'
    )
    began = time.monotonic()
    with local_cluster(folder, port=engine_port) as cluster:
        cluster.environment["PERSONAE_ADMIN_KEY"] = ADMIN_KEY
        stage = Stage(
            cluster, f"http://127.0.0.1:{port}", Registry(home / "adapters"), configuration
        )
        stage.figures["two nodes are up, s"] = time.monotonic() - began
        model = home / "models" / BASE
        document = stage.personae(
            *("ray", "app", "--cpu", "--replicas", "1", "--model-source", str(model.resolve())),
            *("--host", "127.0.0.1", "--port", str(engine_port)),
        )
        began = time.monotonic()
        cluster.deploy(document)
        cluster.wait_for_replicas(1, seconds=500)
        stage.figures["the first replica answers, from `serve deploy`, s"] = (
            time.monotonic() - began
        )
        with _gateway(stage, folder / "gateway.log"):
            yield stage
    print("\nfigures of this run:")
    for name, figure in stage.figures.items():
        shown = f"{figure:.2f}" if isinstance(figure, float) else figure
        print(f"  {name}: {shown}")


class _gateway:
    """`personae up --no-bots` until it is ready; SIGINT at the end."""

    def __init__(self, stage: Stage, log: Path) -> None:
        self._stage, self._log = stage, log

    def __enter__(self) -> None:
        command = [sys.executable, "-m", "personae.cli", "--config"]
        command += [str(self._stage.configuration), "up", "--no-bots"]
        with self._log.open("w") as output:
            self._process = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=REPOSITORY,
                env=self._stage.cluster.environment | {"PYTHONUNBUFFERED": "1"},
            )
        deadline = time.monotonic() + 400
        while "Ctrl-C stops everything." not in self._log.read_text():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.5)

    def __exit__(self, *_ended: object) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise


async def test_a_voice_from_the_store_answers_and_differs_from_the_base(stage):
    """Both shipped voices were adopted: put in the store, fetched by the replica, heard by the canary."""
    async with stage.client() as client:
        meta, lincoln = await answered(client, "lincoln")
        assert meta.adapter_version == stage.registry.versions("lincoln")[-1].name
        _, roosevelt = await answered(client, "roosevelt")
        _, base = await answered(client, "pg")
        assert len({lincoln, roosevelt, base}) == 3
        first = []
        for number in range(5):
            began = time.monotonic()
            await answered(client, "lincoln", f"What of the number {number}?")
            first.append(time.monotonic() - began)
    stage.figures["an answer of 40 tokens, median of 5, s"] = statistics.median(first)


async def test_publishing_reload_and_rollback(stage):
    """`personae adapters publish` puts a version there before; a reload then only has to warm it up."""
    live = stage.registry.versions("lincoln")[-1].name
    add_scaled_version(stage.registry, "lincoln")
    newest = stage.registry.versions("lincoln")[-1].name
    assert "is in s3://" in stage.personae("adapters", "publish", "lincoln")
    assert "was already in" in stage.personae("adapters", "publish", "lincoln", newest)
    async with stage.client() as client:
        _, before = await answered(client, "lincoln")
        began = time.monotonic()
        outcome = await client.reload("lincoln", AdapterChange(actor="test"))
        stage.figures["reload to a version no replica has, s"] = time.monotonic() - began
        assert (outcome.live, outcome.previous) == (newest, live)
        meta, after = await answered(client, "lincoln")
        assert meta.adapter_version == newest and after != before
        began = time.monotonic()
        outcome = await client.rollback("lincoln", AdapterChange(actor="test"))
        stage.figures["rollback, s"] = time.monotonic() - began
        assert outcome.live == live
        _, again = await answered(client, "lincoln")
        assert again == before


async def test_a_replica_is_added_while_people_ask(stage):
    """As an autoscaler does it: a number given to Ray. It comes up on whichever node has room."""
    async with stage.client() as client:
        asking = asyncio.create_task(_keep_asking(client))
        began = time.monotonic()
        await asyncio.to_thread(stage.cluster.scale, 2, deployment_name(BASE))
        await asyncio.to_thread(stage.cluster.wait_for_replicas, 2, seconds=500)
        stage.figures["a second replica answers, from asking for it, s"] = time.monotonic() - began
        asking.cancel()
        answers, failures = await asking
    assert not failures, failures
    stage.figures["answers while it came"] = answers
    nodes = {replica["node_id"] for replica in stage.cluster.running()}
    stage.figures["nodes with replicas"] = len(nodes)


async def test_a_replica_dies_and_questions_go_on(stage):
    """SIGKILL to one replica among two while people ask: those it was answering may fail with a time to come
    back; all that are asked afterwards are answered, at once, by the other one."""
    await asyncio.to_thread(stage.cluster.wait_for_replicas, 2, seconds=60)
    victim = stage.cluster.running()[0]["pid"]
    async with stage.client() as client:
        asking = [asyncio.create_task(_keep_asking(client, every=0.0)) for _ in range(3)]
        await asyncio.sleep(3)
        os.kill(victim, signal.SIGKILL)
        killed = time.monotonic()
        _, _ = await _until_answered(client)
        stage.figures["first whole answer asked after a replica was killed, s"] = (
            time.monotonic() - killed
        )
        await asyncio.sleep(15)
        for task in asking:
            task.cancel()
        ended = [await task for task in asking]
        failures = [failure for _, failed in ended for failure in failed]
        assert len(failures) <= 2 * len(asking), failures  # what was under way then
        assert all(err.retry_after_seconds for _, err in failures), failures
        stage.figures["answers around the kill"] = sum(answers for answers, _ in ended)
        stage.figures["answers that broke off"] = len(failures)
        await asyncio.to_thread(stage.cluster.wait_for_replicas, 2, without=victim, seconds=500)
        stage.figures["Ray has replaced it after, s"] = time.monotonic() - killed
        meta, _ = await answered(client, "lincoln")
        assert meta.adapter_version


async def answered(
    client: GatewayClient, persona: str, question: str = QUESTION
) -> tuple[Meta, str]:
    """A greedy answer. Raises the error it ended with."""
    request = AskRequest(persona=persona, question=question, temperature=0, max_tokens=40)
    events = [event async for event in client.stream(request)]
    if isinstance(events[-1], ErrorEvent):
        raise from_wire(events[-1].model_dump())
    meta = next(event for event in events if isinstance(event, Meta))
    return meta, "".join(event.text for event in events if isinstance(event, Delta))


async def _keep_asking(
    client: GatewayClient, *, every: float = 0.5
) -> tuple[int, list[tuple[float, PersonaeError]]]:
    """Until cancelled: (answers, (when, error) of what failed)."""
    answers = 0
    failures = []
    try:
        while True:
            try:
                await answered(client, "lincoln" if answers % 2 else "roosevelt")
                answers += 1
            except PersonaeError as err:
                failures.append((time.monotonic(), err))
            await asyncio.sleep(every)
    except asyncio.CancelledError:
        return answers, failures


async def _until_answered(client: GatewayClient) -> tuple[Meta, str]:
    while True:
        try:
            return await answered(client, "lincoln")
        except PersonaeError:
            await asyncio.sleep(0.2)
