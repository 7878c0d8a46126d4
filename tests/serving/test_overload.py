"""Four times as much as the engine can do, with gateway and engine in processes of their own."""

from __future__ import annotations

import aiohttp
import pytest

from tests.serving.overload import overload
from tests.serving.processes import running

DEADLINE_SECONDS = 4.0


@pytest.mark.slow
async def test_under_four_times_the_load_everybody_gets_an_end_in_time(tmp_path):
    """Nobody goes without an answer or a time to come back; who is admitted is answered within the
    deadline; a persona few ask for is served beside one that all ask for; memory does not grow."""
    engine_arguments = ("--tokens=20", "--seconds-between=0.01", "--seconds-per-stream=0.003")
    async with (
        running("engine", *engine_arguments) as engine,
        running(
            *("gateway", str(tmp_path), engine.url),
            "--gateway=max_answers_at_once = 8\nmax_waiting = 16",
            f"--deadlines=first_token_seconds = {DEADLINE_SECONDS}",
        ) as gateway,
    ):
        personas = ["lincoln", "roosevelt", "pg"]
        await overload(gateway.url, people=8, seconds=2, personas=personas)
        before = gateway.memory_bytes()
        load = await overload(gateway.url, people=48, seconds=10, personas=personas, seed=1)
        grown = gateway.memory_bytes() - before
        async with aiohttp.ClientSession(gateway.url) as http, http.get("/metrics") as response:
            metrics = (await response.text()).splitlines()
    assert load.unanswered == []
    assert load.without_retry == []
    assert load.outcomes["stop"] > 100, load.outcomes
    assert load.outcomes["busy"] + load.outcomes["quoted"] > 50, load.outcomes
    assert load.queued > 50
    assert set(load.outcomes) <= {"stop", "length", "busy", "quoted", "left"}, load.outcomes
    assert max(load.first_words) < DEADLINE_SECONDS
    served = {persona: load.answered[persona] / load.asked[persona] for persona in personas}
    assert served["pg"] > 0.6 > served["lincoln"], (load.asked, load.answered)
    assert grown < 64 << 20, f"{grown >> 20} MiB"
    for line in ("personae_answers_in_progress 0.0", 'personae_waiting{persona="lincoln"} 0.0'):
        assert line in metrics
