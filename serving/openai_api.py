"""OpenAI-compatible routes, so that any OpenAI client can talk to a persona.

`model` is a persona's id (a question), or `<id>:rewrite`. The last user message is the question or
the text; earlier user and assistant turns are kept; system messages are dropped, because the persona
brings its own. The reply carries our sources in an extra field, `personae`, that clients may ignore.
Format: https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncGenerator
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from personae.errors import InternalError, RequestError, from_wire
from personae.persona import Cast
from personae.prompt import Message
from personae.wire import AskRequest, Delta, Done, ErrorEvent, Event, Meta, RewriteRequest
from serving.answers import Answerer

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
    temperature: float | None = Field(None, ge=0.0, le=2.0)
    max_tokens: int | None = Field(None, ge=1, le=8192)
    max_completion_tokens: int | None = Field(None, ge=1, le=8192)


class OpenAIApi:
    def __init__(self, *, cast: Cast, answerer: Answerer) -> None:
        self._cast = cast
        self._answerer = answerer

    async def models(self, request: web.Request) -> web.Response:
        names = [name for persona in self._cast for name in (persona, persona + _REWRITE)]
        cards = [
            {"id": name, "object": "model", "created": 0, "owned_by": "personae"} for name in names
        ]
        return web.json_response({"object": "list", "data": cards})

    async def chat_completions(self, request: web.Request) -> web.StreamResponse:
        chat = _parse(await request.read())
        order, history = self._order(chat)
        events = self._answerer.answer(order, history=history)
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
                persona=persona, text=words, temperature=chat.temperature, max_tokens=max_tokens
            )
            return rewrite, []
        ask = AskRequest(
            persona=persona, question=words, temperature=chat.temperature, max_tokens=max_tokens
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
                message = {"role": "assistant", "content": "".join(text).strip()}
                choice = {"index": 0, "message": message, "finish_reason": event.finish_reason}
                return web.json_response(
                    _envelope(meta, chat, "chat.completion")
                    | {"choices": [choice], "usage": _usage(event), "personae": _sources(meta)}
                )
        raise InternalError("The answer ended without an end. Please ask again.")

    async def _stream(
        self, request: web.Request, events: AsyncGenerator[Event, None], chat: _ChatRequest
    ) -> web.StreamResponse:
        first = await anext(events)
        if not isinstance(first, Meta):
            raise InternalError("The answer began without its beginning. Please ask again.")
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        )
        await response.prepare(request)
        envelope = _envelope(first, chat, "chat.completion.chunk")

        async def send(delta: dict[str, Any], finish: str | None = None, **extra: Any) -> None:
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            await _send(response, envelope | {"choices": [choice]} | extra)

        with contextlib.suppress(ConnectionResetError):
            await send({"role": "assistant", "content": ""}, personae=_sources(first))
            async for event in events:
                if isinstance(event, Delta):
                    await send({"content": event.text})
                elif isinstance(event, ErrorEvent):
                    await _send(response, {"error": event.model_dump()})
                elif isinstance(event, Done):
                    await send({}, event.finish_reason)
                    if chat.stream_options.include_usage:
                        await _send(response, envelope | {"choices": [], "usage": _usage(event)})
            await response.write(b"data: [DONE]\n\n")
            await response.write_eof()
        return response


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


def _usage(done: Done) -> dict[str, int]:
    return {
        "prompt_tokens": done.usage.prompt_tokens,
        "completion_tokens": done.usage.completion_tokens,
        "total_tokens": done.usage.prompt_tokens + done.usage.completion_tokens,
    }


def _sources(meta: Meta) -> dict[str, Any]:
    return {
        "adapter_version": meta.adapter_version,
        "disclosure": meta.disclosure,
        "notice": meta.notice,
        "citations": [citation.model_dump() for citation in meta.citations],
    }
