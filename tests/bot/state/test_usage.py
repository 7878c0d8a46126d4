"""Usage is counted by UTC day for a person, their roles and the server."""

from __future__ import annotations

import asyncio

from bot.state.records import Usage, UsageLine
from tests.bot.state.conftest import DAY

ADA = {"platform": "discord", "server": "S", "person_key": "discord:ada"}


async def test_counts_add_up_for_person_roles_and_server(state):
    await state.count_usage(**ADA, roles=frozenset({"r2", "r1"}), requests=1)
    await state.count_usage(**ADA, roles=["r1"], tokens=30)
    today = state.today()

    async def used(kind, key, server="S"):
        return await state.usage(
            kind=kind, platform="discord", server=server, key=key, since_day=today
        )

    assert await used("person", "discord:ada") == Usage(1, 30)
    assert await used("role", "r1") == Usage(1, 30)
    assert await used("role", "r2") == Usage(1, 0)
    assert await used("server", "S") == Usage(1, 30)
    assert await used("person", "discord:bob") == Usage(0, 0)
    assert await used("person", "discord:ada", server="S2") == Usage(0, 0)


async def test_direct_messages_count_for_the_person_alone(state):
    await state.count_usage(
        platform="discord", server=None, person_key="discord:ada", requests=1, tokens=5
    )
    today = state.today()
    person = await state.usage(
        kind="person", platform="discord", server=None, key="discord:ada", since_day=today
    )
    assert person == Usage(1, 5)
    assert await state.usage_top("discord", None, today, 9) == [UsageLine("discord:ada", 1, 5)]


async def test_a_day_is_a_utc_day(state, clock):
    clock.now = clock.now // DAY * DAY - 1  # a second to midnight
    await state.count_usage(**ADA, requests=1)
    yesterday = state.today()
    clock.now += 1
    await state.count_usage(**ADA, requests=1)
    assert state.today() == yesterday + 1

    async def since(day):
        return await state.usage(
            kind="server", platform="discord", server="S", key="S", since_day=day
        )

    assert await since(yesterday) == Usage(2, 0)
    assert await since(yesterday + 1) == Usage(1, 0)


async def test_who_used_most_comes_first(state):
    for name, tokens in (("ada", 5), ("bob", 50), ("cyd", 7)):
        await state.count_usage(
            platform="discord", server="S", person_key=name, roles=["r"], requests=1, tokens=tokens
        )
    top = await state.usage_top("discord", "S", state.today(), 2)
    assert top == [UsageLine("bob", 1, 50), UsageLine("cyd", 1, 7)]


async def test_no_count_is_lost_when_many_count_at_once(state):
    counts = (state.count_usage(**ADA, roles=["a", "b"], requests=1, tokens=2) for _ in range(40))
    await asyncio.gather(*counts)
    used = await state.usage(
        kind="role", platform="discord", server="S", key="b", since_day=state.today()
    )
    assert used == Usage(40, 80)
