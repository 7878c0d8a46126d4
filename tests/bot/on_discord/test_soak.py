"""A short soak: memory stays flat while people ask, mention, rewrite, press and delete.

The hour is `python -m tests.bot.soak --minutes 60 --platform discord`.
"""

from __future__ import annotations

import pytest

from tests.bot.on_discord.soaked import soaked
from tests.bot.soak import flat, soak

_SECONDS = 40.0


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_memory_stays_flat() -> None:
    told = await soak(soaked, seconds=_SECONDS, rate=6.0)
    assert told["asked"] > 10 and told["looks"] >= 3, told
    assert told["complaints"] == [] and told["growing_kinds"] == {}
    assert flat(told), told
