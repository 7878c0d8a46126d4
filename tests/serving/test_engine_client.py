"""The engine's stream, as bytes: cut anywhere, of any make, silent, refused, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personae.errors import Busy, DeadlineExceeded, EngineUnavailable, RequestError
from serving.chat_stream import ChatStream, StreamEnd
from serving.engine_client import EngineClient
from tests.fakes.engine import FakeEngine

QUESTION = [{"role": "user", "content": "Hello"}]


def chunk(text: str | None, finish: str | None = None, **extra: object) -> bytes:
    """A chunk as vLLM 0.32 writes it."""
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    body = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    data = json.dumps(
        body | {"choices": [choice | {"token_ids": None}]} | extra,
        ensure_ascii=False,
        separators=(",", ":"),
    )
    return f"data: {data}\n\n".encode()


USAGE = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}
END = chunk(None, "stop") + b'data: {"choices":[],"usage":' + json.dumps(USAGE).encode() + b"}\n\n"
DONE = b"data: [DONE]\n\n"


def stream(client: EngineClient, seconds: float = 5.0, between: float = 5.0) -> ChatStream:
    return client.stream(
        "m", QUESTION, {}, first_token_seconds=seconds, between_tokens_seconds=between
    )


@contextlib.asynccontextmanager
async def server_of(
    chat: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncIterator[str]:
    """A server that answers every chat with this handler; gives its URL."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", chat)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def engine_that(
    write: Callable[[web.Request, web.StreamResponse], Awaitable[None]],
) -> AsyncIterator[EngineClient]:
    """A client of a server that writes every answer as told."""

    async def chat(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await write(request, response)
        return response

    async with server_of(chat) as url, EngineClient(url) as client:
        yield client


async def read_all(opened: ChatStream) -> tuple[str, StreamEnd]:
    async with opened as answer:
        said = ""
        while text := await answer.read():
            said += text
        return said, answer.end


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(places)]


@given(
    words=st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=8),
    cuts=st.lists(st.integers(0, 4000), max_size=12),
)
@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_words_come_out_whole_wherever_the_bytes_are_cut(words, cuts):
    """Quotation marks, backslashes, line separators, emoji, and a cut inside any of them."""
    data = b": ping\n\n" + chunk("") + b"".join(chunk(word) for word in words) + END + DONE
    asyncio.run(_through_the_parser(data, cuts, "".join(words)))


async def _through_the_parser(data: bytes, cuts: Sequence[int], expected: str) -> None:
    async with EngineClient("http://engine") as client:
        answer = stream(client)
        said = "".join(answer._take(piece) for piece in pieces(data, cuts))
    assert said == expected
    assert answer.end == StreamEnd("stop", 10, 3)


@pytest.mark.parametrize(
    "lines",
    [
        [chunk("We "), chunk("must", "stop")],  # the last words with the reason
        [chunk("We ", usage=None), chunk("must", usage=USAGE), chunk(None, "stop")],
        [b'data: {"choices": [{"delta": {"content": "We "}}]}\r\n\r\n', chunk("must", "stop")],
        [chunk("We "), chunk(None), b": comment\n\n", b"event: x\n", chunk("must"), END],
        [chunk("We must", None), b'data: {"choices":[{"delta":{"content":null}}]}\n\n', END],
        [chunk("We "), chunk("must", logprobs='"content":"no"'), chunk(None, "stop")],
    ],
)
async def test_streams_of_other_makes(lines):
    async def write(request, response):
        for line in lines:
            await response.write(line)
        await response.write(DONE)

    async with engine_that(write) as client:
        said, end = await read_all(stream(client))
    assert said == "We must"
    assert end.finish_reason == "stop"


async def test_a_stream_that_ends_without_done_is_complete_if_it_said_why_it_ended():
    async def write(request, response):
        await response.write(chunk("We must") + chunk(None, "length"))

    async with engine_that(write) as client:
        assert (await read_all(stream(client)))[1].finish_reason == "length"


@pytest.mark.parametrize(
    "tail", [b"", DONE, b"data: {nonsense\n\n", b'data: {"error":{"message":"x"}}\n\n']
)
async def test_a_stream_that_breaks_off_is_told(tail):
    async def write(request, response):
        await response.write(chunk("We ") + tail)

    async with engine_that(write) as client:
        with pytest.raises(EngineUnavailable):
            await read_all(stream(client))


async def test_a_line_without_an_end_does_not_fill_the_memory():
    async def write(request, response):
        with contextlib.suppress(ConnectionResetError):
            while True:
                await response.write(b"x" * (1 << 16))

    async with engine_that(write) as client:
        with pytest.raises(EngineUnavailable):
            await read_all(stream(client))


async def test_silence_is_given_up_before_the_first_word_and_after_it():
    async def silent(request, response):
        await response.write(chunk(""))
        await asyncio.sleep(3600)

    async def starts(request, response):
        await response.write(chunk("We "))
        await asyncio.sleep(3600)

    async with engine_that(silent) as client:
        with pytest.raises(DeadlineExceeded):
            await read_all(stream(client, seconds=0.1, between=60))
    async with engine_that(starts) as client:
        with pytest.raises(DeadlineExceeded):
            await read_all(stream(client, seconds=60, between=0.1))


async def test_an_engine_that_accepts_and_says_nothing_at_all_is_given_up():
    async def sleep(request):
        await asyncio.sleep(3600)

    async with server_of(sleep) as url, EngineClient(url) as client:
        with pytest.raises(DeadlineExceeded):
            await read_all(stream(client, seconds=0.1))


async def test_a_slow_reader_is_not_the_engine_s_silence():
    async def write(request, response):
        for word in ("We ", "must ", "think."):
            await response.write(chunk(word))
        await response.write(END + DONE)

    async with engine_that(write) as client, stream(client, between=0.1) as answer:
        said = await answer.read()
        await asyncio.sleep(0.4)
        while text := await answer.read():
            said += text
    assert said == "We must think."


async def test_stop_ends_a_stream_at_once_with_the_reason_given():
    async def write(request, response):
        await response.write(chunk("We "))
        await asyncio.sleep(3600)

    reason = EngineUnavailable("Restarting.", retry_after_seconds=30)
    async with engine_that(write) as client:
        with pytest.raises(EngineUnavailable, match=r"Restarting\."):
            async with stream(client) as answer:
                assert await answer.read() == "We "
                asyncio.get_running_loop().call_later(0.05, answer.stop, reason)
                await answer.read()


async def test_refusals_of_the_engine_say_what_they_mean(engine: FakeEngine):
    engine.full = True
    async with EngineClient(engine.url) as client:
        with pytest.raises(Busy) as refused:
            await read_all(stream(client))
        assert refused.value.retry_after_seconds == 15
        engine.full = False
        with pytest.raises(EngineUnavailable, match="not loaded"):
            await read_all(stream(client))


@pytest.mark.parametrize(
    ("status", "headers", "error", "seconds"),
    [
        (429, {"Retry-After": "7"}, Busy, 7.0),
        (400, {}, RequestError, None),
        (500, {}, EngineUnavailable, 30),
    ],
)
async def test_refusals_of_other_engines(status, headers, error, seconds):
    async def chat(request):
        return web.json_response({"error": {"message": "no"}}, status=status, headers=headers)

    async with server_of(chat) as url, EngineClient(url) as client:
        with pytest.raises(error) as refused:
            await read_all(stream(client))
    assert refused.value.retry_after_seconds == seconds


async def test_the_size_of_the_cache_is_read_from_its_metrics(engine: FakeEngine):
    async with EngineClient(engine.url) as client:
        assert await client.cache_tokens() is None
        engine.cache_blocks = 100
        assert await client.cache_tokens() == 1600


PLACE = {"token": "We", "logprob": -0.1}


@pytest.mark.parametrize(
    ("told", "tokens"),
    [
        ({"content": [PLACE | {"top_logprobs": [PLACE]}]}, [("We", -0.1)]),
        ({"content": [PLACE]}, None),
        ({"content": [PLACE | {"top_logprobs": []}]}, None),
        ({"content": [{"token": "We", "logprob": None, "top_logprobs": None}]}, None),
        ({"content": []}, None),
        ({"tokens": ["We"], "token_logprobs": [-0.1]}, None),
        ([-0.1], None),
        (None, None),
    ],
)
async def test_log_probabilities_that_can_t_be_compared_count_as_not_told(told, tokens):
    """Engines differ in what they tell; the words are there all the same."""

    async def chat(request):
        choice = {"message": {"content": "We"}, "logprobs": told, "finish_reason": "stop"}
        return web.json_response({"choices": [choice]})

    async with server_of(chat) as url, EngineClient(url) as client:
        asked = [{"role": "user", "content": "Who?"}]
        answer = await client.greedy("m", asked, max_tokens=4, seconds=5)
    assert (answer.text, answer.tokens) == ("We", tokens)
