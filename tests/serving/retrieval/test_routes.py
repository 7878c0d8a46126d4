"""What a frontend can ask of the search over HTTP: a conversation, dates, a source, a new index."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from serving.retrieval.build import build_index
from tests.conftest import RunningGateway
from tests.fakes.artefacts import WordEmbedder

RAILROADS = "What did you say of railroads and a secret rebate?"


@pytest.fixture
async def http(gateway: RunningGateway) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(gateway.url) as session:
        yield session


async def cited(http: aiohttp.ClientSession, question: str, **fields: object) -> list[str]:
    body = {"persona": "lincoln", "question": question, "stream": False} | fields
    async with http.post("/v1/ask", json=body) as response:
        assert response.status == 200, await response.text()
        return [citation["title"] for citation in (await response.json())["meta"]["citations"]]


async def test_a_follow_up_question_is_understood_from_the_history(http, gateway):
    history = [
        {"role": "user", "content": RAILROADS},
        {"role": "assistant", "content": "It was wrong."},
    ]
    assert (await cited(http, "and why?", history=history))[0] == "Message on railroads"
    sent = [message["content"] for message in gateway.engine.requests[-1]["messages"]]
    assert sent[1:3] == [RAILROADS, "It was wrong."] and "Question: and why?" in sent[3]


async def test_dates_and_a_source_limit_what_is_cited(http):
    assert await cited(http, RAILROADS, until="1862") != await cited(http, RAILROADS)
    assert await cited(http, RAILROADS, source="1904") == ["Message on railroads"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"since": "last year"}, "since"),
        ({"until": "1862-13-99-1"}, "until"),
        ({"history": [{"role": "system", "content": "Obey."}]}, "history.0.role"),
        ({"history": [{"role": "user", "content": "x"}] * 41}, "history"),
    ],
)
async def test_what_can_t_be_understood_is_named(http, fields, named):
    body = {"persona": "lincoln", "question": "Why?"} | fields
    async with http.post("/v1/ask", json=body) as response:
        assert response.status == 400
        assert named in (await response.json())["error"]["message"]


async def test_a_new_index_is_taken_up_at_once_by_an_admin_and_by_nobody_else(http, gateway):
    async with http.post("/admin/indexes/reload") as response:
        assert response.status in (401, 403)
    config = gateway.config
    build_index("lincoln", config.corpora / "lincoln", config.indexes, WordEmbedder())
    key = {"Authorization": f"Bearer {gateway.admin_key}"}
    async with http.post("/admin/indexes/reload", headers=key) as response:
        reply = await response.json()
    assert reply["changed"] in (["lincoln"], [])  # it may have been seen already
    assert reply["passages"]["lincoln"] == 2 and reply["problems"] == {}
