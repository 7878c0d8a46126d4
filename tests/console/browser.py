"""A person before the console: a real Chromium, a real page, and a watch on everything the page does.

In: the address of a gateway. Out: `Visitor`s, whose `page` is Playwright's. Every visitor notes what the
page asked the network for and what went wrong in it; `Visitor.check()` fails for an error in a script, for
a request to another host and for what the page's own security policy refused. Chromium is the machine's
(Debian's package `chromium`), never one that Playwright would fetch.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright, expect

NAMES = ("chromium", "chromium-browser", "google-chrome")
HOW_TO_GET_IT = "no Chromium here: apt install chromium"

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}

# A browser of its own accord asks its maker's hosts for updates and features; here it must not.
_ARGUMENTS = (
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-default-apps", "--no-pings"),
    *("--disable-dev-shm-usage", "--disable-features=Translate,OptimizationHints,MediaRouter"),
)


def chromium() -> str | None:
    """Where the machine's Chromium is."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.asynccontextmanager
async def running_browser(executable: str) -> AsyncIterator[Browser]:
    """Chromium without a window, until the block ends."""
    # Its sandbox needs another user than root, whom containers and CI run as.
    alone = ("--no-sandbox",) if os.geteuid() == 0 else ()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable, args=[*_ARGUMENTS, *alone]
        )
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Visitor:
    """Somebody at the console.

    Attributes:
        url: of the gateway.
        requests: addresses the page asked for, in order.
        complaints: errors of scripts and refusals of the browser; a reply of 4xx or 5xx is none.
    """

    page: Page
    url: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> Self:
        self.page.on("request", self._asked)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return self

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)

    def _said(self, message: ConsoleMessage) -> None:
        # Chromium writes a line for every reply of 4xx and 5xx; the page shows those to the person.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    async def open(self, place: str = "#/") -> Page:
        """The page of a place such as "#/personas", when it has said what it is."""
        await self.page.goto(f"{self.url}/{place}")
        await self.page.locator("main h1").wait_for()
        return self.page

    async def sign_in(self, key: str) -> None:
        """By the form in the header."""
        await self.page.get_by_role("button", name="Sign in", exact=True).first.click()
        form = self.page.get_by_role("dialog")
        await form.get_by_label("Admin key").fill(key)
        await form.get_by_role("button", name="Sign in", exact=True).click()
        await self.page.get_by_role("button", name="Sign out").wait_for()

    def check(self) -> None:
        """Nothing went wrong in the page, and it asked nobody but its gateway."""
        assert self.complaints == []
        assert self.requests, "the watch saw no request at all"
        home = urlsplit(self.url).netloc
        strangers = [
            url
            for url in self.requests
            if urlsplit(url).netloc != home and not url.startswith(("data:", "blob:"))
        ]
        assert strangers == []


@contextlib.asynccontextmanager
async def a_visitor(browser: Browser, url: str, **settings: Any) -> AsyncIterator[Visitor]:
    """A person with a browser profile of their own; `settings` are those of a Playwright context."""
    context = await browser.new_context(**{"viewport": DESK, "reduced_motion": "reduce"} | settings)
    context.set_default_timeout(20_000)
    expect.set_options(timeout=20_000)
    try:
        yield Visitor(await context.new_page(), url).watch()
    finally:
        await context.close()


def text_files(folder: Path, texts: dict[str, str]) -> list[Path]:
    """Writing as a newcomer has it: a folder of text files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]
