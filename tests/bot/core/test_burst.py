"""Two hundred at once: each is answered once, others get their turn meanwhile, nothing is left over."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from bot.state.store import State
from tests.bot.core.bench import (
    ALICE,
    DISCLOSURE,
    RecordedSurface,
    ScriptedGateway,
    ask,
    running_desk,
)

ORDERS = 200


async def test_two_hundred_orders_at_once(script: ScriptedGateway, state_url: str) -> None:
    before = asyncio.all_tasks()
    surfaces = [RecordedSurface(seconds=0.001) for _ in range(ORDERS)]
    orders = [
        ask(f"Question {number}?", person=replace(ALICE, id=f"person-{number}"))
        for number in range(ORDERS)
    ]
    beats = 0

    async def heart() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.005)
            beats += 1

    async with State.open(state_url) as state, running_desk(script.url, state) as desk:
        beating = asyncio.create_task(heart())
        twice = [RecordedSurface() for _ in range(50)]
        results = await asyncio.gather(
            *(desk.answer(order, surface) for order, surface in zip(orders, surfaces, strict=True)),
            *(desk.answer(order, surface) for order, surface in zip(orders, twice, strict=False)),
        )
        beating.cancel()
        assert desk.running() == 0
    outcomes = [result.outcome for result in results]
    assert outcomes.count("finished") == ORDERS and outcomes.count("duplicate") == 50
    assert sorted(str(its["question"]) for its in script.asked) == sorted(
        order.text for order in orders
    )
    shown = [surface for surface in (*surfaces, *twice) if surface.shown]
    assert len(shown) == ORDERS
    assert all(surface.last.footnotes == [f"— {DISCLOSURE}"] for surface in shown)
    assert all(surface.closes == 1 for surface in (*surfaces, *twice))
    assert beats >= 20, "the loop was free in between"
    await asyncio.wait({beating})
    await asyncio.sleep(0)
    left = {task for task in asyncio.all_tasks() - before if "aiohttp" not in repr(task)}
    assert left == set()
