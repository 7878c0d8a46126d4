"""Events are claimed once: across tasks, processes and restarts, for a day."""

from __future__ import annotations

import asyncio

from bot.state.store import State
from tests.bot.state.conftest import DAY


async def test_a_key_is_given_once(state):
    assert await state.claim("discord:1")
    assert not await state.claim("discord:1")
    assert await state.claim("discord:2")


async def test_of_many_at_once_one_gets_it(state, state_url):
    async with State.open(state_url, clock=state.clock) as other:
        claims = [each.claim("slack:E1") for _ in range(20) for each in (state, other)]
        assert sorted(await asyncio.gather(*claims)) == [False] * 39 + [True]


async def test_a_key_stays_claimed_after_a_restart(state_url, clock):
    async with State.open(state_url, clock=clock) as state:
        assert await state.claim("discord:1")
    async with State.open(state_url, clock=clock) as state:
        assert not await state.claim("discord:1")


async def test_after_a_day_a_key_is_free_again(state, clock):
    await state.claim("discord:1")
    clock.now += DAY - 1
    assert not await state.claim("discord:1")
    clock.now += 2
    assert await state.claim("discord:1")
    assert not await state.claim("discord:1")
