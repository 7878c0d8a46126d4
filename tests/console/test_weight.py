"""What a visit to all of the console costs, as a browser sees it."""

from __future__ import annotations

from tests.console.test_accessibility import PAGES
from tests.console.test_assets import MOST_BYTES


async def test_a_visit_to_every_page_is_light_and_asks_nobody_else(visitor):
    """Every byte of pages, scripts and styles, unpacked; `visitor` refuses other hosts at its end."""
    sizes: dict[str, int] = {}

    async def weigh(response) -> None:
        if "/api/" not in response.url and response.ok:
            sizes[response.url] = len(await response.body())

    page = visitor.page
    page.on("response", weigh)
    for place in PAGES:
        await visitor.open(place)
        await page.wait_for_load_state("networkidle")
    assert any(url.endswith("main.js") for url in sizes)
    assert sum(sizes.values()) <= MOST_BYTES, sizes
