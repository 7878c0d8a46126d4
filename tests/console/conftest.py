"""The console before a real gateway over a fake engine, and a browser to look at it with.

Browser, gateway and tests share one event loop for the whole session: Chromium is started once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser
from pytest_asyncio import is_async_test

from personae.persona import Cast
from tests.conftest import RunningGateway, gateway_over
from tests.console.browser import HOW_TO_GET_IT, Visitor, a_visitor, chromium, running_browser
from tests.fakes.engine import FakeEngine

# What the fake engine says: words of the test corpus, so that there is something to quote and to back.
QUOTING = (
    "“The Union must be kept whole by every loyal hand.” ",
    "So I wrote, ",
    "and **so I hold**. ",
    "Labor stands before capital and deserves the higher thought. ",
    "Of the moon I know nothing.",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    for item in here:
        if is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    executable = chromium()
    if executable is None:
        pytest.skip(HOW_TO_GET_IT)
    async with running_browser(executable) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def engine() -> AsyncIterator[FakeEngine]:
    async with FakeEngine() as engine:
        engine.words = list(QUOTING)
        yield engine


@pytest_asyncio.fixture(loop_scope="session")
async def gateway(tmp_path: Path, cast: Cast, engine: FakeEngine) -> AsyncIterator[RunningGateway]:
    async with gateway_over(engine, cast, tmp_path) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(browser: Browser, gateway: RunningGateway) -> AsyncIterator[Visitor]:
    """Somebody at a desk who has not signed in. After the test: nothing went wrong in the page."""
    async with a_visitor(browser, gateway.url) as visitor:
        yield visitor
        visitor.check()
