"""axe-core finds nothing on any page: signed in or not, light or dark, at a desk or on a phone."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.console.accessibility import HOW_TO_GET_IT, axe_core, violations
from tests.console.browser import DESK, PHONE, a_visitor

PAGES = ["#/", "#/personas", "#/personas/lincoln", "#/new", "#/training", "#/traffic", "#/nowhere"]


@pytest.fixture(scope="session")
def axe() -> str:
    script = axe_core()
    if script is None:
        pytest.skip(HOW_TO_GET_IT)
    return script


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("signed_in", [False, True], ids=["reading", "signed in"])
async def test_every_page(browser, gateway, axe, scheme, signed_in):
    size = PHONE if signed_in else DESK
    async with a_visitor(browser, gateway.url, color_scheme=scheme, viewport=size) as visitor:
        page = await visitor.open()
        if signed_in:
            await visitor.sign_in(gateway.admin_key)
        for place in PAGES:
            await visitor.open(place)
            await page.wait_for_load_state("networkidle")
            assert await violations(page, axe) == [], f"{place}, {scheme}"
        visitor.check()


@pytest.mark.parametrize("view", ["One voice", "Side by side", "Blind test"])
async def test_answers(visitor, axe, view):
    page = await visitor.open("#/ask/lincoln")
    await page.get_by_role("radio", name=view).check()
    await page.get_by_role("textbox", name="Ask").fill("What of the Union and its laws?")
    await page.get_by_role("button", name="Ask", exact=True).click()
    await expect(page.locator(".words").last).to_contain_text("Labor stands")
    await page.get_by_text("Options").click()
    await page.wait_for_load_state("networkidle")
    assert await violations(page, axe) == []


async def test_the_form_to_sign_in(visitor, axe):
    page = await visitor.open()
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    assert await violations(page, axe) == []
