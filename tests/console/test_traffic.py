"""The page of traffic: what was asked, how long it took, and what people thought of it."""

from __future__ import annotations

import asyncio

import aiohttp
from playwright.async_api import Route, expect


async def talk(gateway, times: int = 3) -> None:
    """Questions to lincoln; the last answer is liked."""
    async with aiohttp.ClientSession(gateway.url) as http:
        for _ in range(times):
            body = {"persona": "lincoln", "question": "What of the Union?", "stream": False}
            async with http.post("/v1/ask", json=body) as response:
                answer = await response.json()
        meta = answer["meta"]
        vote = {
            "request_id": meta["request_id"],
            "persona": "lincoln",
            "task": "ask",
            "adapter_version": meta["adapter_version"],
            "base_model": meta["base_model"],
            "question": "What of the Union?",
            "answer": answer["text"],
            "rating": "up",
            "user": "somebody",
        }
        async with http.post("/v1/feedback", json=vote) as response:
            assert response.status == 200, await response.text()


async def test_requests_waits_and_votes_are_shown(visitor, gateway):
    """Each drawing has its numbers as a table, too."""
    await talk(gateway)
    page = await visitor.open("#/traffic")
    main = page.get_by_role("main")
    for name in ("Requests", "Until the first word", "Until the whole answer"):
        await expect(main.get_by_role("figure", name=name).get_by_role("img")).to_be_visible()
    who = (
        main.get_by_role("region", name="Requests by persona")
        .get_by_role("row")
        .filter(has_text="lincoln")
    )
    await expect(who).to_contain_text("3")
    liked = (
        main.get_by_role("region", name="Feedback by version")
        .get_by_role("row")
        .filter(has_text="lincoln")
    )
    await expect(liked).to_contain_text("v1")
    await expect(liked.get_by_role("cell").nth(2)).to_have_text("1")
    requests = main.get_by_role("figure", name="Requests")
    await requests.get_by_text("The numbers as a table").click()
    assert await requests.get_by_role("row").count() > 30


async def test_the_page_follows_what_happens(visitor, gateway):
    page = await visitor.open("#/traffic")
    await expect(page.get_by_text("Nobody has asked in this time.").first).to_be_visible()
    await talk(gateway, times=1)
    await expect(
        page.get_by_role("figure", name="Until the first word").get_by_role("img")
    ).to_be_visible(timeout=30_000)


async def test_a_longer_time_can_be_looked_at(visitor, gateway):
    await talk(gateway, times=1)
    page = await visitor.open("#/traffic")
    await page.get_by_role("radio", name="Day").check()
    await expect(page.get_by_role("figure", name="Requests")).to_contain_text("every 15 minutes")
    await page.reload()
    await expect(page.get_by_role("radio", name="Day")).to_be_checked()


async def test_a_reply_that_comes_late_does_not_replace_what_was_chosen_since(visitor, gateway):
    come = asyncio.Event()

    async def late(route: Route) -> None:
        await come.wait()
        await route.continue_()

    await talk(gateway, times=1)
    page = await visitor.open("#/traffic")
    await page.route(lambda url: url.endswith("minutes=1440"), late)
    await page.get_by_role("radio", name="Day").check()
    await page.get_by_role("radio", name="6 hours").check()
    requests = page.get_by_role("figure", name="Requests")
    await expect(requests).to_contain_text("every 4 minutes")
    async with page.expect_response(lambda reply: reply.url.endswith("minutes=1440")) as reply:
        come.set()
    await (await reply.value).finished()
    await page.wait_for_timeout(300)
    assert "every 4 minutes" in await requests.inner_text()
