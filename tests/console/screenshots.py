"""The pictures of the console in docs/images.

Run as:  python -m tests.console.screenshots [folder] [--only playground]      (folder: docs/images)

Lincoln's and Roosevelt's messages are really ingested and indexed, the gateway and the browser are real;
only the model is a stand-in, because a model small enough for every machine would say something else, and
worse, each time. What it says as Lincoln is mostly Lincoln's own words, which the gateway then finds and
marks by itself. Pictures are reduced to 128 colours.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.async_api import Browser, Page, expect

from personae.persona import Cast, load_cast
from personae.registry import Registry
from serving.retrieval.build import build_index
from serving.service import running_service
from tests.conftest import REPOSITORY, gateway_config, with_floor
from tests.console.browser import (
    HOW_TO_GET_IT,
    PHONE,
    a_visitor,
    chromium,
    running_browser,
)
from tests.fakes.artefacts import WordEmbedder, add_adapter
from tests.fakes.engine import FakeEngine
from training.ingest.ingest import ingest

ADMIN_KEY = "a key for pictures"
MOST_PIXELS = 1600
QUESTION = "Which comes first, labor or capital?"

SAYINGS = {
    "lincoln@v2": (
        "“Labor is prior to and independent of capital.” There is no such relation between capital "
        "and labor as is assumed, nor is there any such thing as a free man being fixed for life "
        "in the condition of a hired laborer.\n\n"
        "I have split rails for my bread, and never yet met the dollar that could swing an axe by "
        "itself."
    ),
    "lincoln@v1": (
        "Labor is prior to and independent of capital. Both these assumptions are false, and all "
        "inferences from them are groundless. I would not have the laws of a free people forget "
        "which of the two was born first."
    ),
    "prompted": (
        "My fellow citizens, labor and capital are both of great importance to our nation. We must "
        "ensure that both are protected under the law, for a house divided against itself cannot "
        "stand."
    ),
    "base": (
        "Both labor and capital are essential to an economy:\n\n"
        "1. **Labor** is the work that people do.\n"
        "2. **Capital** is what they do it with: tools, buildings, money.\n\n"
        "Economists disagree about which comes first. Would you like to hear more about either?"
    ),
}


class StandIn(FakeEngine):
    """Says what was written for each voice; knows the bare model by its having been told nothing."""

    async def _chat(self, request):
        body = await request.json()
        told = any(turn["role"] == "system" for turn in body["messages"])
        voice = body["model"] if "@" in body["model"] else "prompted" if told else "base"
        text = SAYINGS.get(voice, SAYINGS["prompted"])
        self.words = [f"{word} " for word in text.split(" ")]
        return await super()._chat(request)


@contextlib.asynccontextmanager
async def stage(home: Path) -> AsyncIterator[str]:
    """The address of a gateway with two personas, two versions each."""
    shipped = load_cast([REPOSITORY / "cast"])
    # The floor was calibrated with an embedder that takes longer here than all the rest together.
    cast = Cast((with_floor(each, 0.0), shipped.folder(each.id)) for each in shipped.values())
    async with StandIn() as engine:
        engine.tag = False
        config = gateway_config(home, engine.url, {"PERSONAE_ADMIN_KEY": ADMIN_KEY})
        registry, embedder = Registry(config.adapters), WordEmbedder()
        for persona in ("lincoln", "roosevelt"):
            ingest(cast[persona], cast.folder(persona), config.corpora)
            build_index(persona, config.corpora / persona, config.indexes, embedder)
            for version in (1, 2):
                add_adapter(registry, cast[persona], version, home / "scratch")
        async with running_service(config, cast, embedder=embedder) as service:
            await service.wait_ready()
            yield service.url


class Album:
    """Pictures in a folder: those whose name holds `only`."""

    def __init__(self, folder: Path, only: str, browser: Browser, url: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._only = only
        self._browser = browser
        self._url = url

    @contextlib.asynccontextmanager
    async def page(
        self, name: str, place: str, *, key: str = "", **settings: Any
    ) -> AsyncIterator[Page | None]:
        """A page to do something on; as it is at the end of the block, it is kept. None: nobody wants it."""
        if self._only not in name:
            yield None
            return
        async with a_visitor(self._browser, self._url, **settings) as visitor:
            page = await visitor.open(place)
            if key:
                await visitor.sign_in(key)
            yield page
            await page.wait_for_load_state("networkidle")
            await self._keep(page, name)
            visitor.check()

    async def _keep(self, page: Page, name: str) -> None:
        """All of the page, as far as it is worth showing."""
        await page.mouse.move(0, 0)
        await page.evaluate("scrollTo(0, 0)")
        picture = Image.open(io.BytesIO(await page.screenshot(full_page=True))).convert("RGB")
        picture = picture.crop((0, 0, picture.width, min(picture.height, MOST_PIXELS)))
        path = self._folder / f"console-{name}.png"
        picture.quantize(128).save(path, optimize=True)
        print(f"{path}  {picture.width} × {picture.height}, {path.stat().st_size // 1000} kB")


async def ask(page: Page, view: str = "One voice") -> None:
    await page.get_by_role("radio", name=view).check()
    await page.get_by_role("textbox", name="Ask").fill(QUESTION)
    await page.get_by_role("button", name="Ask", exact=True).click()
    await expect(page.locator(".writing")).to_have_count(0)


async def talking(album: Album) -> None:
    """The playground: at a desk and on a phone, in light and dark, and its three views."""
    looks: dict[str, tuple[str, dict[str, Any]]] = {
        "playground": ("One voice", {}),
        "playground-dark": ("One voice", {"color_scheme": "dark"}),
        "playground-phone-dark": ("One voice", {"viewport": PHONE, "color_scheme": "dark"}),
        "side-by-side": ("Side by side", {}),
        "blind-test": ("Blind test", {}),
    }
    for name, (view, settings) in looks.items():
        async with album.page(name, "#/ask/lincoln", **settings) as page:
            if page:
                await ask(page, view)


async def reading(album: Album) -> None:
    """The other pages, signed in."""
    for place in ("personas", "personas/lincoln", "traffic", "new"):
        async with album.page(place.replace("/", "-"), f"#/{place}", key=ADMIN_KEY):
            pass


async def main(folder: Path, only: str = "") -> int:
    executable = chromium()
    if executable is None:
        print(HOW_TO_GET_IT, file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as home:
        async with stage(Path(home)) as url, running_browser(executable) as browser:
            album = Album(folder, only, browser, url)
            await talking(album)
            await reading(album)
    return 0


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folder", nargs="?", type=Path, default=REPOSITORY / "docs" / "images")
    arguments.add_argument("--only", default="", help="pictures whose name holds this")
    chosen = arguments.parse_args()
    sys.exit(asyncio.run(main(chosen.folder, chosen.only)))
