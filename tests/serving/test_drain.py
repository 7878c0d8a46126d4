"""SIGTERM, sent to a real gateway process with answers under way and people in line."""

from __future__ import annotations

import asyncio
import json
import signal

import aiohttp

from personae.wire import sse_messages
from tests.serving.processes import running

ASK = {"persona": "lincoln", "question": "What of the Union?"}
REWRITE = {"persona": "lincoln", "text": "Try harder."}


async def read(response: aiohttp.ClientResponse) -> list[tuple[str, dict]]:
    return [(name, json.loads(data)) async for name, data in sse_messages(response.content)]


async def in_engine(http: aiohttp.ClientSession, wanted: int) -> None:
    line = f'personae_answers_in_engine{{base_model="smollm2-135m"}} {wanted}.0'
    async with asyncio.timeout(30):
        while line not in await (await http.get("/metrics")).text():
            await asyncio.sleep(0.02)


async def test_answers_that_can_end_in_time_do_and_nobody_else_is_let_in(tmp_path):
    """Not ready at once; those in line and those who come are told to come back; the answer under
    way ends as if nothing had happened; the process ends with 0."""
    async with (
        running("engine", "--tokens=40", "--seconds-between=0.05") as engine,
        running(
            *("gateway", str(tmp_path), engine.url),
            "--gateway=max_answers_at_once = 1",
            "--deadlines=drain_seconds = 20",
        ) as gateway,
        aiohttp.ClientSession(gateway.url) as http,
    ):
        first = await http.post("/v1/ask", json=ASK)
        await in_engine(http, 1)
        waiting = await http.post("/v1/rewrite", json=REWRITE)
        assert (await anext(sse_messages(waiting.content)))[0] == "queued"
        gateway.process.terminate()
        refused = await read(waiting)
        assert refused[-1][0] == "error" and refused[-1][1]["code"] == "gateway_restarting"
        assert refused[-1][1]["retry_after_seconds"] > 0
        async with http.get("/readyz") as response:
            assert response.status == 503
        async with http.post("/v1/ask", json=ASK) as response:
            assert response.status == 503 and int(response.headers["Retry-After"]) > 0
        answered = await read(first)
        assert answered[-1][0] == "done" and answered[-1][1]["finish_reason"] == "stop"
        said = "".join(data["text"] for name, data in answered if name == "delta")
        assert said.count("token") == 40
        async with asyncio.timeout(30):
            assert await gateway.process.wait() == 0


async def stopped_in_mid_answer(tmp_path, *, hangs: bool) -> list[tuple[str, dict]]:
    async with (
        running("engine", "--tokens=4000", "--seconds-between=0.05") as engine,
        running("gateway", str(tmp_path), engine.url, "--deadlines=drain_seconds = 0.3") as gateway,
        aiohttp.ClientSession(gateway.url) as http,
    ):
        if hangs:
            engine.process.send_signal(signal.SIGUSR1)
        response = await http.post("/v1/ask", json=ASK)
        await in_engine(http, 1)
        gateway.process.terminate()
        got = await read(response)
        async with asyncio.timeout(30):
            assert await gateway.process.wait() == 0
    return got


async def test_an_answer_that_takes_too_long_ends_with_a_sentence_not_with_a_cut(tmp_path):
    got = await stopped_in_mid_answer(tmp_path, hangs=False)
    assert got[-1][0] == "error"
    assert "restarted, so this answer ends here" in got[-1][1]["message"]
    assert got[-1][1]["retry_after_seconds"] > 0
    assert [name for name, _ in got].count("delta") > 1


async def test_so_does_one_whose_first_word_has_not_come(tmp_path):
    got = await stopped_in_mid_answer(tmp_path, hangs=True)
    assert [name for name, _ in got] == ["meta", "error"]
    assert "ends here" in got[-1][1]["message"]
