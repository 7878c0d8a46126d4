"""The page of traffic, over the real app."""

from __future__ import annotations

import json

import pytest

from personae.console_wire import Traffic
from tests.serving.console_api.conftest import Browser


async def test_what_was_asked_is_counted_and_no_word_of_it_told(browser: Browser):
    question = {"persona": "lincoln", "question": "What of the Union?", "stream": False}
    answer = await browser.post("/v1/ask", question)
    await browser.post("/v1/ask", {"persona": "nobody", "question": "?"}, status=404)
    meta = answer["meta"]
    rating = {
        "request_id": meta["request_id"],
        "persona": "lincoln",
        "task": "ask",
        "adapter_version": meta["adapter_version"],
        "base_model": meta["base_model"],
        "question": "What of the Union?",
        "answer": answer["text"],
        "rating": "down",
        "reason": "dull",
        "user": "somebody",
        "surface": "console",
    }
    await browser.post("/v1/feedback", rating)
    shown = await browser.get("/console/api/traffic?minutes=5")
    traffic = Traffic.model_validate(shown)
    assert (traffic.minutes, len(traffic.buckets)) == (5, 5)
    assert [bucket.at for bucket in traffic.buckets] == sorted(b.at for b in traffic.buckets)
    assert sum(bucket.requests for bucket in traffic.buckets) == traffic.totals.requests == 1
    assert traffic.totals.first_token_p50 is not None
    assert [(c.persona, c.task, c.outcome, c.count) for c in traffic.by_persona] == [
        ("lincoln", "ask", "stop", 1)
    ]
    (counted,) = traffic.feedback
    assert (counted.persona, counted.adapter_version, counted.up, counted.down) == (
        *("lincoln", "v1", 0),
        1,
    )
    for word in ("Union", "dull", "somebody"):
        assert word not in json.dumps(shown)


@pytest.mark.parametrize("minutes", ["0", "-1", "x", "", "1441", "9" * 5000, "²", "0000000019999"])
async def test_only_minutes_that_are_remembered(browser: Browser, minutes: str):
    error = await browser.get(f"/console/api/traffic?minutes={minutes}", status=400)
    assert "minutes=1440" in error["error"]["message"]
