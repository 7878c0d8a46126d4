"""The pages of personas: who speaks, with which voice, and putting another voice in charge."""

from __future__ import annotations

import re

import aiohttp
import pytest
from playwright.async_api import expect

from tests.console.browser import PHONE, a_visitor


async def history(gateway, persona: str = "lincoln") -> list[dict[str, str]]:
    """Newest first."""
    headers = {"Authorization": f"Bearer {gateway.admin_key}"}
    async with (
        aiohttp.ClientSession(gateway.url, headers=headers) as http,
        http.get(f"/admin/adapters/{persona}/history") as response,
    ):
        entries: list[dict[str, str]] = (await response.json())["entries"]
    return entries


async def test_everybody_is_shown_with_their_voice(visitor):
    page = await visitor.open("#/personas")
    cards = page.get_by_role("main").get_by_role("listitem")
    lincoln = cards.filter(has=page.get_by_role("heading", name="Abraham Lincoln"))
    await expect(lincoln).to_contain_text("Voice v1")
    await expect(lincoln).to_contain_text("v2 waits")
    await expect(lincoln).to_contain_text("2 passages")
    graham = cards.filter(has=page.get_by_role("heading", name="Paul Graham"))
    await expect(graham).to_contain_text("Prompt only")
    await lincoln.get_by_role("link", name="Abraham Lincoln").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Abraham Lincoln")


async def test_one_persona_tells_what_it_is_made_of(visitor):
    """Corpus, index, rights, prompts and disclosure can be read by everybody."""
    page = await visitor.open("#/personas/lincoln")
    main = page.get_by_role("main")
    await expect(main).to_contain_text("An imitation of Abraham Lincoln, not the person.")
    for heading, text in (
        ("Corpus", "Documents2"),
        ("Index", "Passages2"),
        ("Rights", "public domain"),
        ("Sources", "sotu"),
    ):
        part = main.locator("section").filter(
            has=page.get_by_role("heading", name=heading, exact=True)
        )
        await expect(part).to_contain_text(text)
    await page.get_by_text("Prompts and sampling").click()
    await expect(page.get_by_text("You are an imitation of Abraham Lincoln.")).to_be_visible()
    await page.get_by_role("link", name="Talk to it").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Ask Abraham Lincoln")


async def test_without_the_key_nothing_can_be_changed_and_the_page_says_why(visitor):
    page = await visitor.open("#/personas/lincoln")
    put = page.get_by_role("button", name="Put v2 in charge")
    await expect(put).to_be_disabled()
    why = await put.get_attribute("aria-describedby")
    await expect(page.locator(f"#{why}")).to_have_text(
        "Sign in with the admin key to put it in charge."
    )
    await expect(page.get_by_role("button", name="Train", exact=True)).to_be_disabled()


async def test_a_version_is_put_in_charge_and_taken_back(visitor, gateway):
    """Each asks first, keeps the reason, and the page then shows what is so."""
    page = await visitor.open("#/personas/lincoln")
    await visitor.sign_in(gateway.admin_key)
    await page.get_by_role("button", name="Put v2 in charge").click()
    asked = page.get_by_role("dialog")
    await expect(asked).to_contain_text("speaks with v1 now")
    await asked.get_by_label("Reason").fill("livelier in rewrites")
    await asked.get_by_role("button", name="Put v2 in charge").click()
    live = page.locator("li.version.live")
    await expect(live.get_by_role("heading")).to_have_text("v2")
    await expect(page.get_by_role("heading", level=1)).to_be_focused()
    assert (await history(gateway))[0]["reason"] == "livelier in rewrites"
    row = page.get_by_role("row").filter(has_text="livelier in rewrites")
    await expect(row).to_contain_text("v1 → v2")
    await page.get_by_role("button", name="Roll back to v1").click()
    await page.get_by_role("dialog").get_by_label("Reason").fill("too lively")
    await page.get_by_role("dialog").get_by_role("button", name="Roll back to v1").click()
    await expect(live.get_by_role("heading")).to_have_text("v1")
    newest = (await history(gateway))[0]
    assert (newest["action"], newest["surface"], newest["actor"]) == (
        "rollback",
        "console",
        "console",
    )


async def test_going_away_from_the_question_changes_nothing(visitor, gateway):
    before = len(await history(gateway))
    page = await visitor.open("#/personas/lincoln")
    await visitor.sign_in(gateway.admin_key)
    await page.get_by_role("button", name="Put v2 in charge").click()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    assert len(await history(gateway)) == before


async def test_a_refused_version_says_why_and_the_other_stays(visitor, gateway, engine):
    engine.refuse_next_load = "the rank is too high"
    page = await visitor.open("#/personas/lincoln")
    await visitor.sign_in(gateway.admin_key)
    await page.get_by_role("button", name="Put v2 in charge").click()
    asked = page.get_by_role("dialog")
    await asked.get_by_role("button", name="Put v2 in charge").click()
    await expect(asked.get_by_role("alert")).to_contain_text("the rank is too high")
    await asked.get_by_role("button", name="Cancel").click()
    live = page.locator("li.version.live")
    await expect(live.get_by_role("heading")).to_have_text("v1")


async def test_who_is_no_longer_signed_in_can_sign_in_again(visitor, gateway):
    """A session ends by itself; the header then says so, without losing the page."""
    page = await visitor.open("#/personas/lincoln")
    await visitor.sign_in(gateway.admin_key)
    await page.context.clear_cookies()
    await page.get_by_role("button", name="Put v2 in charge").click()
    asked = page.get_by_role("dialog")
    await asked.get_by_role("button", name="Put v2 in charge").click()
    await expect(asked.get_by_role("alert")).to_contain_text("admin key")
    await asked.get_by_role("button", name="Cancel").click()
    await visitor.sign_in(gateway.admin_key)


async def test_a_report_opens_in_a_sandbox(browser, gateway):
    """What a version brought along can't run scripts here."""
    version = gateway.registry.versions("lincoln")[0]
    (version.folder / "report.html").write_text(
        "<h1>Measured</h1><script>document.title='ran'</script>"
    )
    async with a_visitor(browser, gateway.url) as visitor:
        page = await visitor.open("#/personas/lincoln")
        async with page.context.expect_page() as opened:
            await page.get_by_role("link", name="Evaluation report").click()
        report = await opened.value
        await expect(report.get_by_role("heading", name="Measured")).to_be_visible()
        assert await report.title() != "ran"


@pytest.mark.parametrize(
    "place", ["#/personas", "#/personas/lincoln", "#/new", "#/training", "#/traffic"]
)
async def test_nothing_is_wider_than_a_phone(browser, gateway, place):
    async with a_visitor(browser, gateway.url, viewport=PHONE) as visitor:
        page = await visitor.open(place)
        await page.wait_for_load_state("networkidle")
        scrolled, inner = await page.evaluate("[document.scrollingElement.scrollWidth, innerWidth]")
        assert scrolled <= inner
        visitor.check()


@pytest.mark.parametrize("name", ["nobody", "no%body"])
async def test_a_persona_that_is_not_there(visitor, name):
    """Also where an address was mangled on its way."""
    page = await visitor.open(f"#/personas/{name}")
    await expect(page.get_by_role("alert")).to_contain_text(re.compile("no persona", re.IGNORECASE))
    await expect(page.get_by_role("button", name="Try again")).to_be_visible()
