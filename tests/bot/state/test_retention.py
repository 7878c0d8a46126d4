"""What is over goes, everywhere and sooner where a server wants it; the rest stays."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.state.records import RETENTION_DAYS, Pruned, Usage
from bot.state.retention import PORTION, keep_pruned
from bot.state.tables import claims
from personae.errors import StateUnavailable
from tests.bot.state.conftest import DAY, an_answer, ended, said
from tests.bot.state.test_people import everything

KEY = "discord:S:C:T"
LIMITS = {"memory_seconds": DAY, "answers_seconds": 30 * DAY, "usage_days": 35}


async def test_each_thing_is_kept_for_its_own_time(state, clock):
    await state.claim("discord:1")
    await ended(state, an_answer(1))
    await state.note_rating("a1", "discord:bob", "up")
    await said(state, 1)
    place = {"platform": "discord", "server": "S", "channel": "C"}
    await state.pin(KEY, **place, persona="lincoln", adapter_version="v2")
    await state.count_usage(**_ada(), requests=1)
    await state.set_opted_out("discord:bob", True)

    assert await state.prune(**LIMITS) == Pruned()
    clock.now += DAY + 1
    assert await state.prune(**LIMITS) == Pruned(claims=1, turns=1)
    clock.now += 29 * DAY
    assert await state.prune(**LIMITS) == Pruned(answers=1, conversations=1)
    assert await state.rating("a1", "discord:bob") is None
    clock.now += 6 * DAY
    assert await state.prune(**LIMITS) == Pruned(usage=2)  # hers and the server's
    assert (await state.person("discord:bob")).opted_out


async def test_a_server_may_keep_answers_for_another_time(state, clock):
    slack = {"platform": "slack", "server": "W", "conversation": "slack:W:C:T"}
    await state.set_setting("discord", "S", "", RETENTION_DAYS, 2)
    await state.set_setting("slack", "W", "", RETENTION_DAYS, 400)
    await state.set_setting("discord", "S2", "", RETENTION_DAYS, "nonsense")
    for number, changes in enumerate([{}, {"server": "S2"}, {"server": None}, slack]):
        await ended(state, an_answer(number, **changes))
    for key in (KEY, "discord:S2:C:T", "discord:S_:C:T", "slack:W:C:T"):
        platform, server, channel, _ = key.split(":")
        place = {"platform": platform, "server": server, "channel": channel}
        await state.pin(key, **place, persona="lincoln", adapter_version="v2")
        await said(state, key, key=key, answer_id="a3")

    clock.now += 2 * DAY + 1
    weeks = LIMITS | {"memory_seconds": 7 * DAY}
    assert await state.prune(**weeks) == Pruned(answers=1, turns=1, conversations=1)
    assert await state.answer("a0") is None and await state.turns(KEY, limit=9) == []
    clock.now += 30 * DAY
    assert await state.prune(**weeks) == Pruned(answers=2, turns=3, conversations=2)
    assert await state.answer("a3") is not None
    clock.now += 370 * DAY
    assert await state.prune(**weeks) == Pruned(answers=1, conversations=1)


async def test_what_was_said_never_outlives_answers(state, clock):
    await ended(state, an_answer(1))
    await said(state, 1)
    clock.now += 30 * DAY + 1
    months = LIMITS | {"memory_seconds": 90 * DAY}
    assert await state.prune(**months) == Pruned(answers=1, turns=1)


async def test_more_than_a_portion_goes(state, clock):
    old = [{"key": f"discord:{number}", "at": clock.now} for number in range(2 * PORTION + 1)]

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(claims.insert(), old)

    await state._database.write(work)
    clock.now += DAY + 1
    await state.claim("discord:new")
    assert (await state.prune(**LIMITS)).claims == len(old)
    assert "discord:new" in await everything(state)


async def test_it_is_done_regularly_until_cancelled(state, clock):
    await state.claim("discord:1")
    clock.now += DAY + 1
    pruning = asyncio.create_task(keep_pruned(state, **LIMITS, every_seconds=0.01))
    try:
        while "discord:1" in await everything(state):
            await asyncio.sleep(0.01)
        await state.claim("discord:2")
        clock.now += DAY + 1
        while "discord:2" in await everything(state):
            await asyncio.sleep(0.01)
    finally:
        pruning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pruning


async def test_a_database_that_fails_is_pruned_the_next_time(caplog):
    class Failing:
        asked = 0

        async def prune(self, **_limits: float) -> Pruned:
            self.asked += 1
            if self.asked == 1:
                raise StateUnavailable("The bots' state can't be used.")
            if self.asked == 3:
                raise asyncio.CancelledError
            return Pruned(turns=3)

    with pytest.raises(asyncio.CancelledError):
        await keep_pruned(Failing(), **LIMITS, every_seconds=0)
    assert "can't be used" in caplog.text


async def test_counts_of_days_that_are_kept_stay(state, clock):
    for _ in range(3):
        await state.count_usage(**_ada(), requests=1)
        clock.now += DAY
    assert (await state.prune(**(LIMITS | {"usage_days": 2}))).usage == 2
    used = await state.usage(
        kind="person", platform="discord", server="S", key="discord:ada", since_day=0
    )
    assert used == Usage(2, 0)


def _ada() -> dict[str, str]:
    return {"platform": "discord", "server": "S", "person_key": "discord:ada"}
