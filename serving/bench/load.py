"""Requests to an engine or a gateway, timed where the client stands.

In: a model or persona, and words. Out: a `Reply` with the moments that matter and what was said. While
a stream runs, only its first text is looked for; everything else is read when it has ended, so that
the client takes as little as it can of a processor it shares with what it measures.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from personae.errors import EngineUnavailable
from personae.prompt import Message

_ENGINE_TEXT = re.compile(rb'"content":"[^"]')
_GATEWAY_TEXT = re.compile(rb"^event: delta", re.MULTILINE)
_CONTROL_SECONDS = 180.0

GREEDY: Mapping[str, Any] = {"temperature": 0.0, "top_p": 1.0}


@dataclass(frozen=True)
class Reply:
    """One answer as its client saw it; times in seconds of `time.monotonic()`."""

    started: float
    first_text: float | None
    ended: float
    status: int
    text: str = ""
    finish_reason: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    version: str | None = None
    """The adapter version that a gateway named; None for prompt only, and from an engine."""
    retrieval_seconds: float = 0.0
    events: tuple[str, ...] = ()
    """Names of a gateway's events, runs of one name once: ("meta", "delta", "done")."""
    error: str | None = None
    """The error's code, or what broke the connection; None for an answer with an end."""
    message: str | None = None
    """The sentence that came with a gateway's error."""
    retry_after_seconds: float | None = None
    key: Any = None
    """Whatever the caller wants to know it by."""

    @property
    def first_token_seconds(self) -> float:
        """Waiting for the first text; for the end where no text came."""
        return (self.first_text or self.ended) - self.started


@dataclass
class _Raw:
    started: float
    first_text: float | None
    ended: float
    status: int
    body: bytes
    retry_after: str | None
    broken: str | None


class Target:
    """A server under measurement, with a connection pool of its own.

    Args:
        url: "http://host:port"; with `socket` the host part is only a name.
        stream_seconds: how long one answer may take altogether.
    """

    def __init__(
        self,
        url: str,
        *,
        socket: Path | None = None,
        admin_key: str | None = None,
        stream_seconds: float = 600.0,
    ) -> None:
        self.url = url
        self._socket = socket
        self._admin = {"Authorization": f"Bearer {admin_key}"} if admin_key else {}
        self._timeout = aiohttp.ClientTimeout(total=stream_seconds, sock_connect=10)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector: aiohttp.BaseConnector
        if self._socket is not None:
            connector = aiohttp.UnixConnector(path=str(self._socket), limit=0)
        else:
            connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(connector=connector)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """A request that is not a stream: (status, JSON; empty where there is none)."""
        assert self._session is not None
        timeout = aiohttp.ClientTimeout(total=_CONTROL_SECONDS, sock_connect=10)
        try:
            async with self._session.request(
                method, self.url + path, json=body, headers=self._admin, timeout=timeout
            ) as response:
                text = await response.text()
                status = response.status
        except (aiohttp.ClientError, TimeoutError) as err:
            raise EngineUnavailable(f"{self.url}{path} is not reachable.") from err
        try:
            parsed = json.loads(text)
        except ValueError:
            parsed = {}
        return status, parsed if isinstance(parsed, dict) else {}

    async def answers(self, path: str) -> bool:
        """Whether GET gives 200."""
        try:
            return (await self.call("GET", path))[0] == 200
        except EngineUnavailable:
            return False

    async def _stream(self, path: str, body: Mapping[str, Any], text: re.Pattern[bytes]) -> _Raw:
        assert self._session is not None
        started = time.monotonic()
        raw = _Raw(started, None, started, 0, b"", None, None)
        parts: list[bytes] = []
        try:
            async with self._session.post(
                self.url + path, json=body, timeout=self._timeout
            ) as response:
                raw.status = response.status
                raw.retry_after = response.headers.get("Retry-After")
                async for part in response.content.iter_any():
                    parts.append(part)
                    if raw.first_text is None and text.search(part):
                        raw.first_text = time.monotonic()
        except (aiohttp.ClientError, TimeoutError, OSError) as err:
            raw.broken = type(err).__name__
        raw.ended = time.monotonic()
        raw.body = b"".join(parts)
        return raw


class Engine(Target):
    """vLLM's OpenAI server."""

    async def chat(
        self,
        model: str,
        messages: Sequence[Message],
        *,
        fresh: bool = True,
        key: Any = None,
        **sampling: Any,
    ) -> Reply:
        """One streamed answer, greedy unless `sampling` says otherwise.

        Args:
            fresh: salt the prefix cache, so that nothing of the prompt is known already.
        """
        body = {
            "model": model,
            "messages": list(messages),
            "stream": True,
            "stream_options": {"include_usage": True},
            **GREEDY,
            **sampling,
        }
        if fresh:
            body["cache_salt"] = uuid.uuid4().hex
        raw = await self._stream("/v1/chat/completions", body, _ENGINE_TEXT)
        return _engine_reply(raw, key)


class Gateway(Target):
    """A personae gateway."""

    async def ask(self, persona: str, question: str, *, key: Any = None, **fields: Any) -> Reply:
        """One streamed answer to a question, greedy unless `fields` say otherwise."""
        body = {"persona": persona, "question": question, "temperature": 0.0, **fields}
        return _gateway_reply(await self._stream("/v1/ask", body, _GATEWAY_TEXT), key)

    async def rewrite(self, persona: str, text: str, *, key: Any = None, **fields: Any) -> Reply:
        body = {"persona": persona, "text": text, "temperature": 0.0, **fields}
        return _gateway_reply(await self._stream("/v1/rewrite", body, _GATEWAY_TEXT), key)


def _engine_reply(raw: _Raw, key: Any) -> Reply:
    text, finish = "", ""
    usage: Mapping[str, Any] = {}
    error = raw.broken
    if raw.status != 200:
        error = error or f"http {raw.status}"
    for line in raw.body.split(b"\n"):
        if not line.startswith(b"data: {"):
            continue
        chunk = json.loads(line[6:])
        if "error" in chunk:
            error = "engine"
        usage = chunk.get("usage") or usage
        for choice in chunk.get("choices", []):
            finish = choice.get("finish_reason") or finish
            text += (choice.get("delta") or {}).get("content") or ""
    if not finish and error is None:
        error = "cut"
    return Reply(
        raw.started,
        raw.first_text,
        raw.ended,
        raw.status,
        text=text,
        finish_reason=finish,
        prompt_tokens=int(usage.get("prompt_tokens") or 0),
        completion_tokens=int(usage.get("completion_tokens") or 0),
        error=error,
        key=key,
    )


def _gateway_reply(raw: _Raw, key: Any) -> Reply:
    names: list[str] = []
    data: dict[str, dict[str, Any]] = {}
    text, name = "", ""
    for line in raw.body.decode("utf-8", errors="replace").split("\n"):
        if line.startswith("event: "):
            name = line[7:].strip()
            if not names or names[-1] != name:
                names.append(name)
        elif line.startswith("data: ") and name:
            data[name] = json.loads(line[6:])
            if name == "delta":
                text += data[name]["text"]
    failure = data.get("error")
    retry_after = float(raw.retry_after) if raw.retry_after else None
    if raw.status not in (0, 200):
        try:
            failure = json.loads(raw.body)["error"]
        except (ValueError, KeyError, TypeError):
            failure = {"code": f"http {raw.status}"}
    error = str(failure["code"]) if failure else raw.broken
    if error is None and "done" not in data:
        error = "cut"
    if failure and retry_after is None and failure.get("retry_after_seconds") is not None:
        retry_after = float(failure["retry_after_seconds"])
    done = data.get("done", {})
    usage = done.get("usage", {})
    return Reply(
        raw.started,
        raw.first_text,
        raw.ended,
        raw.status,
        text=text,
        finish_reason=str(done.get("finish_reason", "")),
        prompt_tokens=int(usage.get("prompt_tokens") or 0),
        completion_tokens=int(usage.get("completion_tokens") or 0),
        version=data.get("meta", {}).get("adapter_version"),
        retrieval_seconds=float(done.get("timings", {}).get("retrieval_seconds") or 0.0),
        events=tuple(names),
        error=error,
        message=str(failure["message"]) if failure and failure.get("message") else None,
        retry_after_seconds=retry_after,
        key=key,
    )


async def at_once(requests: Iterable[Awaitable[Reply]]) -> list[Reply]:
    """All requests together; their replies in the order of the requests."""
    return list(await asyncio.gather(*requests))


async def one_after_another(
    clients: int, next_request: Callable[[int, int], Awaitable[Reply]], *, until: asyncio.Event
) -> list[Reply]:
    """A closed loop: each client asks again when it has its answer, until the event is set.

    Args:
        next_request: called with the client's number and how many it has asked before.
    """
    replies: list[Reply] = []

    async def client(number: int) -> None:
        asked = 0
        while not until.is_set():
            replies.append(await next_request(number, asked))
            asked += 1

    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(client(number))
    return replies


def tokens_per_second(replies: Sequence[Reply]) -> float:
    """Tokens written, over the time from the first request to the last end."""
    seconds = max(reply.ended for reply in replies) - min(reply.started for reply in replies)
    return sum(reply.completion_tokens for reply in replies) / seconds


def writing_rate(replies: Sequence[Reply]) -> float:
    """Tokens a second of streams that began together, without the reading of their prompts.

    What each wrote after its first token, over the time from when the last of them had begun to the last end.
    """
    begun = max(reply.started + reply.first_token_seconds for reply in replies)
    written = sum(reply.completion_tokens - 1 for reply in replies)
    return written / max(1e-9, max(reply.ended for reply in replies) - begun)
