"""What a token costs the gateway: its CPU time over a fake engine, many streams at once.

Run as: python -m tests.serving.token_cost [--streams 16] [--tokens 400]

It prints microseconds of the gateway's CPU for each token that passes through it. No test asserts
on it: it is for the hand that changes the path of a token.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time

import aiohttp

from tests.serving.processes import running


async def _one(session: aiohttp.ClientSession, url: str, tokens: int) -> int:
    """Deltas of one answer."""
    body = {"persona": "lincoln", "question": "What of the Union?", "max_tokens": tokens}
    tail, deltas = b"", 0
    async with session.post(f"{url}/v1/ask", json=body) as response:
        assert response.status == 200, await response.text()
        async for block in response.content.iter_any():
            deltas += block.count(b"event: delta")
            tail = (tail + block)[-400:]
    assert b"event: done" in tail, tail
    return deltas


async def measure(streams: int, tokens: int, seconds_between: float) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            running(
                "engine", f"--tokens={tokens}", f"--seconds-between={seconds_between}"
            ) as engine,
            running("gateway", folder, engine.url) as gateway,
            aiohttp.ClientSession() as session,
        ):
            await _one(session, gateway.url, 8)
            before, began = gateway.cpu_seconds(), time.monotonic()
            deltas = await asyncio.gather(
                *(_one(session, gateway.url, tokens) for _ in range(streams))
            )
            used, took = gateway.cpu_seconds() - before, time.monotonic() - began
    total = streams * tokens
    return {
        "microseconds_per_token": round(used / total * 1e6, 1),
        "tokens_per_second": round(total / took),
        "tokens_per_delta": round(total / sum(deltas), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=400)
    parser.add_argument("--seconds-between", type=float, default=0.01)
    options = parser.parse_args()
    figures = asyncio.run(measure(options.streams, options.tokens, options.seconds_between))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
