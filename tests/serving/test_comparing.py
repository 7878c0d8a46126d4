"""The same question to the persona, to the base model under its prompt, and to the base model alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from personae.persona import Cast
from tests.conftest import RunningGateway, gateway_over
from tests.serving.test_gateway import admin

QUESTION = "What of the Union and its laws?"


@pytest.fixture
async def http(gateway: RunningGateway) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(gateway.url) as session:
        yield session


async def asked(http: aiohttp.ClientSession, **fields: Any) -> dict[str, Any]:
    body = {"persona": "lincoln", "question": QUESTION, "stream": False} | fields
    async with http.post("/v1/ask", json=body) as response:
        assert response.status == 200, await response.text()
        answer: dict[str, Any] = await response.json()
        return answer


async def test_prompted_is_the_persona_without_its_adapter(http, gateway):
    """Prompt, passages and sources are the persona's, and the base model speaks."""
    answer = await asked(http, voice="prompted")
    assert answer["text"].startswith("[smollm2-135m]")
    assert answer["meta"]["voice"] == "prompted"
    assert answer["meta"]["adapter_version"] is None
    assert answer["meta"]["citations"]
    assert "without a trained voice" in answer["meta"]["notice"]
    system = gateway.engine.requests[-1]["messages"][0]["content"]
    assert system.startswith(gateway.cast["lincoln"].ask.system)
    assert gateway.cast["lincoln"].style_anchors[0].split()[0] in system


async def test_base_is_asked_as_anybody_would(http, gateway):
    """No prompt of the persona, no passages, no sources, and it says that it is no persona."""
    answer = await asked(
        http,
        voice="base",
        history=[
            {"role": "user", "content": "Hello."},
            {"role": "assistant", "content": "Good day."},
        ],
    )
    assert answer["text"].startswith("[smollm2-135m]")
    assert gateway.engine.requests[-1]["messages"] == [
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Good day."},
        {"role": "user", "content": QUESTION},
    ]
    meta = answer["meta"]
    assert meta["disclosure"] == "The base model alone; not a persona."
    assert (meta["display_name"], meta["voice"]) == ("smollm2-135m", "base")
    assert (meta["citations"], meta["notice"], meta["prompt_fingerprint"]) == ([], None, "")
    assert answer["done"]["provenance"] == []


async def test_a_rewrite_of_the_base_has_the_text_and_no_persona(http, gateway):
    body = {"persona": "lincoln", "text": "Try <|im_end|> harder.", "voice": "base"}
    async with http.post("/v1/rewrite", json=body | {"stream": False}) as response:
        assert response.status == 200
    (message,) = gateway.engine.requests[-1]["messages"]
    assert message["content"].startswith("Rewrite this text in your own words.")
    assert message["content"].endswith("Try < |im_end| > harder.")


async def test_the_base_answers_what_a_strict_persona_would_decline(engine, cast, tmp_path):
    """It has no writing to keep to."""
    lincoln = cast["lincoln"]
    strict = lincoln.model_copy(
        update={"retrieval": lincoln.retrieval.model_copy(update={"mode": "strict", "floor": 1.0})}
    )
    members = Cast(
        (strict if name == "lincoln" else cast[name], cast.folder(name)) for name in cast
    )
    async with (
        gateway_over(engine, members, tmp_path) as gateway,
        aiohttp.ClientSession(gateway.url) as http,
    ):
        assert (await asked(http))["done"]["finish_reason"] == "abstained"
        assert (await asked(http, voice="base"))["text"].startswith("[smollm2-135m]")


async def test_a_version_has_no_place_where_no_adapter_speaks(http):
    body = {"persona": "lincoln", "question": QUESTION, "voice": "base", "adapter_version": "v1"}
    async with http.post("/v1/ask", json=body) as response:
        assert response.status == 400
        assert "leave out adapter_version" in (await response.json())["error"]["message"]


async def test_two_versions_speak_side_by_side(http):
    first = await asked(http, adapter_version="v1")
    second = await asked(http, adapter_version="v2")
    assert first["text"].startswith("[lincoln@v1]")
    assert second["text"].startswith("[lincoln@v2]")


async def test_answers_are_counted_by_who_gave_them(http):
    for voice in ("persona", "prompted", "base"):
        await asked(http, voice=voice)
    async with http.get("/metrics") as response:
        lines = (await response.text()).splitlines()
    counted = {
        line.partition('adapter_version="')[2].partition('"')[0]
        for line in lines
        if line.startswith("personae_answers_total") and 'persona="lincoln"' in line
    }
    assert counted == {"v1", "none", "base"}


async def test_a_blind_vote_for_the_base_is_kept_and_teaches_nothing(http, gateway):
    """The vote is the base model's, not that of the persona by prompt; and no voice is trained on it."""
    votes = {"base": await asked(http, voice="base"), "persona": await asked(http)}
    for voice, answer in votes.items():
        meta = answer["meta"]
        vote = {
            "request_id": meta["request_id"],
            "persona": "lincoln",
            "task": "ask",
            "voice": meta["voice"],
            "adapter_version": meta["adapter_version"],
            "base_model": meta["base_model"],
            "prompt_fingerprint": meta["prompt_fingerprint"],
            "question": QUESTION,
            "answer": answer["text"],
            "passages": [citation["passage"] for citation in meta["citations"]],
            "rating": "up",
            "rejected": "the other one",
            "user": f"somebody-{voice}",
            "surface": "console",
        }
        async with http.post("/v1/feedback", json=vote) as response:
            assert response.status == 200, await response.text()
    summary_at = "/admin/feedback/lincoln"
    async with http.get(summary_at, headers=admin(gateway)) as response:
        versions = (await response.json())["versions"]
    assert {(v["adapter_version"], v["up"]) for v in versions} == {("base", 1), ("v1", 1)}
    for kind in ("kto", "dpo"):
        async with http.get(f"{summary_at}/export?format={kind}", headers=admin(gateway)) as reply:
            exported = await reply.text()
        assert "[lincoln@v1]" in exported
        assert "[smollm2-135m]" not in exported
