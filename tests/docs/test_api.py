"""docs/api.md tells the routes of a running gateway, who may call each, and what each takes and gives."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import BaseModel

from docs.generator.routes import EVENTS, Route, all_routes
from personae.persona import Cast
from personae.wire import sse_messages
from tests.conftest import REPOSITORY, RunningGateway, gateway_over
from tests.fakes.engine import FakeEngine

API_KEY = "test-api-key"
_PLACES = {"persona": "lincoln", "version": "v1", "name": "app.js", "run": "none", "job": "none"}

_ABSENT = {
    "/console/api/runs/{persona}/{run}": 404,
    "/console/api/jobs/{job}": 404,
    "/admin/jobs/{job}/log": 404,
    "/admin/personas/{persona}/writing": 409,
}
"""This home has no run, no job, and nobody who was made in it: the tests of those rooms look at these."""


@pytest.fixture
async def gateway(tmp_path: Path, cast: Cast, engine: FakeEngine) -> AsyncIterator[RunningGateway]:
    keys = {"PERSONAE_API_KEY": API_KEY}
    async with gateway_over(engine, cast, tmp_path, environment=keys) as running:
        yield running


@pytest.fixture
async def http(gateway: RunningGateway) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(gateway.url) as session:
        yield session


def path_of(route: Route) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: _PLACES[found[1]], route.path)


def key_of(route: Route) -> dict[str, str]:
    key = {"admin": "test-admin-key", "API": API_KEY, "open": ""}[route.key]
    return {"Authorization": f"Bearer {key}"} if key else {}


def test_the_routes_told_are_those_that_are_served(gateway):
    """And the page has them all."""
    served = {
        (route.method, route.resource.canonical)
        for route in gateway.service.app.router.routes()
        if route.method != "HEAD" and route.resource is not None
    }
    told = [(route.method, route.path) for route in all_routes()]
    assert len(told) == len(set(told))
    assert set(told) ^ served == set()
    page = (REPOSITORY / "docs" / "api.md").read_text(encoding="utf-8")
    assert all(f"`{method} {path}`" in page for method, path in told)


async def test_each_route_asks_for_the_key_that_is_told(http):
    """Nobody's request is let through to a keyed route, nor with the other key; the right one is."""
    for route in all_routes():
        path = path_of(route)
        others = [{}, *({"Authorization": f"Bearer {key}"} for key in ("wrong",))]
        if route.key == "admin":
            others.append({"Authorization": f"Bearer {API_KEY}"})
        if route.key == "API":
            others.append({"Authorization": "Bearer test-admin-key"})
        for headers in others:
            async with http.request(route.method, path, headers=headers) as reply:
                assert (reply.status == 401) == (route.key != "open"), f"{route.method} {path}"
        if route.method == "GET":
            async with http.get(path, headers=key_of(route)) as reply:
                assert reply.status != 401, path


async def test_each_route_takes_the_object_that_is_told(http):
    """A stranger's field is refused by name, and what is required is asked for by name."""
    checked = 0
    for route in all_routes():
        if not (isinstance(route.takes, type) and issubclass(route.takes, BaseModel)):
            continue
        async with http.request(
            route.method, path_of(route), json={"colour": 1}, headers=key_of(route)
        ) as reply:
            said = await reply.text()
            assert reply.status in (400, 422), f"{route.path}: {said}"
        assert "colour" in said, route.path
        for name, field in route.takes.model_fields.items():
            if field.is_required():
                assert name in said, f"{route.path}: {name}"
        checked += 1
    assert checked > 8


async def test_each_reading_gives_the_object_that_is_told(http):
    """Nothing more and nothing less than its fields, all the way down."""
    checked = 0
    for route in all_routes():
        if route.method != "GET" or not isinstance(route.gives, type):
            continue
        async with http.get(path_of(route), headers=key_of(route)) as reply:
            got = await reply.json()
            if reply.status == _ABSENT.get(route.path):
                continue
            assert reply.status == 200, f"{route.path}: {got}"
        _is_exactly(route.gives, got, route.path)
        checked += 1
    assert checked > 8


async def test_what_is_posted_gives_the_object_that_is_told(http):
    rated = {
        "request_id": "1", "persona": "lincoln", "task": "ask", "base_model": "smollm2-135m",
        "question": "Why?", "answer": "So.", "rating": "up", "user": "somebody",
    }  # fmt: skip
    bodies: dict[str, dict[str, Any]] = {
        "/v1/ask": {"persona": "lincoln", "question": "What of the Union?", "stream": False},
        "/v1/rewrite": {"persona": "lincoln", "text": "We should try.", "stream": False},
        "/v1/feedback": rated,
        "/v1/feedback/forget": {"user": "somebody"},
        "/admin/people/feedback": {"user": "somebody"},
        "/admin/revisions": rated | {"revision": "Therefore."},
        "/admin/adapters/{persona}/reload": {"version": "v2"},
        "/admin/adapters/{persona}/rollback": {},
        "/admin/personas/preview": {"display_name": "Ada Lovelace"},
    }
    routes = {route.path: route for route in all_routes() if route.method == "POST"}
    for path, body in bodies.items():
        route = routes[path]
        async with http.post(path_of(route), json=body, headers=key_of(route)) as reply:
            got = await reply.json()
            assert reply.status == 200, f"{path}: {got}"
        assert isinstance(route.gives, type), path
        _is_exactly(route.gives, got, path)


async def test_a_stream_has_the_events_that_are_told(http):
    body = {"persona": "lincoln", "question": "What of the Union and its laws?"}
    headers = {"Authorization": f"Bearer {API_KEY}"}
    async with http.post("/v1/ask", json=body, headers=headers) as reply:
        seen = [(name, data) async for name, data in sse_messages(reply.content)]
    assert {name for name, _ in seen} == {"meta", "delta", "done"}
    for name, data in seen:
        EVENTS[name].model_validate_json(data)


def _is_exactly(model: type[BaseModel], got: Any, where: str) -> None:
    assert model.model_validate(got).model_dump(mode="json") == got, where
