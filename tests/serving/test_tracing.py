"""Traces, read where they arrive: a collector on loopback that decodes OTLP over HTTP."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any, Self

import aiohttp
import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.conftest import REPOSITORY, RunningGateway, gateway_over

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECRET = "What of the Union and its laws?"


class Collector:
    """Keeps the spans it is sent, and the bytes they came in."""

    def __init__(self) -> None:
        self.spans: dict[str, Any] = {}
        self.raw = b""
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/traces", self._take)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.raw += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                self.spans |= {span.name: span for span in scope.spans}
        return web.Response()


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with Collector() as collector:
        yield collector


async def test_an_answer_is_one_trace_from_the_caller_to_the_engine(
    collector, cast, engine, tmp_path
):
    """request → queue → retrieve → engine, the caller above, the engine told, and no text in it."""
    settings = {
        "gateway": "max_answers_at_once = 1",
        "deadlines": "drain_seconds = 5",
        "extra": f'[observability]\ntraces = "{collector.url}"',
    }
    async with gateway_over(engine, cast, tmp_path, **settings) as gateway:
        engine.words = ["word "] * 10
        engine.seconds_between = 0.02
        ask = {"persona": "lincoln", "question": SECRET, "stream": False, "user": "u-77"}
        async with aiohttp.ClientSession(gateway.url) as http:

            async def asked(headers: dict[str, str]) -> None:
                async with http.post("/v1/ask", json=ask, headers=headers) as response:
                    assert response.status == 200

            first = asyncio.create_task(asked({}))
            async with asyncio.timeout(30):
                while not gateway.service.bases.of("lincoln").admission.running:
                    await asyncio.sleep(0.005)
            await asked({"Traceparent": CALLER})  # waits in line behind the first
            await first
            told = engine.headers["traceparent"]
    spans = collector.spans
    assert set(spans) == {"answer", "queue", "retrieve", "engine"}
    root = spans["answer"]
    assert root.trace_id.hex() == CALLER.split("-")[1]
    assert root.parent_span_id.hex() == CALLER.split("-")[2]
    for name in ("queue", "retrieve", "engine"):
        assert spans[name].trace_id == root.trace_id
        assert spans[name].parent_span_id == root.span_id
    assert told.split("-")[1:3] == [root.trace_id.hex(), spans["engine"].span_id.hex()]
    assert [event.name for event in spans["engine"].events] == ["first token"]
    attributes = {entry.key: entry.value.string_value for entry in root.attributes}
    assert attributes == {
        "personae.task": "ask",
        "personae.persona": "lincoln",
        "personae.adapter_version": "v1",
        "personae.outcome": "stop",
    }
    for secret in (b"Union", b"u-77", b"word"):
        assert secret not in collector.raw


async def test_a_collector_that_is_away_costs_no_answer(cast, engine, tmp_path):
    extra = '[observability]\ntraces = "http://127.0.0.1:9"'
    async with gateway_over(engine, cast, tmp_path, extra=extra) as gateway:
        ask = {"persona": "lincoln", "question": SECRET, "stream": False}
        async with (
            aiohttp.ClientSession(gateway.url) as http,
            http.post("/v1/ask", json=ask) as response,
        ):
            assert response.status == 200


def test_nothing_of_opentelemetry_is_imported_without_the_flag():
    code = (
        "import sys, serving.service; from serving.tracing import tracing_to; "
        "t = tracing_to(None).begin({'traceparent': 'x'}); t.end(outcome='stop'); "
        "assert t.headers == {}; "
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode == 0


async def test_without_the_flag_a_traceparent_goes_no_further(gateway: RunningGateway):
    ask = {"persona": "lincoln", "question": "Who?", "stream": False}
    async with (
        aiohttp.ClientSession(gateway.url) as http,
        http.post("/v1/ask", json=ask, headers={"traceparent": CALLER}) as response,
    ):
        assert response.status == 200
    assert "traceparent" not in gateway.engine.headers
