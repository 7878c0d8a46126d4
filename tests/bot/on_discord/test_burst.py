"""Two hundred people at once: all acknowledged in time, none lost, none answered twice, no loop held."""

from __future__ import annotations

from pathlib import Path

import pytest

from personae.persona import Cast
from tests.bot.on_discord.burst import burst

_LONGEST_STEP_SECONDS = 0.05


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_burst_of_two_hundred_questions(tmp_path: Path, cast: Cast) -> None:
    """The fake's clock goes as slowly as the machine does: see the module `burst`."""
    figures = await burst(tmp_path, cast, people=200)
    assert figures["unacknowledged"] == 0 and figures["problems"] == 0
    assert figures["acknowledged_seconds"]["largest"] <= 2.0, figures
    assert figures["lost"] == 0 and figures["answered_twice"] == 0
    assert figures["ignored_429"] == 0 and figures["throttled"] == 0
    assert figures["loop_held_seconds"]["longest_step_cpu"] <= _LONGEST_STEP_SECONDS, figures
