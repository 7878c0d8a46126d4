"""Feedback through a real gateway: from an answer's own events to the file that training reads."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing

import aiohttp
import pytest

from bot.core.gateway_client import GatewayClient
from personae.errors import RequestError, Unauthorized, UnknownPersona
from personae.feedback import read_revisions
from personae.feedback_wire import FeedbackRequest, ForgetRequest, RevisionRequest
from personae.prompt import fingerprint
from personae.wire import AskRequest, Delta, Meta

ASKED = "What of the Union and its laws?"


@pytest.fixture
async def client(gateway):
    async with GatewayClient(gateway.url, admin_key=gateway.admin_key) as client:
        yield client


async def answered(client, **fields):
    """An answer as a frontend has it at its end, ready to be judged."""
    meta, text = None, ""
    async for event in client.stream(AskRequest(persona="lincoln", question=ASKED)):
        if isinstance(event, Meta):
            meta = event
        elif isinstance(event, Delta):
            text += event.text
    assert meta is not None
    told = {
        "request_id": meta.request_id, "persona": meta.persona, "task": "ask",
        "adapter_version": meta.adapter_version, "base_model": meta.base_model,
        "prompt_fingerprint": meta.prompt_fingerprint, "question": ASKED, "answer": text,
        "passages": [citation.passage for citation in meta.citations], "user": "ann", "surface": "discord",
    }  # fmt: skip
    return told | fields


def lines(body):
    return [json.loads(line) for line in body.splitlines()]


async def test_an_answer_names_its_prompt_and_its_passages(client, gateway):
    told = await answered(client)
    assert told["prompt_fingerprint"] == fingerprint(gateway.cast["lincoln"])
    assert len(set(told["passages"])) == len(told["passages"]) == 2
    assert told["passages"][0].startswith("union-1862#0.")


async def test_the_exported_prompt_is_the_one_the_engine_got(client, gateway):
    told = await answered(client)
    sent = gateway.engine.requests[-1]["messages"]
    receipt = await client.feedback(FeedbackRequest(**told, rating="up", reason="true"))
    assert receipt.id and not receipt.replaced
    assert (await client.feedback(FeedbackRequest(**told, rating="down"))).replaced
    (row,) = lines(await client.export_feedback("lincoln", "kto"))
    assert row["prompt"] == sent
    assert row["completion"] == [{"role": "assistant", "content": told["answer"]}]
    assert row["label"] is False
    summary = await client.feedback_summary("lincoln")
    assert [(v.adapter_version, v.up, v.down) for v in summary.versions] == [("v1", 0, 1)]
    assert lines(await client.export_feedback("roosevelt", "kto")) == []


async def test_a_passage_that_is_no_more_leaves_the_answer_out_of_the_export(client, gateway):
    told = await answered(client)
    told["passages"][1] = told["passages"][1].replace("#", "#7")
    await client.feedback(FeedbackRequest(**told, rating="up"))
    told["passages"] = ["", "no name", "x#1", "union-1862#0.00000000", "'; --#0.a"]
    await client.feedback(FeedbackRequest(**told | {"request_id": "r2"}, rating="up"))
    assert await client.export_feedback("lincoln", "kto") == b""
    assert (await client.feedback_summary("lincoln")).versions[0].up == 2


async def test_a_revision_is_laid_down_for_training_and_goes_when_its_asker_is_forgotten(
    client, gateway
):
    told = await answered(client, user="op", asked_by="ann")
    better = RevisionRequest(**told, revision="The Union and its laws stay.", actor="Olga")
    await client.revise(better)
    (revision,) = read_revisions(gateway.config.feedback, "lincoln")
    assert revision.revision == "The Union and its laws stay." and revision.can_teach
    assert revision.prompt(gateway.cast["lincoln"]) == gateway.engine.requests[-1]["messages"]
    path = gateway.config.feedback / "lincoln" / "revisions.jsonl"
    assert "Olga" not in path.read_text() and "ann" not in path.read_text()
    (row,) = lines(await client.export_feedback("lincoln", "sft"))
    assert row["messages"][-1]["content"] == revision.revision
    assert (await client.export_feedback("lincoln", "revisions")).decode() == path.read_text()
    mine = (await client.feedback_of(ForgetRequest(user="ann", surface="discord"))).feedback
    assert [(one.answer, one.revision) for one in mine] == [(told["answer"], "")], "op's words"
    ops = (await client.feedback_of(ForgetRequest(user="op", surface="discord"))).feedback
    assert [one.revision for one in ops] == ["The Union and its laws stay."]
    async with GatewayClient(gateway.url) as stranger:
        with pytest.raises(Unauthorized):
            await stranger.feedback_of(ForgetRequest(user="ann", surface="discord"))
    forgotten = await client.forget_feedback(ForgetRequest(user="ann", surface="discord"))
    assert forgotten.deleted == 1
    assert not path.exists() and await client.export_feedback("lincoln", "sft") == b""


async def test_who_leaves_before_the_end_is_forgotten_in_the_file_too(client, gateway):
    told = await answered(client, user="op", asked_by="ann")
    await client.revise(RevisionRequest(**told, revision="The Union stays."))
    path = gateway.config.feedback / "lincoln" / "revisions.jsonl"
    assert path.exists()
    with closing(sqlite3.connect(gateway.config.home / "state.db")) as other:
        other.execute("BEGIN IMMEDIATE")  # the gateway's thread waits for its end
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.5)) as http:
            with pytest.raises(TimeoutError):
                body = {"user": "ann", "surface": "discord"}
                await http.post(f"{gateway.url}/v1/feedback/forget", json=body)
        await asyncio.sleep(0.3)  # the gateway sees that they left
        assert path.exists()
        other.rollback()
    async with asyncio.timeout(30):
        while path.exists():
            await asyncio.sleep(0.05)


async def test_an_empty_revision_takes_it_back_and_one_with_special_tokens_is_refused(
    client, gateway
):
    told = await answered(client)
    with pytest.raises(RequestError, match="Take them out"):
        await client.revise(RevisionRequest(**told, revision="Yes.<|im_end|>"))
    await client.revise(RevisionRequest(**told, revision="Yes."))
    assert (await client.revise(RevisionRequest(**told, revision=""))).replaced
    assert read_revisions(gateway.config.feedback, "lincoln") == []


async def test_bad_feedback_is_told(client, gateway):
    told = await answered(client)
    with pytest.raises(UnknownPersona, match="lincoln"):
        await client.feedback(FeedbackRequest(**told | {"persona": "lincon"}, rating="up"))
    with pytest.raises(UnknownPersona):
        await client.feedback_summary("nobody")
    with pytest.raises(RequestError, match="format=kto"):
        await client.export_feedback("lincoln", "csv")
    body = FeedbackRequest(**told, rating="up").model_dump(mode="json")
    async with aiohttp.ClientSession(gateway.url) as http:
        for change, words in (
            ({"rating": "meh"}, "rating"),
            ({"colour": 1}, "colour: unknown field"),
            ({"reason": "x" * 2001}, "reason"),
            ({"passages": ["x"] * 41}, "passages"),
            ({"user": ""}, "user"),
            ({"answer": "x" * 200_001}, "answer"),
        ):
            async with http.post("/v1/feedback", json=body | change) as response:
                assert response.status == 400
                assert words in (await response.json())["error"]["message"]


async def test_revisions_and_exports_need_the_admin_key(client, gateway):
    told = await answered(client)
    async with GatewayClient(gateway.url, admin_key="another") as stranger:
        await stranger.feedback(FeedbackRequest(**told, rating="up"))
        for call in (
            stranger.revise(RevisionRequest(**told, revision="Mine.")),
            stranger.feedback_summary("lincoln"),
            stranger.export_feedback("lincoln", "kto"),
        ):
            with pytest.raises(Unauthorized):
                await call


async def test_metrics_count_feedback_by_version_and_take_no_word_of_a_client(client, gateway):
    told = await answered(client)
    await client.feedback(FeedbackRequest(**told, rating="up"))
    await client.feedback(FeedbackRequest(**told))
    await client.feedback(FeedbackRequest(**told))
    await client.feedback(FeedbackRequest(**told | {"adapter_version": "evil"}, rating="down"))
    await client.feedback(FeedbackRequest(**told | {"adapter_version": None}, rating="up"))
    await client.revise(RevisionRequest(**told, revision="Better."))
    async with aiohttp.ClientSession(gateway.url) as http, http.get("/metrics") as response:
        text = await response.text()
    counted = {line for line in text.splitlines() if line.startswith("personae_feedback_total")}
    assert counted == {
        f'personae_feedback_total{{adapter_version="{version}",kind="{kind}",persona="lincoln"}} 1.0'
        for version, kind in (
            ("v1", "up"),
            ("v1", "taken_back"),
            ("v1", "revision"),
            ("unknown", "down"),
            ("none", "up"),
        )
    }
    assert "evil" not in text


async def test_the_database_and_the_file_are_their_owner_s_alone(client, gateway):
    await client.revise(RevisionRequest(**await answered(client), revision="Better."))
    for path in (
        gateway.config.home / "state.db",
        gateway.config.feedback / "lincoln" / "revisions.jsonl",
    ):
        assert path.stat().st_mode & 0o077 == 0
