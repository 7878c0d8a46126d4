"""Bursts are spread: between any two that pass, the loop has turned once for everybody else."""

from __future__ import annotations

import asyncio

from bot.core.turnstile import Turnstile


async def test_each_passes_in_a_turn_of_its_own_and_in_order() -> None:
    turnstile = Turnstile()
    turns, passed_at = 0, list[tuple[int, int]]()

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def arrive(number: int) -> None:
        await turnstile.passed()
        passed_at.append((turns, number))

    counting = asyncio.create_task(count_turns())
    await asyncio.gather(*(arrive(number) for number in range(20)))
    counting.cancel()
    assert [number for _turn, number in passed_at] == list(range(20))
    assert len({turn for turn, _number in passed_at}) == 20


async def test_who_gives_up_at_the_door_blocks_nobody() -> None:
    turnstile = Turnstile()
    waiting = [asyncio.create_task(turnstile.passed()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.wait_for(asyncio.gather(*waiting[1:]), 10)
