"""What breaks for real, on a real vLLM: processes killed and stopped, files gone and damaged, a full disk.

One `personae up` serves the module. Faults are signals and files; nothing is patched. Whatever
happens, every client gets an answer, quoted passages or a sentence, `adapter_version` names who
spoke, and the service comes back without a hand.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from importlib import util
from pathlib import Path

import aiohttp
import psutil
import pytest

from personae.manifest import ADAPTER_WEIGHTS
from personae.registry import Registry
from serving.bench.load import Gateway, Reply, one_after_another
from serving.bench.prompts import QUESTIONS
from tests.conftest import REPOSITORY
from tests.kept import furnish
from tests.test_real_engine import add_scaled_version, free_port

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(util.find_spec("vllm") is None, reason="vLLM is not installed"),
]

ADMIN_KEY = "key-of-the-fault-tests"
STREAMS = 8
QUESTION = "What is the duty of the government to those who labor?"
# float32: texts are compared word for word, and in bfloat16 what else is in the engine decides near ties.
CONFIG = """\
[personae]
profile = "cpu-demo"
cast = "{cast}"
[gateway]
port = {port}
[engine]
dtype = "float32"
heartbeat_seconds = 6
[deadlines]
first_token_seconds = 40
between_tokens_seconds = 20
drain_seconds = 2
"""
# The ledger lives on a file system of its own, which a test fills. Only this process tree sees it.
ON_A_SMALL_DISK = 'mount -t tmpfs -o size=16m none "$1" && shift && exec "$@"'


@dataclass
class Server:
    url: str
    home: Path
    ledger: Path
    """Folder of the ledger's database, on the small disk if there is one."""
    has_small_disk: bool
    process: subprocess.Popen[bytes]
    printed: Path

    @property
    def registry(self) -> Registry:
        return Registry(self.home / "adapters")

    def gateway(self) -> Gateway:
        return Gateway(self.url, admin_key=ADMIN_KEY)

    def engine(self) -> psutil.Process:
        """vLLM's API server: the child that listens on a Unix socket."""
        for child in psutil.Process(self.process.pid).children():
            if "--uds" in child.cmdline():
                return child
        raise AssertionError("the engine is not running")

    async def streams_in_engine(self) -> int:
        """How many answers the engine is writing, by its own count."""
        command = self.engine().cmdline()
        socket = command[command.index("--uds") + 1]
        connector = aiohttp.UnixConnector(path=socket)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get("http://engine/metrics") as response,
        ):
            lines = (await response.text()).splitlines()
        counts = [
            line.split()[-1] for line in lines if line.startswith("vllm:num_requests_running")
        ]
        return int(sum(map(float, counts)))


def small_disks_work() -> bool:
    command = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"]
    with contextlib.suppress(OSError):
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    return False


def answering_cast(folder: Path) -> Path:
    """The shipped cast, which answers what it has not written about too: the engine is to be busy."""
    shutil.copytree(REPOSITORY / "cast", folder)
    for file in folder.glob("*/persona.toml"):
        text = file.read_text(encoding="utf-8")
        assert "[retrieval]\n" in text
        file.write_text(
            text.replace("[retrieval]\n", "[retrieval]\nfloor = 0.0\n"), encoding="utf-8"
        )
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`personae up` on a home that has what never changes, until it is ready."""
    home = tmp_path_factory.mktemp("faults")
    ledger = home / "ledger"
    ledger.mkdir()
    furnish(home)
    port = free_port()
    config = home / "personae.toml"
    config.write_text(CONFIG.format(cast=answering_cast(home / "cast"), port=port))
    command = [sys.executable, "-m", "personae.cli", "--config", str(config), "up", "--no-bots"]
    has_small_disk = small_disks_work()
    if has_small_disk:
        command = ["unshare", "-rm", "sh", "-c", ON_A_SMALL_DISK, "sh", str(ledger), *command]
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PERSONAE_", "DISCORD_", "SLACK_"))
    } | {
        "PERSONAE_HOME": str(home),
        "PERSONAE_ADMIN_KEY": ADMIN_KEY,
        "PERSONAE_DATABASE_URL": f"sqlite:///{ledger / 'state.db'}",
    }
    printed = home / "printed.txt"
    with printed.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, cwd=REPOSITORY, env=environment
        )
    server = Server(f"http://127.0.0.1:{port}", home, ledger, has_small_disk, process, printed)
    try:
        deadline = time.monotonic() + 400
        while "Ctrl-C stops everything." not in printed.read_text():
            assert process.poll() is None, f"it ended:\n{printed.read_text()}"
            assert time.monotonic() < deadline, f"not ready:\n{printed.read_text()}"
            time.sleep(0.5)
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture
async def gateway(server: Server) -> AsyncIterator[Gateway]:
    async with server.gateway() as gateway:
        yield gateway


async def full_answer(gateway: Gateway, number: int) -> Reply:
    """An answer to its own end, 20 to 90 tokens; everybody is somebody else."""
    persona = ("lincoln", "roosevelt")[number % 2]
    question = f"{QUESTIONS[number % len(QUESTIONS)]} ({number})"
    return await gateway.ask(
        persona, question, max_tokens=120, user=f"person-{number}", key=persona
    )


class Crowd:
    """Clients that ask without pause while something breaks.

    As `async with Crowd(…) as crowd`: the block begins when all of them have answers under way, and
    ends when each has the reply to its last question; `replies` are all of them.
    """

    def __init__(self, server: Server, gateway: Gateway) -> None:
        self.replies: Sequence[Reply] = []
        self._server, self._gateway = server, gateway
        self._until = asyncio.Event()

    async def __aenter__(self) -> Crowd:
        self._load = asyncio.create_task(
            one_after_another(STREAMS, self._ask, until=self._until), name="crowd"
        )
        async with asyncio.timeout(60):
            while await self._server.streams_in_engine() < STREAMS - 1:
                await asyncio.sleep(0.1)
        return self

    def ask_no_more(self) -> None:
        """Whoever has an answer under way waits for its end, and nobody asks again."""
        self._until.set()

    async def __aexit__(self, *_exception: object) -> None:
        self.ask_no_more()
        # Every promise has an end: waiting for the first word, then for the next ones.
        async with asyncio.timeout(120):
            self.replies = await self._load

    async def _ask(self, client: int, asked: int) -> Reply:
        reply = await full_answer(self._gateway, asked * STREAMS + client)
        if reply.error is not None or reply.finish_reason == "quoted":
            await asyncio.sleep(1.0)
        return reply

    def require_a_word_for_everybody(self) -> None:
        """Each has an end, or an error with a sentence for people; nothing is cut off silently."""
        assert len(self.replies) >= STREAMS
        for reply in self.replies:
            if reply.error is not None:
                assert reply.message and reply.message.endswith("."), reply
            else:
                assert reply.text.strip(), reply


async def live(gateway: Gateway) -> dict[str, str | None]:
    """Who speaks: persona → version, None for prompt only."""
    return {name: card["adapter_version"] for name, card in (await cards(gateway)).items()}


async def cards(gateway: Gateway) -> dict[str, dict]:
    status, listed = await gateway.call("GET", "/v1/personas")
    assert status == 200
    return {card["id"]: card for card in listed["personas"]}


async def newest_change(gateway: Gateway, persona: str) -> dict:
    status, history = await gateway.call("GET", f"/admin/adapters/{persona}/history")
    assert status == 200
    return history["entries"][0]


async def last_done(gateway: Gateway, persona: str) -> dict:
    """The newest entry of the history that moved the pointer."""
    _status, history = await gateway.call("GET", f"/admin/adapters/{persona}/history")
    return next(entry for entry in history["entries"] if entry["outcome"] == "done")


async def until_readyz_is(gateway: Gateway, ready: bool, seconds: float = 240) -> None:
    async with asyncio.timeout(seconds):
        while await gateway.answers("/readyz") != ready:
            await asyncio.sleep(0.2)


async def spoken(gateway: Gateway, persona: str) -> Reply:
    """A short greedy answer, alone in the engine."""
    reply = await gateway.ask(persona, QUESTION, max_tokens=16)
    assert reply.error is None, reply
    return reply


async def test_a_damaged_version_is_refused_under_load(server: Server, gateway: Gateway):
    """The live one goes on, no stream ends early, and the refusal is in the history."""
    before = await live(gateway)
    version = server.registry.next_version("lincoln")
    add_scaled_version(server.registry, "lincoln")
    folder = server.registry.find("lincoln", version).folder
    weights = folder / ADAPTER_WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-100])
    async with Crowd(server, gateway) as crowd:
        status, refusal = await gateway.call("POST", "/admin/adapters/lincoln/reload", {})
        assert status == 409 and "damaged" in refusal["error"]["message"]
        assert (await newest_change(gateway, "lincoln"))["outcome"] == "refused"
    assert [reply.error for reply in crowd.replies if reply.error] == []
    assert {reply.version for reply in crowd.replies} == {before["lincoln"], before["roosevelt"]}
    assert await live(gateway) == before
    shutil.rmtree(folder)  # the next tests take the newest version


async def test_a_full_disk_refuses_changes_and_nothing_else(server: Server, gateway: Gateway):
    """A change that can't be written down is not made; with space it is made."""
    if not server.has_small_disk:
        pytest.skip("needs `unshare -rm` (user and mount namespaces) for a small disk")
    before = await live(gateway)
    version = server.registry.next_version("lincoln")
    add_scaled_version(server.registry, "lincoln")
    # The server's own view of the file system: the small disk is mounted for it alone.
    ballast = Path(f"/proc/{server.process.pid}/root{server.ledger}") / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (1 << 16, 1 << 12, 1):
            with pytest.raises(OSError) as full:
                while True:
                    file.write(b"\0" * size)
            assert full.value.errno == errno.ENOSPC
    async with Crowd(server, gateway) as crowd:
        status, refusal = await gateway.call("POST", "/admin/adapters/lincoln/reload", {})
        assert status >= 400, refusal
        assert refusal["error"]["message"].endswith("."), refusal
        assert refusal["error"]["code"] != "internal_error", refusal
        assert await live(gateway) == before
    assert [reply.error for reply in crowd.replies if reply.error] == []
    assert {reply.version for reply in crowd.replies} == {before["lincoln"], before["roosevelt"]}
    ballast.unlink()
    status, outcome = await gateway.call("POST", "/admin/adapters/lincoln/reload", {})
    assert (status, outcome.get("live")) == (200, f"v{version}"), outcome
    assert (await spoken(gateway, "lincoln")).version == f"v{version}"


async def test_a_killed_engine_comes_back_with_its_voices(server: Server, gateway: Gateway):
    """kill -9 of vLLM's API server with eight answers under way."""
    before = await live(gateway)
    assert before["lincoln"] and before["roosevelt"]
    texts = {persona: (await spoken(gateway, persona)).text for persona in ("lincoln", "roosevelt")}
    killed = server.engine().pid
    async with Crowd(server, gateway) as crowd:
        os.kill(killed, signal.SIGKILL)
        await until_readyz_is(gateway, False)
        await until_readyz_is(gateway, True)
    crowd.require_a_word_for_everybody()
    assert any(reply.error for reply in crowd.replies), "nobody was in the engine when it died"
    assert server.engine().pid != killed
    assert await live(gateway) == before
    for persona, text in texts.items():
        reply = await spoken(gateway, persona)
        assert (reply.version, reply.text) == (before[persona], text)
        assert (await last_done(gateway, persona))["after"] == before[persona]


async def test_a_hung_engine_is_found_and_replaced(server: Server, gateway: Gateway):
    """SIGSTOP of engine core and workers: `/health` of vLLM stays green, ours must not."""
    before = await live(gateway)
    hung = server.engine()
    inner = hung.children(recursive=True)
    assert inner, "vLLM's engine core should be a child of its API server"
    async with Crowd(server, gateway) as crowd:
        for process in inner:
            process.send_signal(signal.SIGSTOP)
        await until_readyz_is(gateway, False)
        await until_readyz_is(gateway, True)
    crowd.require_a_word_for_everybody()
    assert server.engine().pid != hung.pid
    _gone, alive = psutil.wait_procs([hung, *inner], timeout=10)
    assert not alive
    assert await live(gateway) == before
    assert (await spoken(gateway, "lincoln")).version == before["lincoln"]


async def test_a_version_whose_files_are_gone_is_not_said_to_speak(
    server: Server, gateway: Gateway, tmp_path: Path
):
    """After a restart of the engine the personas answer without it, say so, and take it back later.

    Roosevelt has a version before the lost one; Lincoln loses all of his.
    """
    before = await live(gateway)
    earlier = before["roosevelt"]
    words = {("roosevelt", earlier): (await spoken(gateway, "roosevelt")).text}
    add_scaled_version(server.registry, "roosevelt")
    status, outcome = await gateway.call("POST", "/admin/adapters/roosevelt/reload", {})
    assert status == 200, outcome
    before = await live(gateway)
    for persona in ("lincoln", "roosevelt"):
        words[persona, before[persona]] = (await spoken(gateway, persona)).text
    lost: list[tuple[Path, Path]] = []
    for persona, versions in (
        ("lincoln", server.registry.versions("lincoln")),
        ("roosevelt", [server.registry.find("roosevelt")]),
    ):
        lost += [(v.folder, tmp_path / f"{persona}-{v.folder.name}") for v in versions]
    for folder, aside in lost:
        shutil.move(folder, aside)
    async with Crowd(server, gateway) as crowd:
        for process in server.engine().children(recursive=True):  # its API server is left to see it
            process.kill()
        await until_readyz_is(gateway, False)
        await until_readyz_is(gateway, True)
    crowd.require_a_word_for_everybody()
    shown = await cards(gateway)
    assert shown["lincoln"]["adapter_version"] is None and shown["lincoln"]["notice"]
    assert shown["roosevelt"]["adapter_version"] in (earlier, None)
    assert shown["roosevelt"]["notice"]
    for persona in ("lincoln", "roosevelt"):
        reply = await spoken(gateway, persona)
        assert reply.version == shown[persona]["adapter_version"] != before[persona]
        assert reply.text == words.get((persona, reply.version), reply.text)
    for folder, aside in lost:
        shutil.move(aside, folder)
    for persona in ("lincoln", "roosevelt"):
        wanted = before[persona]
        status, outcome = await gateway.call(
            "POST", f"/admin/adapters/{persona}/reload", {"version": wanted}
        )
        assert (status, outcome.get("live")) == (200, wanted), outcome
        reply = await spoken(gateway, persona)
        assert (reply.version, reply.text) == (wanted, words[persona, wanted])


async def test_sigterm_in_mid_answer_cuts_nobody_off_without_a_word(
    server: Server, gateway: Gateway
):
    """Last, because it ends the server: exit code 0, no process left, every stream has an end.

    Two seconds of draining are enough for some answers and too short for others, on the machines where this
    was looked at.
    """
    processes = psutil.Process(server.process.pid).children(recursive=True)
    async with Crowd(server, gateway) as crowd:
        crowd.ask_no_more()
        assert await server.streams_in_engine()
        server.process.send_signal(signal.SIGTERM)
    crowd.require_a_word_for_everybody()
    for reply in crowd.replies:
        assert reply.status == 200, reply
        assert reply.events[-1] in ("done", "error"), reply
    assert await asyncio.to_thread(server.process.wait, 60) == 0, server.printed.read_text()
    _gone, alive = psutil.wait_procs(processes, timeout=5)
    assert not alive
