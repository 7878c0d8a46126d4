"""The wire as golden text: a change here is a change for every frontend."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis.strategies import text

from personae.errors import InternalError, RequestError
from personae.wire import (
    AskRequest,
    Checks,
    Citation,
    Delta,
    Done,
    ErrorEvent,
    Meta,
    Queued,
    Span,
    Timings,
    Usage,
    decode_event,
    encode_event,
    parse_request,
    sse_messages,
)

META = Meta(
    request_id="r1",
    persona="lincoln",
    display_name="Abraham Lincoln",
    disclosure="An imitation.",
    adapter_version="v1",
    base_model="smollm2-135m",
    citations=[Citation(number=1, title="T", date="1862", url="https://e.org", excerpt="E")],
)
GOLDEN = [
    (
        Queued(position=2, eta_seconds=7.5),
        'event: queued\ndata: {"position":2,"eta_seconds":7.5}\n\n',
    ),
    (
        META,
        'event: meta\ndata: {"request_id":"r1","persona":"lincoln","display_name":"Abraham Lincoln",'
        '"disclosure":"An imitation.","adapter_version":"v1","base_model":"smollm2-135m",'
        '"voice":"persona","prompt_fingerprint":"",'
        '"citations":[{"number":1,"title":"T","section":"","date":"1862","url":"https://e.org","excerpt":"E","quote":"","passage":""}],'
        '"notice":null,"quoted":false}\n\n',
    ),
    (Delta(text="a\nb ☃"), 'event: delta\ndata: {"text":"a\\nb ☃"}\n\n'),
    (
        Done(
            finish_reason="stop",
            usage=Usage(prompt_tokens=1, completion_tokens=2),
            timings=Timings(retrieval_seconds=0.5, first_token_seconds=None, total_seconds=1.5),
            provenance=[Span(start=0, end=9, kind="quote", citation=1)],
            checks=Checks(unquoted=2),
            used_citations=[1],
        ),
        'event: done\ndata: {"finish_reason":"stop","usage":{"prompt_tokens":1,"completion_tokens":2},'
        '"timings":{"retrieval_seconds":0.5,"first_token_seconds":null,"total_seconds":1.5},'
        '"provenance":[{"start":0,"end":9,"kind":"quote","citation":1}],'
        '"checks":{"dropped_markers":0,"unquoted":2,"attributed":0,"dropped_sentences":0},'
        '"used_citations":[1]}\n\n',
    ),
    (
        ErrorEvent(code="busy", message="Later.", retry_after_seconds=20),
        'event: error\ndata: {"code":"busy","message":"Later.","retry_after_seconds":20.0}\n\n',
    ),
]


async def lines(text: str) -> AsyncIterator[bytes]:
    for line in text.encode().splitlines(keepends=True):
        yield line


@pytest.mark.parametrize(("event", "text"), GOLDEN)
async def test_events_are_written_as_agreed_and_read_back(event, text):
    assert encode_event(event).decode() == text
    read = [decode_event(name, data) async for name, data in sse_messages(lines(text))]
    assert read == [event]


@given(text())
def test_a_delta_is_written_as_pydantic_would(words):
    """There is one for every token, so it is written by hand; what is written must not differ."""
    delta = Delta(text=words)
    assert encode_event(delta) == f"event: delta\ndata: {delta.model_dump_json()}\n\n".encode()


def test_half_a_character_from_an_engine_does_not_end_the_stream():
    assert encode_event(Delta(text="a\ud83d")) == b'event: delta\ndata: {"text":"a?"}\n\n'


async def test_streams_with_comments_carriage_returns_and_unknown_fields_are_read():
    text = ": ping\r\nevent: delta\r\nid: 7\r\ndata: {\r\ndata: }\r\n\r\ndata: [DONE]\n\n"
    assert [m async for m in sse_messages(lines(text))] == [
        ("delta", "{\n}"),
        ("message", "[DONE]"),
    ]


async def test_a_message_cut_off_by_the_end_is_not_delivered():
    assert [m async for m in sse_messages(lines("event: done\ndata: {}"))] == []


def test_unknown_events_are_passed_over_and_broken_ones_told():
    assert decode_event("ping", "{}") is None
    with pytest.raises(InternalError):
        decode_event("delta", '{"txt": 1}')


def test_a_newer_gateway_s_extra_fields_are_ignored():
    assert decode_event("delta", '{"text":"x","mood":"grave"}') == Delta(text="x")


def test_requests_are_strict_and_tell_every_field():
    with pytest.raises(RequestError) as caught:
        parse_request(AskRequest, b'{"persona": 1, "colour": 2, "temperature": 9}')
    for field in ("persona", "colour: unknown field", "temperature", "question"):
        assert field in str(caught.value)
