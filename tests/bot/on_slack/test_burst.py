"""Two hundred people at once, and a while of ordinary use: nothing is lost, doubled or left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from personae.persona import Cast
from tests.bot.on_slack.burst import burst
from tests.bot.on_slack.soaked import soaked
from tests.bot.soak import RSS_GROWTH_MIB, TASKS_GROWTH, soak

_SOAK_SECONDS = 40.0
_YOUNG_GROWTH_MIB = 2 * RSS_GROWTH_MIB
"""A process that has just begun still fills its caches; an hour's soak is held to RSS_GROWTH_MIB."""


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_two_hundred_at_once_are_acknowledged_in_time_and_answered_once(
    tmp_path: Path, cast: Cast
) -> None:
    told = await burst(tmp_path, cast, people=200)
    assert told["people"] == 200
    assert told["unacknowledged"] == 0
    assert told["acknowledged_seconds"]["largest"] <= 2.0, told
    assert (told["lost"], told["answered_twice"], told["ignored_429"]) == (0, 0, 0), told
    assert told["problems"] == []
    # The time this thread worked; a busy machine makes that longer, too, though less than the wall's.
    assert told["loop_held_seconds"]["longest_step_cpu"] <= 0.05 * told["slowness"], told


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_memory_and_tasks_stay_flat(tmp_path: Path) -> None:
    """Shortened; `python -m tests.bot.soak --platform slack` is the hour."""
    told = await soak(soaked, seconds=_SOAK_SECONDS, rate=3.0)
    assert told["complaints"] == []
    assert told["rss_mib"]["growth"] <= _YOUNG_GROWTH_MIB, told
    assert told["tasks_growth"] <= TASKS_GROWTH, told
