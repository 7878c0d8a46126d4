"""Personas come, change and go while the gateway runs: over the real app, with real files."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from personae.persona import Cast, Persona, load_persona
from personae.registry import Registry
from serving.live_cast import CastChange, CastFolders, LiveCast
from serving.retrieval.build import build_index
from serving.service import running_service
from tests.conftest import REPOSITORY, RunningGateway, gateway_config
from tests.fakes.artefacts import WordEmbedder, add_adapter, write_test_corpus


class Visitor:
    def __init__(self, http: aiohttp.ClientSession, gateway: RunningGateway) -> None:
        self.http = http
        self.gateway = gateway
        self.own = gateway.config.own_cast

    async def get(self, path: str) -> Any:
        async with self.http.get(path) as response:
            return await response.json()

    async def cards(self) -> dict[str, Any]:
        return {card["id"]: card for card in (await self.get("/v1/personas"))["personas"]}

    async def ask(self, persona: str) -> tuple[int, Any]:
        body = {"persona": persona, "question": "What of the Union?", "stream": False}
        async with self.http.post("/v1/ask", json=body) as response:
            return response.status, await response.json()

    def write(self, persona: str, *changes: tuple[str, str]) -> Path:
        """Lincoln's file under another name, put in place as the console does, or changed there."""
        path = self.own / persona / "persona.toml"
        text = (REPOSITORY / "cast" / "lincoln" / "persona.toml").read_text()
        for old, new in (('id = "lincoln"', f'id = "{persona}"'), *changes):
            assert old in text
            text = text.replace(old, new)
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".new")
        aside.write_text(text)
        aside.replace(path)
        return path

    async def is_listed(self) -> bool:
        return "ada" in await self.cards()

    async def is_gone(self) -> bool:
        return not await self.is_listed()

    async def speaks(self) -> bool:
        return (await self.cards()).get("ada", {}).get("adapter_version") == "v1"

    async def with_a_voice(self) -> Persona:
        """Ada, once she speaks with an adapter of her own."""
        persona = load_persona(self.write("ada"))
        add_adapter(self.gateway.registry, persona, 1, self.gateway.config.home / "scratch")
        await until(self.speaks)
        return persona


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await true():
            await asyncio.sleep(0.05)


@pytest.fixture
async def visitor(gateway: RunningGateway) -> AsyncIterator[Visitor]:
    async with aiohttp.ClientSession(gateway.url) as http:
        yield Visitor(http, gateway)


async def test_a_persona_that_appears_answers_by_prompt_at_once(visitor: Visitor):
    """Nobody restarts anything: it is listed, asked, has a model name and feedback of its own."""
    assert (await visitor.ask("ada"))[0] == 404
    visitor.write("ada")
    await until(visitor.is_listed)
    status, answer = await visitor.ask("ada")
    assert status == 200
    assert answer["text"].startswith("[smollm2-135m]")
    assert "prompt only" in answer["meta"]["notice"]
    models = [model["id"] for model in (await visitor.get("/v1/models"))["data"]]
    assert {"ada", "ada:rewrite"} <= set(models)
    views = (await visitor.get("/console/api/personas"))["personas"]
    assert [view["own"] for view in views if view["id"] == "ada"] == [True]
    async with visitor.http.get("/metrics") as response:
        assert 'personae_waiting{persona="ada"}' in await response.text()


async def test_its_index_and_its_adapter_are_taken_up_when_they_come(visitor: Visitor):
    gateway = visitor.gateway
    persona = load_persona(visitor.write("ada"))
    await until(visitor.is_listed)
    write_test_corpus(gateway.config.corpora / "ada", "ada")
    build_index("ada", gateway.config.corpora / "ada", gateway.config.indexes, WordEmbedder())

    async def indexed() -> bool:
        return bool((await visitor.cards())["ada"]["passages"] == 2)

    await until(indexed)
    assert (await visitor.ask("ada"))[1]["meta"]["citations"]
    add_adapter(gateway.registry, persona, 1, gateway.config.home / "scratch")
    admin = {"Authorization": f"Bearer {gateway.admin_key}"}
    async with visitor.http.post("/admin/adapters/ada/reload", headers=admin, json={}) as response:
        assert response.status == 200, await response.text()
    assert (await visitor.ask("ada"))[1]["text"].startswith("[ada@v1]")


async def test_one_that_comes_with_its_adapter_speaks_with_it(visitor: Visitor):
    """The newest version that fits goes live, as at the first start; and a version beside the file counts."""
    gateway = visitor.gateway
    path = visitor.write("ada")
    await asyncio.to_thread(shutil.move, path.parent, gateway.config.home / "aside")
    persona = gateway.cast["lincoln"].model_copy(update={"id": "ada"})
    version = add_adapter(gateway.registry, persona, 4, gateway.config.home / "scratch")
    shipped = gateway.config.home / "aside" / "adapters" / version.folder.name
    shutil.copytree(version.folder, shipped)
    shutil.rmtree(version.folder)
    (gateway.config.home / "aside").rename(path.parent)

    async def speaks() -> bool:
        return (await visitor.cards()).get("ada", {}).get("adapter_version") == "v4"

    await until(speaks)
    assert (await visitor.ask("ada"))[1]["text"].startswith("[ada@v4]")


async def test_one_that_goes_is_gone_and_its_adapter_with_it(visitor: Visitor):
    gateway = visitor.gateway
    await visitor.with_a_voice()
    shutil.rmtree(visitor.own / "ada")
    await until(visitor.is_gone)
    status, answer = await visitor.ask("ada")
    assert (status, answer["error"]["code"]) == (404, "unknown_persona")
    adapters = next(iter(gateway.service.bases)).adapters
    adapters._loaded._unload_grace_seconds = 0.0

    async def unloaded() -> bool:
        await adapters.reconcile()
        return not any(name.startswith("ada@") for name in gateway.engine.adapters)

    await until(unloaded)
    assert any(name.startswith("lincoln@") for name in gateway.engine.adapters)
    assert not adapters._leaving
    visitor.write("ada")
    await until(visitor.speaks)


async def test_an_answer_under_way_ends_though_its_persona_goes(visitor: Visitor):
    visitor.write("ada")
    await until(visitor.is_listed)
    visitor.gateway.engine.seconds_between = 0.5
    asking = asyncio.create_task(visitor.ask("ada"))
    await asyncio.sleep(0.3)
    shutil.rmtree(visitor.own / "ada")
    await until(visitor.is_gone)
    status, answer = await asking
    assert (status, answer["done"]["finish_reason"]) == (200, "stop")


async def test_new_prompts_put_the_adapter_out_of_office_and_the_old_ones_back(visitor: Visitor):
    """It was trained on the others: the persona says so, answers by prompt, and its own voice comes back."""
    gateway = visitor.gateway
    persona = await visitor.with_a_voice()
    words = persona.ask.system.split("\n")[0][:20]
    visitor.write("ada", (words, f"Be brief. {words}"))

    async def told() -> bool:
        return "trained with other prompts" in ((await visitor.cards())["ada"]["notice"] or "")

    await until(told)
    _, answer = await visitor.ask("ada")
    assert answer["text"].startswith("[smollm2-135m]")
    system = gateway.engine.requests[-1]["messages"][0]["content"]
    assert system.startswith("Be brief.")
    visitor.write("ada")
    await until(visitor.speaks)
    assert (await visitor.cards())["ada"]["notice"] is not None  # no sources, nothing else
    assert "prompts" not in (await visitor.cards())["ada"]["notice"]


async def test_a_change_that_touches_no_prompt_leaves_the_adapter_alone(visitor: Visitor):
    gateway = visitor.gateway
    persona = await visitor.with_a_voice()
    loads = len(gateway.engine.loads)
    visitor.write("ada", (f'display_name = "{persona.display_name}"', 'display_name = "Ada"'))

    async def renamed() -> bool:
        return bool((await visitor.cards())["ada"]["display_name"] == "Ada")

    await until(renamed)
    assert (await visitor.cards())["ada"]["adapter_version"] == "v1"
    assert len(gateway.engine.loads) == loads


async def test_a_broken_file_leaves_what_was_and_says_why(visitor: Visitor):
    path = visitor.write("ada")
    await until(visitor.is_listed)
    path.write_text(path.read_text() + "\ncolour = 1\n[")

    async def told() -> bool:
        return bool((await visitor.get("/console/api/personas"))["problems"])

    await until(told)
    (problem,) = (await visitor.get("/console/api/personas"))["problems"]
    assert problem["persona"] == "ada"
    assert "not readable as TOML" in problem["message"]
    assert "answers as before the change" in (await visitor.cards())["ada"]["notice"]
    assert (await visitor.ask("ada"))[0] == 200
    visitor.write("ada")

    async def mended() -> bool:
        return not (await visitor.get("/console/api/personas"))["problems"]

    await until(mended)


async def test_a_new_file_that_is_broken_harms_nobody(visitor: Visitor):
    (visitor.own / "eve").mkdir(parents=True)
    (visitor.own / "eve" / "persona.toml").write_text('id = "eve"\n')
    (visitor.own / ".hidden").mkdir()
    (visitor.own / ".hidden" / "persona.toml").write_text("[")
    visitor.write("lincoln")  # there is one already, in the first folder

    async def told() -> bool:
        return len((await visitor.get("/console/api/personas"))["problems"]) == 2

    await until(told)
    problems = (await visitor.get("/console/api/personas"))["problems"]
    assert [problem["persona"] for problem in problems] == ["eve", "lincoln"]
    assert "taken by" in problems[1]["message"]
    assert set(await visitor.cards()) == {"lincoln", "pg", "roosevelt", "wbw"}
    assert (await visitor.cards())["lincoln"]["adapter_version"] == "v1"


async def test_a_gateway_without_personas_waits_for_its_first(engine, tmp_path):
    """Whoever removes the last one can start it again, and make another."""
    config = gateway_config(tmp_path, engine.url)
    config = config.model_copy(update={"cast": [config.own_cast]})
    async with running_service(config, Cast([]), embedder=WordEmbedder()) as service:
        await service.wait_ready()
        gateway = RunningGateway(
            service.url, "", engine, service, Registry(config.adapters), Cast([]), config
        )
        async with aiohttp.ClientSession(service.url) as http:
            visitor = Visitor(http, gateway)
            assert await visitor.cards() == {}
            visitor.write("ada")

            async def answers() -> bool:
                return (await visitor.ask("ada"))[0] == 200

            await until(answers)


async def test_a_look_that_is_cancelled_leaves_the_change_to_the_next(tmp_path: Path):
    """The console asks for one, and whoever leaves its page cancels it."""
    cast = LiveCast(Cast([]))
    changes: list[CastChange] = []

    async def follow(change: CastChange) -> None:
        changes.append(change)

    folders = CastFolders(cast, [tmp_path], follow=follow)
    (tmp_path / "lincoln").mkdir()
    shutil.copy(REPOSITORY / "cast" / "lincoln" / "persona.toml", tmp_path / "lincoln")
    looking = asyncio.create_task(folders.refresh())
    await asyncio.sleep(0)
    time.sleep(0.3)  # its thread comes to the end, and the event loop does not hear of it
    looking.cancel()
    await asyncio.wait({looking})
    assert looking.cancelled() and not cast
    await folders.refresh()
    assert list(cast) == ["lincoln"]
    assert [change.joined for change in changes] == [["lincoln"]]
