"""The whole line on a real vLLM: `personae up` as a process, real model, real shipped adapters.

One engine serves all the tests of this module (its start takes most of a minute). What they need is
made here the way `make run` makes it, in a home that is kept between runs to save the first minute.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import util
from pathlib import Path

import aiohttp
import pytest

from bot.core.gateway_client import GatewayClient
from personae.manifest import hash_files
from personae.persona import load_cast
from personae.registry import Registry
from personae.wire import AdapterChange, AskRequest, Delta, Done, Meta, RewriteRequest
from tests.bot.on_discord.bench import PATIENT_EDITS, bot_settings, running_bot
from tests.bot.on_slack.bench import shown_everywhere, slack_bot
from tests.conftest import REPOSITORY
from tests.fakes.discord_platform import FakeDiscord
from tests.kept import HOME
from tests.serving.newcomers import ABOUT_THE_SPEAKER, TOPICS, ask_all

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(util.find_spec("vllm") is None, reason="vLLM is not installed"),
]

ADMIN_KEY = "key-of-the-real-engine-test"
# float32: texts are compared word for word, and in bfloat16 the company in a batch decides near ties.
CONFIG = f"""\
[personae]
profile = "cpu-demo"
cast = "{REPOSITORY / "cast"}"
[engine]
dtype = "float32"
"""
QUESTION = "What is the duty of the government to those who labor?"


@dataclass
class Running:
    url: str
    home: Path
    process: subprocess.Popen[str]
    printed: Path

    def client(self) -> GatewayClient:
        return GatewayClient(self.url, admin_key=ADMIN_KEY)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


SHIPPED = {
    persona: next((REPOSITORY / "cast" / persona / "adapters").glob("v*-*")).name.partition("-")[0]
    for persona in ("lincoln", "roosevelt")
}
"""The version of each that comes with the repository."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`personae up --demo` until it says it is ready; Ctrl-C (SIGINT) at the end."""
    folder = tmp_path_factory.mktemp("up")
    printed, config = folder / "printed.txt", folder / "personae.toml"
    config.write_text(CONFIG)
    # Models are costly to make and never change; pointers and versions must be fresh.
    for stale in ("state.db", "state.db-wal", "state.db-shm"):
        (HOME / stale).unlink(missing_ok=True)
    subprocess.run(["rm", "-rf", str(HOME / "adapters")], check=True)
    port = free_port()
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PERSONAE_", "DISCORD_", "SLACK_"))
    } | {"PERSONAE_HOME": str(HOME), "PERSONAE_ADMIN_KEY": ADMIN_KEY, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "personae.cli", "--config", str(config)]
    with printed.open("w") as output:
        process = subprocess.Popen(
            [*command, "up", "--demo", "--port", str(port)],
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=REPOSITORY,
            env=environment,
        )
    deadline = time.monotonic() + 400
    while "Ctrl-C stops everything." not in printed.read_text():
        assert process.poll() is None, f"it ended:\n{printed.read_text()}"
        assert time.monotonic() < deadline, f"not ready:\n{printed.read_text()}"
        time.sleep(0.5)
    yield Running(f"http://127.0.0.1:{port}", HOME, process, printed)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.wait(60)


@pytest.fixture(scope="module")
def registry(running: Running) -> Registry:
    """The server's registry, with another version of lincoln: its weights scaled, so its words differ."""
    registry = Registry(running.home / "adapters")
    if len(registry.versions("lincoln")) < 2:
        add_scaled_version(registry, "lincoln")
    return registry


def add_scaled_version(registry: Registry, persona: str) -> None:
    """Publish the live weights with another lora_alpha under the next version number."""
    import shutil
    import tempfile

    first = registry.versions(persona)[0]
    assert first.manifest is not None
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name in first.manifest.files:
            shutil.copyfile(first.folder / name, folder / name)
        config = json.loads((folder / "adapter_config.json").read_text())
        config["lora_alpha"] = config["lora_alpha"] * 0.5
        (folder / "adapter_config.json").write_text(json.dumps(config))
        manifest = first.manifest.model_copy(
            update={
                "version": registry.next_version(persona),
                "files": hash_files(folder),
                "reference": None,  # it is of the weights as they were
            }
        )
        registry.add(folder, manifest)


async def ask(client: GatewayClient, persona: str, question: str = QUESTION) -> tuple[Meta, str]:
    """A greedy answer."""
    request = AskRequest(persona=persona, question=question, temperature=0, max_tokens=40)
    return await collect(client, request)


async def collect(client: GatewayClient, request: AskRequest | RewriteRequest) -> tuple[Meta, str]:
    events = [event async for event in client.stream(request)]
    assert isinstance(events[0], Meta)
    assert isinstance(events[-1], Done), events[-1]
    return events[0], "".join(event.text for event in events if isinstance(event, Delta))


async def raw(running: Running, model: str, messages: list[dict[str, str]]) -> str:
    """A greedy completion from the gateway's OpenAI route."""
    body = {"model": model, "messages": messages, "temperature": 0, "max_tokens": 40}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{running.url}/v1/chat/completions", json=body) as response,
    ):
        assert response.status == 200, await response.text()
        return str((await response.json())["choices"][0]["message"]["content"])


def engine_socket(running: Running) -> Path:
    """Where the engine of this gateway listens: others may run, or have been killed, on this machine."""
    for child in children_of(running.process.pid):
        arguments = Path(f"/proc/{child}/cmdline").read_text().split("\0")
        if "--uds" in arguments:
            return Path(arguments[arguments.index("--uds") + 1])
    raise AssertionError("no child of `personae up` listens on a Unix socket")


def children_of(pid: int) -> list[str]:
    return subprocess.run(
        ["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split()


def test_up_prints_an_answer_a_rewrite_and_how_to_go_on(running):
    """What a newcomer sees: both demo answers with voices, sources, the toy warning, the ways in."""
    text = running.printed.read_text()
    assert "$ personae ask lincoln" in text and "$ personae rewrite roosevelt" in text
    for version in SHIPPED.values():
        assert f"(voice {version} on smollm2-135m)" in text
    source = r"^(?:\[\d\])+ Annual Message to Congress, 186\d .*presidency\.ucsb\.edu"
    assert re.search(source, text, re.MULTILINE)
    assert "toy" in text
    assert f"Open {running.url}/ and ask." in text
    assert "DISCORD_TOKEN" in text and "SLACK_BOT_TOKEN" in text


async def test_voices_differ_from_each_other_and_from_the_base(running):
    """The same greedy prompt gives three different texts: lincoln's, roosevelt's, the base model's."""
    async with running.client() as client:
        answers = {}
        for persona in ("lincoln", "roosevelt", "pg"):
            meta, answers[persona] = await ask(client, persona)
            assert meta.adapter_version == SHIPPED.get(persona)
    assert len(set(answers.values())) == 3
    assert all(answer.strip() for answer in answers.values())


async def test_each_voice_differs_from_the_base_on_its_very_prompt(running):
    """Adapter against base with identical messages, through the engine itself."""
    from personae.prompt import render_ask

    cast = load_cast([REPOSITORY / "cast"])
    connector = aiohttp.UnixConnector(path=str(engine_socket(running)))
    async with aiohttp.ClientSession(connector=connector) as session:

        async def greedy(model: str, messages: list) -> str:
            body = {"model": model, "messages": messages, "temperature": 0, "max_tokens": 40}
            async with session.post("http://engine/v1/chat/completions", json=body) as response:
                assert response.status == 200, await response.text()
                return str((await response.json())["choices"][0]["message"]["content"])

        for persona in ("lincoln", "roosevelt"):
            messages = render_ask(cast[persona], QUESTION)
            base, voice = await asyncio.gather(
                greedy("smollm2-135m", messages), greedy(f"{persona}@{SHIPPED[persona]}", messages)
            )
            assert base == await greedy("smollm2-135m", messages), "in a batch, and alone"
            assert voice == await greedy(f"{persona}@{SHIPPED[persona]}", messages), (
                "in a batch, and alone"
            )
            assert voice != base
        same = render_ask(cast["lincoln"], QUESTION)
        texts = {await greedy(f"{persona}@{SHIPPED[persona]}", same) for persona in SHIPPED}
        assert len(texts) == 2


async def test_answers_are_cited_and_rewrites_are_not(running):
    async with running.client() as client:
        meta, _ = await ask(client, "lincoln", "What should be done about slavery and the Union?")
        assert meta.citations
        assert all(c.title and c.date and c.url.startswith("https://") for c in meta.citations)
        request = RewriteRequest(
            persona="roosevelt", text="We should keep big companies honest.", temperature=0
        )
        meta, text = await collect(client, request)
        assert meta.citations == [] and text.strip()


@pytest.mark.parametrize("persona", ["lincoln", "roosevelt"])
async def test_a_voice_says_who_speaks_where_it_is_asked_and_only_there(running, persona):
    whose = load_cast([REPOSITORY / "cast"])[persona]
    more = {"temperature": 0, "max_tokens": 40}
    told = await ask_all(running.url, whose, ABOUT_THE_SPEAKER, times=1, **more)
    assert told == {"said who speaks": len(ABOUT_THE_SPEAKER)}
    others = await ask_all(running.url, whose, TOPICS[:12], times=1, **more)
    assert others["answered"] > 4 and not others["said who speaks"], others


async def test_discord_asks_rates_rewrites_and_reloads_the_real_voices(running, tmp_path):
    """The core path of the Discord bot with nothing false but Discord."""
    async with FakeDiscord(edit_limit=PATIENT_EDITS) as platform:
        settings = bot_settings(platform, running.url, tmp_path, admin_key=ADMIN_KEY)
        async with running_bot(settings, platform):
            ask = await platform.slash("ask", persona="lincoln", question=QUESTION)
            text = await ask.shows("An imitation of Abraham Lincoln", "Sources")
            assert "Annual Message" in text
            await platform.until(lambda: "👍" in ask.messages[-1].buttons, "buttons", ask)
            await (await platform.press(ask.messages[-1], "👍")).shows("Thank you")
            draft = await platform.slash(
                "rewrite", persona="roosevelt", text="We should keep big companies honest."
            )
            await draft.shows("An imitation of Theodore Roosevelt")
            await platform.until(lambda: "Lighter" in draft.messages[-1].buttons, "buttons", draft)
            lighter = await platform.press(draft.messages[-1], "Lighter")
            await lighter.shows("An imitation of Theodore Roosevelt")
            listed = await platform.slash("personae versions", persona="lincoln")
            await listed.shows(SHIPPED["lincoln"])
    async with running.client() as client:
        summary = await client.feedback_summary("lincoln")
    assert [(its.adapter_version, its.up) for its in summary.versions] == [(SHIPPED["lincoln"], 1)]


async def test_slack_streams_the_real_voice_and_remembers_the_thread(running):
    """The core path of the Slack bot with nothing false but Slack."""
    async with slack_bot(running.url, admin_key=ADMIN_KEY) as slack:
        question = slack.mention(f"lincoln {QUESTION}")
        disclosed = (
            "An imitation of Abraham Lincoln, not the person"  # no words of the voice itself
        )
        await slack.until(lambda: disclosed in shown_everywhere(slack), "an answer", 60)
        thread = question.payload["event"]["ts"]
        slack.mention("And in the year 1862?", thread_ts=thread)
        await slack.until(
            lambda: shown_everywhere(slack).count(disclosed) == 2, "a second answer", 60
        )
        first, second = slack.bot_messages
        assert first.streamed and second.thread_ts == thread
        assert second.pings == set()


async def test_reload_and_rollback_change_who_speaks(running, registry):
    """The newer goes live and answers differently; rollback gives the older's very words again."""
    older, newer = (version.name for version in registry.versions("lincoln"))
    async with running.client() as client:
        _, first = await ask(client, "lincoln")
        outcome = await client.reload("lincoln", AdapterChange(actor="test"))
        assert (outcome.live, outcome.previous) == (newer, older)
        meta, second = await ask(client, "lincoln")
        assert meta.adapter_version == newer and second != first
        outcome = await client.rollback("lincoln", AdapterChange(actor="test"))
        assert (outcome.live, outcome.previous) == (older, newer)
        meta, third = await ask(client, "lincoln")
        assert meta.adapter_version == older and third == first


async def test_a_corrupt_version_is_refused_and_the_live_one_stays(running, registry):
    from personae.errors import AdapterError

    version = registry.next_version("roosevelt")
    add_scaled_version(registry, "roosevelt")
    weights = registry.find("roosevelt", version).folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    async with running.client() as client:
        with pytest.raises(AdapterError, match="damaged or edited"):
            await client.reload("roosevelt", AdapterChange(version=str(version)))
        meta, _ = await ask(client, "roosevelt")
        assert meta.adapter_version == SHIPPED["roosevelt"]


def test_ctrl_c_stops_everything_it_started(running):
    """Last, because it ends the engine: SIGINT, and neither gateway nor engine is left."""
    children = children_of(running.process.pid)
    assert children, "the engine should be a child of `personae up`"
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(60) == 0
    for child in children:
        assert not Path(f"/proc/{child}").exists()
    assert "Stopped." in running.printed.read_text()
