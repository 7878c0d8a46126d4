"""The playground, as a person uses it: a real browser before a real gateway."""

from __future__ import annotations

import asyncio
import re

import aiohttp
import pytest
from playwright.async_api import Page, Route, expect

from tests.conftest import gateway_over
from tests.console.browser import PHONE, a_visitor

QUESTION = "What of the Union and its laws?"


async def ask(page: Page, question: str = QUESTION) -> None:
    await page.get_by_role("textbox", name="Ask").fill(question)
    await page.get_by_role("button", name="Ask", exact=True).click()


async def choose(page: Page, option: str) -> None:
    """One of the switches above the question."""
    await page.get_by_role("radio", name=option, exact=True).check()


async def rate_summary(gateway, persona: str = "lincoln") -> dict[str, tuple[int, int]]:
    """Ratings up and down of each version."""
    headers = {"Authorization": f"Bearer {gateway.admin_key}"}
    async with (
        aiohttp.ClientSession(gateway.url, headers=headers) as http,
        http.get(f"/admin/feedback/{persona}") as response,
    ):
        versions = (await response.json())["versions"]
    return {kept["adapter_version"]: (kept["up"], kept["down"]) for kept in versions}


async def test_a_question_is_answered_with_its_sources(visitor):
    """The words come in, each source leads to its link, and what is quoted is marked as quoted."""
    page = await visitor.open()
    await page.get_by_role("radio", name="Abraham Lincoln").check()
    await ask(page)
    answer = page.get_by_role("article", name="Abraham Lincoln")
    await expect(answer).to_contain_text("Labor stands before capital")
    await expect(answer).to_contain_text("An imitation of Abraham Lincoln, not the person.")
    await expect(answer).to_contain_text("Voice v1 on smollm2-135m")
    source = answer.get_by_role("link", name="Message on the Union").first
    await expect(source).to_have_attribute("href", "https://example.org/1862")
    await expect(source).to_have_attribute("rel", "noopener noreferrer")
    await expect(answer.locator(".mark.quote").first).to_contain_text("The Union must be kept")
    await expect(answer.locator(".words strong")).to_have_text("so I hold")
    await expect(answer).to_contain_text("quoted word for word")
    await answer.get_by_role("button", name="Source 1").first.click()
    await expect(answer.locator("li.shown")).to_be_focused()


async def test_a_follow_up_is_understood_by_the_conversation(visitor, engine):
    page = await visitor.open("#/ask/lincoln")
    await ask(page)
    await expect(page.get_by_role("button", name="Good")).to_have_count(1)
    await ask(page, "And of labor?")
    await expect(page.get_by_role("button", name="Good")).to_have_count(2)
    said = [turn["content"] for turn in engine.requests[-1]["messages"]]
    assert any(QUESTION in turn for turn in said[:-1])
    assert any("Labor stands before capital" in turn for turn in said[:-1])
    await page.get_by_role("button", name="Start anew").click()
    await expect(page.get_by_role("article")).to_have_count(0)
    await ask(page, "And now?")
    await expect(page.get_by_role("button", name="Good")).to_have_count(1)
    assert not any(QUESTION in turn["content"] for turn in engine.requests[-1]["messages"])


async def test_what_was_asked_stays_while_other_pages_are_looked_at(visitor):
    page = await visitor.open("#/ask/lincoln")
    await ask(page)
    await expect(page.get_by_role("button", name="Good")).to_have_count(1)
    await page.get_by_role("link", name="Traffic").click()
    await expect(page.get_by_role("heading", level=1)).to_be_focused()
    await page.get_by_role("link", name="Playground").click()
    await expect(page.get_by_role("article")).to_contain_text("Labor stands before capital")


async def test_rewriting_and_what_it_changed(visitor, engine):
    """The text goes with the strength that was chosen; words that came and went can be seen."""
    page = await visitor.open("#/ask/lincoln")
    await choose(page, "Rewrite")
    await choose(page, "Strong")
    await page.get_by_role("textbox", name="Rewrite as").fill(
        "Labor sits before capital and so I hold."
    )
    await page.get_by_role("button", name="Rewrite", exact=True).click()
    await page.get_by_role("button", name="Show what changed").click()
    await expect(page.locator("del").first).to_be_visible()
    await expect(page.locator("ins").first).to_be_visible()
    assert "Labor sits" in engine.requests[-1]["messages"][-1]["content"]
    await page.get_by_role("button", name="Show what changed").click()
    await expect(page.locator("ins")).to_have_count(0)


async def test_nothing_can_be_chosen_before_the_personas_are_there(visitor):
    """Somebody quicker than the network finds no switch that would work on nothing."""
    there = asyncio.Event()

    async def late(route: Route) -> None:
        await there.wait()
        await route.continue_()

    await visitor.page.route("**/console/api/personas", late)
    page = await visitor.open("#/ask/lincoln")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Playground")
    await expect(page.get_by_role("radio")).to_have_count(0)
    await expect(page.get_by_text("There is no persona yet")).to_have_count(0)
    there.set()
    await choose(page, "Side by side")
    await expect(page.get_by_role("checkbox", name=re.compile("^Voice v1"))).to_be_checked()


async def test_where_there_is_no_persona_every_switch_still_works(visitor):
    await visitor.page.route(
        "**/console/api/personas", lambda route: route.fulfill(json={"personas": []})
    )
    page = await visitor.open()
    for view in ("Side by side", "Blind test", "Rewrite"):
        await choose(page, view)
        await expect(page.get_by_role("link", name="Make the first one")).to_be_visible()
    await expect(page.get_by_role("group", name="Voices, at most 4")).to_have_count(0)
    await expect(page.get_by_text("A blind test needs two voices")).to_have_count(0)


async def test_voices_side_by_side(visitor, engine):
    """The version in charge, another one, the prompt alone and the bare model, each asked as itself."""
    page = await visitor.open("#/ask/lincoln")
    await choose(page, "Side by side")
    for voice in ("Voice v1", "Voice v2", "Prompt only", "Base model"):
        held = page.get_by_role("checkbox", name=re.compile(f"^{voice}"))
        await expect(held).to_be_checked()
    engine.requests.clear()
    await ask(page)
    for voice, model in (
        *(("Voice v1", "lincoln@v1"), ("Voice v2", "lincoln@v2")),
        *(("Prompt only", "smollm2-135m"), ("Base model", "smollm2-135m")),
    ):
        column = page.get_by_role("article", name=voice)
        await expect(column).to_contain_text(f"[{model}]")
        await expect(column.locator(".disclosure")).to_be_visible()
    await expect(page.get_by_role("article", name="Base model")).to_contain_text("not a persona")
    asked = [(chat["model"], len(chat["messages"])) for chat in engine.requests]
    models = sorted(model for model, _ in asked if not model.endswith("canary"))
    assert {"lincoln@v1", "lincoln@v2", "smollm2-135m"} <= set(models)
    # A bare model can't be rated as a voice of the persona.
    await expect(page.get_by_role("button", name="Good")).to_have_count(3)


async def test_a_blind_vote_counts_as_feedback(visitor, gateway, engine):
    """Names come after the vote, and the better answer is kept as liked, beside the one it beat."""
    engine.tag = False
    page = await visitor.open("#/ask/lincoln")
    await choose(page, "Blind test")
    await ask(page)
    a, b = page.get_by_role("article", name="A"), page.get_by_role("article", name="B")
    await expect(a).to_contain_text("Labor stands")
    await expect(b).to_contain_text("Labor stands")
    vote = page.get_by_role("button", name="A is better")
    await expect(vote).to_be_visible()
    assert not re.search(r"\bv[12]\b|Voice", await page.locator(".columns").inner_text())
    await vote.click()
    told = page.get_by_text("It counts as feedback")
    await expect(told).to_be_visible()
    await expect(page.get_by_role("group", name="Your vote")).to_be_focused()
    winner = re.search(r"You preferred Voice (v\d) to Voice (v\d)", await told.inner_text())
    assert winner is not None and winner[1] != winner[2]
    assert (await rate_summary(gateway))[winner[1]] == (1, 0)
    await expect(page.get_by_role("article", name="A: Voice")).to_be_visible()
    await expect(page.get_by_text("preferred 1 of 1")).to_be_visible()


async def test_a_blind_test_with_a_voice_that_did_not_speak_is_none(visitor, gateway, engine):
    """Where the version in charge spoke for another one, a vote would say something untrue."""
    engine.refuse_next_load = "no room for another adapter"
    page = await visitor.open("#/ask/lincoln")
    await choose(page, "Blind test")
    await ask(page)
    await expect(page.get_by_text("Voice v2 did not speak")).to_be_visible()
    await expect(page.get_by_role("button", name="A is better")).to_have_count(0)
    assert await rate_summary(gateway) == {}


async def test_a_rating_can_be_given_reasoned_and_taken_back(visitor, gateway):
    page = await visitor.open("#/ask/lincoln")
    await ask(page)
    poor = page.get_by_role("button", name="Poor")
    await poor.click()
    await expect(poor).to_have_attribute("aria-pressed", "true")
    await page.get_by_label("What was wrong?").fill("The moon has nothing to do with it.")
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_text("Thank you.")).to_be_visible()
    await expect(poor).to_be_focused()
    assert (await rate_summary(gateway))["v1"] == (0, 1)
    await page.get_by_role("button", name="Good").click()
    await expect(page.get_by_text("Noted for v1.")).to_be_visible()
    assert (await rate_summary(gateway))["v1"] == (1, 0)
    await page.get_by_role("button", name="Good").click()
    await expect(page.get_by_text("Taken back.")).to_be_visible()
    assert (await rate_summary(gateway)).get("v1", (0, 0)) == (0, 0)


async def test_an_answer_can_be_stopped(visitor, engine):
    """The engine stops working on it too, and what had come stays."""
    engine.hang_after = 2
    page = await visitor.open("#/ask/lincoln")
    await ask(page)
    answer = page.get_by_role("article")
    await expect(answer).to_contain_text("[lincoln@v1]")
    await answer.get_by_role("button", name="Stop").click()
    await expect(answer).to_contain_text("Stopped.")
    await expect(answer.get_by_role("heading").first).to_be_focused()
    async with asyncio.timeout(30):
        while not engine.aborted:
            await asyncio.sleep(0.05)


async def test_starting_anew_ends_the_answer_under_way(visitor, engine):
    """Nobody can see or stop it any more, so the engine must not go on."""
    engine.hang_after = 2
    page = await visitor.open("#/ask/lincoln")
    await ask(page)
    await expect(page.get_by_role("article")).to_contain_text("[lincoln@v1]")
    await page.get_by_role("button", name="Start anew").click()
    async with asyncio.timeout(30):
        while not engine.aborted:
            await asyncio.sleep(0.05)


async def test_a_voice_chosen_of_one_persona_is_not_asked_of_another(visitor):
    page = await visitor.open("#/ask/lincoln")
    await page.get_by_text("Options").click()
    voice = page.get_by_label("Who answers")
    await voice.select_option("v2")
    for persona, name in (("pg", "Paul Graham"), ("lincoln", "Abraham Lincoln")):
        await page.evaluate("id => { location.hash = `#/ask/${id}` }", persona)
        await expect(page.get_by_role("heading", level=1)).to_have_text(f"Ask {name}")
    await expect(voice).to_have_value("live")


async def test_a_failure_is_told_in_the_gateways_words(visitor, engine):
    engine.full = True
    page = await visitor.open("#/ask/lincoln")
    await ask(page)
    alert = page.get_by_role("article").get_by_role("alert")
    await expect(alert).not_to_be_empty()
    engine.full = False
    await page.get_by_role("button", name="Again").click()
    await expect(page.get_by_role("article").last).to_contain_text("Labor stands")


async def test_an_answer_that_breaks_off_says_so(visitor, engine):
    engine.die_after = 2
    page = await visitor.open("#/ask/lincoln")
    await ask(page)
    await expect(page.get_by_role("article").get_by_role("alert")).not_to_be_empty()


async def test_nothing_a_model_says_becomes_a_script_or_an_image(visitor, engine):
    """Markup stays text, and only addresses of the web become links."""
    engine.words = [
        "<img src=x onerror=alert(1)> <script>alert(2)</script> ",
        "[click](javascript:alert(3)) [here](https://example.org/a) ",
        "![picture](https://evil.example/p.png)\n\n- one\n- **two**\n\n```\n<b>code</b>\n```\n",
    ]
    page = await visitor.open("#/ask/lincoln")
    await ask(page)
    words = page.locator(".words")
    await expect(words).to_contain_text("<img src=x onerror=alert(1)>")
    await expect(words).to_contain_text("<b>code</b>")
    assert await words.locator("img, script, b").count() == 0
    hrefs = await words.locator("a").evaluate_all("links => links.map(link => link.href)")
    assert hrefs and all(href.startswith("https://") for href in hrefs)
    assert not await words.locator('a[href^="javascript"]').count()
    await expect(words.locator("li strong")).to_have_text("two")


async def test_an_answer_is_heard_in_whole_sentences(visitor, engine):
    """People who hear the page are not interrupted at every word."""
    engine.tag = False
    sentences = "It is a long and a winding road to the Union. We walk it."
    engine.words = re.findall(r"\S+ ?", sentences)
    page = await visitor.open("#/ask/lincoln")
    await ask(page)
    log = page.get_by_role("log").locator("p")
    await expect(log.filter(has_text="The answer has ended")).to_have_count(1)
    said = await log.all_inner_texts()
    assert any(line.startswith("It is a long and a winding road to the Union.") for line in said)
    assert len(said) <= 5


async def test_it_all_works_by_keyboard(visitor):
    """From the address bar: past the header, to the question, to the answer and its rating."""
    page = await visitor.open("#/ask/lincoln")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Ask Abraham Lincoln")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("main")).to_be_focused()
    for _ in range(20):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.tagName") == "TEXTAREA":
            break
    await page.keyboard.type(QUESTION)
    await page.keyboard.press("Enter")
    good = page.get_by_role("button", name="Good")
    await expect(good).to_be_visible()
    for _ in range(30):
        if await good.evaluate("button => button === document.activeElement"):
            break
        await page.keyboard.press("Shift+Tab")
    await expect(good).to_be_focused()
    await page.keyboard.press("Space")
    await expect(good).to_have_attribute("aria-pressed", "true")


async def test_a_wrong_key_is_refused_with_the_reason(visitor, gateway):
    page = await visitor.open()
    await page.get_by_role("button", name="Sign in").click()
    form = page.get_by_role("dialog")
    await form.get_by_label("Admin key").fill("guessed")
    await form.get_by_role("button", name="Sign in").click()
    await expect(form.get_by_role("alert")).to_contain_text("key")
    await form.get_by_label("Admin key").fill(gateway.admin_key)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Sign out")).to_be_focused()
    assert gateway.admin_key not in await page.evaluate(
        "document.cookie + JSON.stringify(localStorage)"
    )
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("button", name="Sign in")).to_be_visible()


async def test_where_a_key_is_asked_for_signing_in_opens_the_playground(
    browser, engine, cast, tmp_path
):
    """Signing in stands for the API key too, and what was typed before is not lost."""
    settings = {"environment": {"PERSONAE_API_KEY": "for bots"}}
    async with (
        gateway_over(engine, cast, tmp_path, **settings) as closed,
        a_visitor(browser, closed.url) as visitor,
    ):
        page = await visitor.open("#/ask/lincoln")
        await expect(page.get_by_text("This gateway asks for a key")).to_be_visible()
        await expect(page.get_by_role("button", name="Ask", exact=True)).to_have_count(0)
        await visitor.sign_in(closed.admin_key)
        await ask(page)
        await expect(page.get_by_role("article")).to_contain_text("Labor stands before capital")
        visitor.check()


async def test_the_theme_is_the_systems_until_one_is_chosen(browser, gateway):
    async with a_visitor(browser, gateway.url, color_scheme="dark") as visitor:
        page = await visitor.open()
        background = "getComputedStyle(document.documentElement).backgroundColor"
        dark = await page.evaluate(background)
        await page.get_by_role("button", name="Theme").click()
        light = await page.evaluate(background)
        assert dark != light
        await page.reload()
        await page.locator("main h1").wait_for()
        assert await page.evaluate(background) == light
        visitor.check()


@pytest.mark.parametrize("view", ["One voice", "Side by side", "Blind test"])
async def test_nothing_is_wider_than_a_phone(browser, gateway, view):
    async with a_visitor(browser, gateway.url, viewport=PHONE) as visitor:
        page = await visitor.open("#/ask/lincoln")
        await choose(page, view)
        await ask(page)
        await expect(page.locator(".words").last).to_contain_text("Labor stands")
        width = "[document.scrollingElement.scrollWidth, innerWidth]"
        scrolled, inner = await page.evaluate(width)
        assert scrolled <= inner
        visitor.check()
