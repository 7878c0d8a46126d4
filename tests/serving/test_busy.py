"""More is asked than the engine can do: the line, shorter answers, quotations, an honest "busy"."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from personae.wire import sse_messages
from tests.conftest import RunningGateway, gateway_over

ASK = {"persona": "lincoln", "question": "What of the Union and its laws?"}
REWRITE = {"persona": "lincoln", "text": "We should try harder."}


class Asked:
    """One streamed request, read in a task of its own."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for name, data in sse_messages(self.response.content):
            self.events.append((name, json.loads(data)))

    def named(self, name: str) -> list[dict[str, Any]]:
        return [data for its, data in self.events if its == name]

    async def until(self, name: str) -> dict[str, Any]:
        async with asyncio.timeout(30):
            while not self.named(name):
                await asyncio.sleep(0.01)
        return self.named(name)[-1]

    async def leave(self) -> None:
        self._reading.cancel()
        self.response.close()
        await asyncio.wait({self._reading})


@contextlib.asynccontextmanager
async def asked(
    http: aiohttp.ClientSession, path: str, body: dict[str, Any]
) -> AsyncIterator[Asked]:
    async with http.post(path, json=body) as response:
        assert response.status == 200, await response.text()
        one = Asked(response)
        try:
            yield one
        finally:
            await one.leave()


@pytest.fixture
async def settings() -> dict[str, str]:
    return {
        "gateway": "max_answers_at_once = 1\nmax_waiting = 3\nmax_answers_per_user = 2",
        "deadlines": "drain_seconds = 1",
    }


@pytest.fixture
async def gateway(tmp_path, cast, engine, settings) -> AsyncIterator[RunningGateway]:
    async with gateway_over(engine, cast, tmp_path, **settings) as running:
        yield running


@pytest.fixture
async def http(gateway: RunningGateway) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(gateway.url) as session:
        yield session


@contextlib.asynccontextmanager
async def everything_taken(
    http: aiohttp.ClientSession, gateway: RunningGateway
) -> AsyncIterator[None]:
    """The engine works on one answer that never ends, and the line is full."""
    gateway.engine.hang_after = 1
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(asked(http, "/v1/rewrite", REWRITE))
        await first.until("delta")
        for _ in range(3):
            one = await stack.enter_async_context(asked(http, "/v1/rewrite", REWRITE))
            await one.until("queued")
        yield


async def test_whoever_waits_is_told_the_place_and_then_answered(http, gateway):
    gateway.engine.words = ["word "] * 20
    gateway.engine.seconds_between = 0.05
    async with (
        asked(http, "/v1/ask", ASK) as first,
        asked(http, "/v1/ask", ASK) as second,
        asked(http, "/v1/rewrite", REWRITE) as third,
    ):
        for one in (first, second, third):
            await one.until("done")
    assert first.named("queued") == []
    assert [place["position"] for place in second.named("queued")] == [1]
    assert third.named("queued")[0]["position"] == 2
    assert third.named("queued")[0]["eta_seconds"] > 0
    assert [name for name, _ in third.events][-1] == "done"
    assert gateway.engine.most_at_once == 1


async def test_a_place_in_line_is_told_again_when_it_changes(http, gateway):
    gateway.engine.hang_after = 1
    async with asked(http, "/v1/ask", ASK) as first:
        await first.until("delta")
        async with asked(http, "/v1/ask", ASK) as second, asked(http, "/v1/ask", ASK) as third:
            await second.until("queued")
            assert (await third.until("queued"))["position"] == 2
            await second.leave()
            async with asyncio.timeout(30):
                while third.named("queued")[-1]["position"] != 1:
                    await asyncio.sleep(0.02)
            gateway.engine.hang_after = None
            await first.leave()
            assert (await third.until("done"))["finish_reason"] == "stop"


async def test_another_persona_s_first_question_does_not_wait_for_a_crowd(http, gateway):
    gateway.engine.hang_after = 1
    async with (
        asked(http, "/v1/rewrite", REWRITE) as first,
        asked(http, "/v1/rewrite", REWRITE) as crowd,
        asked(http, "/v1/rewrite", REWRITE) as tail,
    ):
        await tail.until("queued")
        async with asked(http, "/v1/ask", ASK | {"persona": "roosevelt"}) as other:
            assert (await other.until("queued"))["position"] == 2
        assert crowd.named("queued")[0]["position"] == 1
        assert first.named("queued") == []


async def test_a_question_past_the_line_gets_passages_word_for_word_and_labelled(http, gateway):
    body = ASK | {"stream": False}
    async with everything_taken(http, gateway), http.post("/v1/ask", json=body) as response:
        assert response.status == 200
        whole = await response.json()
    assert whole["text"].startswith("“The Union must be kept whole by every loyal hand.")
    assert "A nation is its land and its laws." in whole["text"] and "” [1]" in whole["text"]
    meta, done = whole["meta"], whole["done"]
    assert meta["quoted"] is True and meta["adapter_version"] is None
    assert "word for word" in meta["notice"] and "no model wrote" in meta["notice"]
    assert meta["citations"][0]["title"] == "Message on the Union"
    assert done["finish_reason"] == "quoted"
    async with http.get("/metrics") as response:
        text = await response.text()
    assert 'personae_overload_steps_total{persona="lincoln",step="quoted",task="ask"} 1.0' in text
    assert 'personae_refusals_total{code="busy",persona="lincoln",task="ask"} 1.0' in text


async def test_a_rewrite_past_the_line_is_told_when_to_come_back(http, gateway):
    async with everything_taken(http, gateway), http.post("/v1/rewrite", json=REWRITE) as response:
        assert response.status == 429
        assert int(response.headers["Retry-After"]) > 0
        error = (await response.json())["error"]
    assert error["code"] == "busy" and error["retry_after_seconds"] > 0


async def test_a_question_with_nothing_to_quote_is_told_too(http, gateway):
    body = ASK | {"question": "Who?"}  # near to no passage
    async with everything_taken(http, gateway), http.post("/v1/ask", json=body) as response:
        assert response.status == 429
        assert "Retry-After" in response.headers


@pytest.mark.parametrize(
    "settings",
    [
        {
            "gateway": "max_answers_at_once = 1\nmax_waiting = 3\nquote_when_busy = false",
            "deadlines": "drain_seconds = 1",
        }
    ],
)
async def test_quoting_can_be_switched_off(http, gateway):
    async with everything_taken(http, gateway), http.post("/v1/ask", json=ASK) as response:
        assert response.status == 429


async def test_a_question_to_an_engine_that_is_away_gets_passages(http, gateway):
    gateway.engine.unhealthy = True
    async with asyncio.timeout(30):
        while (await http.get("/readyz")).status != 503:
            await asyncio.sleep(0.05)
    async with http.post("/v1/ask", json=ASK | {"stream": False}) as response:
        assert (await response.json())["done"]["finish_reason"] == "quoted"
    async with http.post("/v1/rewrite", json=REWRITE) as response:
        assert response.status == 503 and "Retry-After" in response.headers


@pytest.mark.parametrize("settings", [{"deadlines": "first_token_seconds = 1.0"}])
async def test_a_turn_that_does_not_come_before_the_deadline_ends_in_passages(
    http, gateway, tmp_path
):
    """The line is no promise: when the time is over, a question still gets something true."""
    door = gateway.service.bases.of("lincoln").admission
    door.safe = 1
    door._answer_tokens = 1.0
    for _ in range(3):
        door._token_seconds.see(1, 0.1)
        door._first_token_seconds.see(1, 0.05)
    gateway.engine.hang_after = 1
    async with asked(http, "/v1/rewrite", REWRITE) as first:
        await first.until("delta")
        async with asked(http, "/v1/ask", ASK) as late:
            assert (await late.until("done"))["finish_reason"] == "quoted"
        assert late.events[0][0] == "queued"
        async with asked(http, "/v1/rewrite", REWRITE) as later:
            error = await later.until("error")
        assert error["code"] == "busy" and error["retry_after_seconds"] > 0


@pytest.mark.parametrize(
    "settings",
    [{"gateway": "max_answers_at_once = 1", "deadlines": "first_token_seconds = 8"}],
)
async def test_answers_are_shorter_while_many_wait_and_say_so(http, gateway):
    door = gateway.service.bases.of("lincoln").admission
    door._answer_tokens = 10.0
    for _ in range(3):
        door._token_seconds.see(1, 0.25)
    gateway.engine.words = ["word "] * 5
    gateway.engine.seconds_between = 0.05
    async with contextlib.AsyncExitStack() as stack:
        people = [await stack.enter_async_context(asked(http, "/v1/ask", ASK)) for _ in range(3)]
        for one in people:
            await one.until("done")
    full = gateway.cast["lincoln"].ask.sampling.max_tokens
    asked_for = [request["max_tokens"] for request in gateway.engine.requests[-3:]]
    assert asked_for == [full, full // 2, full]
    notices = [one.named("meta")[0]["notice"] for one in people]
    assert notices[0] is None and notices[2] is None
    assert "shorter" in notices[1]


async def test_one_person_may_have_only_so_many_answers_under_way(http, gateway):
    gateway.engine.hang_after = 1
    mine = REWRITE | {"user": "u1", "surface": "discord"}
    async with asked(http, "/v1/rewrite", mine) as first, asked(http, "/v1/rewrite", mine) as other:
        await first.until("delta")
        await other.until("queued")
        async with http.post("/v1/rewrite", json=mine) as response:
            assert response.status == 429
            error = (await response.json())["error"]
            assert "2 answers under way" in error["message"]
            assert error["retry_after_seconds"] > 0
        async with asked(http, "/v1/rewrite", mine | {"surface": "slack"}) as namesake:
            await namesake.until("queued")
    async with asyncio.timeout(30):
        while gateway.engine.running:
            await asyncio.sleep(0.01)
    gateway.engine.hang_after = None
    async with http.post("/v1/rewrite", json=mine | {"stream": False}) as response:
        assert response.status == 200, "a place is free again once an answer has ended"


async def test_whoever_leaves_the_line_never_reaches_the_engine(http, gateway):
    gateway.engine.hang_after = 1
    door = gateway.service.bases.of("lincoln").admission
    before = len(gateway.engine.requests)
    async with asked(http, "/v1/ask", ASK) as first:
        await first.until("delta")
        async with asked(http, "/v1/ask", ASK) as second:
            await second.until("queued")
        async with asyncio.timeout(30):
            while door.waiting:
                await asyncio.sleep(0.01)
    async with asyncio.timeout(30):
        while door.running:
            await asyncio.sleep(0.01)
    assert len(gateway.engine.requests) == before + 1


async def test_a_full_engine_is_told_as_busy(http, gateway):
    """vLLM's own limits are behind ours; should they be met, people are told when to come back."""
    gateway.engine.full = True
    async with asked(http, "/v1/ask", ASK) as one:
        error = await one.until("error")
    assert error["code"] == "busy" and error["retry_after_seconds"] > 0


async def test_openai_streams_wait_with_comments(http, gateway):
    gateway.engine.words = ["word "] * 10
    gateway.engine.seconds_between = 0.05
    chat = {"model": "lincoln", "messages": [{"role": "user", "content": "Who?"}], "stream": True}
    async with asked(http, "/v1/ask", ASK) as first:
        await first.until("delta")
        async with http.post("/v1/chat/completions", json=chat) as response:
            raw = (await response.read()).decode()
    assert raw.startswith(": queued position=1 eta=")
    assert raw.endswith("data: [DONE]\n\n")
    assert '"content": " word"' in raw  # each with the space before it


async def test_openai_clients_see_in_the_text_that_no_model_wrote_it(http, gateway):
    chat = {"model": "lincoln", "messages": [{"role": "user", "content": ASK["question"]}]}
    async with everything_taken(http, gateway):
        async with http.post("/v1/chat/completions", json=chat) as response:
            choice = (await response.json())["choices"][0]
        async with http.post("/v1/chat/completions", json=chat | {"stream": True}) as response:
            raw = (await response.read()).decode()
    assert choice["finish_reason"] == "stop"
    assert "no model wrote them" in choice["message"]["content"]
    assert "“The Union must be kept whole" in choice["message"]["content"]
    assert "no model wrote them" in raw
