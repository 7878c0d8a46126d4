"""OpenAI-compatible routes, so that any OpenAI client can talk to a persona.

`model` is a persona's id (a question), or `<id>:rewrite`. The last user message is the question or
the text; earlier user and assistant turns are kept; system messages are dropped, because the persona
brings its own. The reply carries our sources in an extra field, `personae`, that clients may ignore;
so a text that no model wrote says so itself. While a stream waits in line it carries comments, which
clients skip: `: queued position=2 eta=7`.
Format: https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from personae.errors import InternalError, RequestError, from_wire
from personae.persona import Cast
from personae.prompt import Message
from personae.wire import (
    AskRequest,
    Delta,
    Done,
    ErrorEvent,
    Event,
    Meta,
    Queued,
    RewriteRequest,
    ShortText,
)
from serving.answer_run import Origin
from serving.answers import Answerer
from serving.streams import SSE_HEADERS, kept_alive

_REWRITE = ":rewrite"


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")
    type: str
    text: str = ""


class _ChatMessage(BaseModel):
    model_config = ConfigDict(extra="ignore")
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[_Part] | None = None

    def words(self) -> str:
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content if part.type == "text")
        return self.content or ""


class _StreamOptions(BaseModel):
    model_config = ConfigDict(extra="ignore")
    include_usage: bool = False


class _ChatRequest(BaseModel):
    """The fields we act on. Clients send many others; they are ignored."""

    model_config = ConfigDict(extra="ignore")
    model: str
    messages: list[_ChatMessage] = Field(min_length=1)
    stream: bool = False
    stream_options: _StreamOptions = _StreamOptions()
    user: ShortText | None = None
    temperature: float | None = Field(None, ge=0.0, le=2.0)
    max_tokens: int | None = Field(None, ge=1, le=8192)
    max_completion_tokens: int | None = Field(None, ge=1, le=8192)


class OpenAIApi:
    def __init__(
        self, *, cast: Cast, answerer: Answerer, origin_of: Callable[[web.Request], Origin]
    ) -> None:
        self._cast = cast
        self._answerer = answerer
        self._origin_of = origin_of

    async def models(self, request: web.Request) -> web.Response:
        names = [name for persona in self._cast for name in (persona, persona + _REWRITE)]
        cards = [
            {"id": name, "object": "model", "created": 0, "owned_by": "personae"} for name in names
        ]
        return web.json_response({"object": "list", "data": cards})

    async def chat_completions(self, request: web.Request) -> web.StreamResponse:
        chat = _parse(await request.read())
        order, history = self._order(chat)
        events = self._answerer.answer(order, history=history, origin=self._origin_of(request))
        async with contextlib.aclosing(events):
            if chat.stream:
                return await self._stream(request, events, chat)
            return await self._whole(events, chat)

    def _order(self, chat: _ChatRequest) -> tuple[AskRequest | RewriteRequest, list[Message]]:
        if chat.messages[-1].role != "user":
            raise RequestError("The last message must be the user's.")
        history: list[Message] = [
            {"role": "user" if message.role == "user" else "assistant", "content": message.words()}
            for message in chat.messages[:-1]
            if message.role in ("user", "assistant")
        ]
        words = chat.messages[-1].words()
        max_tokens = chat.max_completion_tokens or chat.max_tokens
        persona = chat.model.removesuffix(_REWRITE)
        if chat.model.endswith(_REWRITE):
            rewrite = RewriteRequest(
                persona=persona,
                text=words,
                temperature=chat.temperature,
                max_tokens=max_tokens,
                user=chat.user,
            )
            return rewrite, []
        ask = AskRequest(
            persona=persona,
            question=words,
            temperature=chat.temperature,
            max_tokens=max_tokens,
            user=chat.user,
        )
        return ask, history

    async def _whole(self, events: AsyncGenerator[Event, None], chat: _ChatRequest) -> web.Response:
        meta: Meta | None = None
        text: list[str] = []
        async for event in events:
            if isinstance(event, Meta):
                meta = event
            elif isinstance(event, Delta):
                text.append(event.text)
            elif isinstance(event, ErrorEvent):
                raise from_wire(event.model_dump())
            elif isinstance(event, Done) and meta is not None:
                message = {"role": "assistant", "content": _label(meta) + "".join(text).strip()}
                choice = {"index": 0, "message": message, "finish_reason": _finish(event)}
                return web.json_response(
                    _envelope(meta, chat, "chat.completion")
                    | {"choices": [choice], "usage": _usage(event)}
                    | {"personae": _sources(meta) | _leaning(event)}
                )
        raise InternalError("The answer ended without an end. Please ask again.")

    async def _stream(
        self, request: web.Request, events: AsyncGenerator[Event, None], chat: _ChatRequest
    ) -> web.StreamResponse:
        event = await anext(events)
        response = web.StreamResponse(headers=SSE_HEADERS)
        await response.prepare(request)
        with contextlib.suppress(ConnectionResetError):
            async with kept_alive(response):
                while isinstance(event, Queued):
                    waiting = f": queued position={event.position} eta={event.eta_seconds:.0f}\n\n"
                    await response.write(waiting.encode())
                    event = await anext(events)
                if isinstance(event, Meta):
                    await _send_answer(response, event, events, chat)
                elif isinstance(event, ErrorEvent):
                    await _send(response, {"error": event.model_dump()})
            await response.write(b"data: [DONE]\n\n")
            await response.write_eof()
        return response


async def _send_answer(
    response: web.StreamResponse,
    meta: Meta,
    events: AsyncGenerator[Event, None],
    chat: _ChatRequest,
) -> None:
    envelope = _envelope(meta, chat, "chat.completion.chunk")

    async def send(delta: dict[str, Any], finish: str | None = None, **extra: Any) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        await _send(response, envelope | {"choices": [choice]} | extra)

    before, after = _around_words(envelope)
    await send({"role": "assistant", "content": _label(meta)}, personae=_sources(meta))
    async for event in events:
        if isinstance(event, Delta):
            await response.write(before + json.dumps(event.text).encode() + after)
        elif isinstance(event, ErrorEvent):
            await _send(response, {"error": event.model_dump()})
        elif isinstance(event, Done):
            await send({}, _finish(event), personae=_leaning(event))
            if chat.stream_options.include_usage:
                await _send(response, envelope | {"choices": [], "usage": _usage(event)})


def _around_words(envelope: dict[str, Any]) -> tuple[bytes, bytes]:
    """What stands before and after the words in a chunk, which is written once for every token."""
    mark = "\x00"
    choice = {"index": 0, "delta": {"content": mark}, "finish_reason": None}
    before, _, after = json.dumps(envelope | {"choices": [choice]}).rpartition(json.dumps(mark))
    return f"data: {before}".encode(), f"{after}\n\n".encode()


async def _send(response: web.StreamResponse, chunk: dict[str, Any]) -> None:
    await response.write(f"data: {json.dumps(chunk)}\n\n".encode())


def _parse(body: bytes) -> _ChatRequest:
    try:
        return _ChatRequest.model_validate_json(body)
    except ValidationError as err:
        problem = err.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise RequestError(f"The request is not usable: {place}: {problem['msg']}.") from err


def _envelope(meta: Meta, chat: _ChatRequest, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{meta.request_id}",
        "object": kind,
        "created": int(time.time()),
        "model": chat.model,
    }


def _label(meta: Meta) -> str:
    """What stands before a text that no model wrote, for clients that show nothing but the text."""
    return f"({meta.notice})\n\n" if meta.quoted else ""


def _finish(done: Done) -> str:
    return "stop" if done.finish_reason in ("quoted", "abstained") else done.finish_reason


def _usage(done: Done) -> dict[str, int]:
    return {
        "prompt_tokens": done.usage.prompt_tokens,
        "completion_tokens": done.usage.completion_tokens,
        "total_tokens": done.usage.prompt_tokens + done.usage.completion_tokens,
    }


def _leaning(done: Done) -> dict[str, Any]:
    """What the text leans on, known at its end. (Offsets count in the text without the label of `_label`.)"""
    return {
        "ended": done.finish_reason,
        "used_citations": done.used_citations,
        "provenance": [span.model_dump() for span in done.provenance],
        "checks": done.checks.model_dump() if done.checks else None,
    }


def _sources(meta: Meta) -> dict[str, Any]:
    return {
        "adapter_version": meta.adapter_version,
        "disclosure": meta.disclosure,
        "notice": meta.notice,
        "citations": [citation.model_dump() for citation in meta.citations],
    }
