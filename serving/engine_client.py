"""The engine's HTTP API (vLLM, or any OpenAI-compatible server): chat streams and adapter loading.

Over TCP or a Unix socket. Foreign exceptions end here: everything raised is a `PersonaeError`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from personae.errors import (
    AdapterError,
    DeadlineExceeded,
    EngineUnavailable,
    PersonaeError,
    RequestError,
)
from personae.prompt import Message
from personae.wire import sse_messages

log = logging.getLogger(__name__)

_CONNECT_SECONDS = 5.0
_CONTROL_SECONDS = 10.0
_LOAD_SECONDS = 120.0


@dataclass(frozen=True)
class TextPiece:
    text: str


@dataclass(frozen=True)
class StreamEnd:
    """How a stream ended: "stop" or "length", and what it cost."""

    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


class EngineClient:
    """One engine.

    Args:
        url: "http://host:port"; with `socket` the host part is only a name.
        socket: path of a Unix socket the engine listens on.
        api_key: sent as a bearer token.
    """

    def __init__(self, url: str, *, socket: Path | None = None, api_key: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._socket = socket
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._session: aiohttp.ClientSession | None = None
        self.last_token_at = 0.0
        """time.monotonic() of the last text from the model: proof that it is not hung."""

    async def __aenter__(self) -> Self:
        connector: aiohttp.BaseConnector
        if self._socket is not None:
            connector = aiohttp.UnixConnector(path=str(self._socket), limit=0)
        else:
            connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(connector=connector, headers=self._headers)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def is_healthy(self) -> bool:
        """Whether the engine says it can answer (`GET /health`; `/v1/models` where there is none)."""
        for path in ("/health", "/v1/models"):
            try:
                status, _ = await self._control("GET", path)
            except EngineUnavailable:
                return False
            if status == 200:
                return True
            if status != 404:
                return False
        return False

    async def says_something(self, model: str, *, seconds: float) -> bool:
        """Whether the model produces a token in time. `/health` stays green when a step hangs."""
        asked: list[Message] = [{"role": "user", "content": "Hello"}]
        pieces = self.chat(
            model,
            asked,
            {"max_tokens": 1, "temperature": 0.0},
            first_token_seconds=seconds,
            between_tokens_seconds=seconds,
        )
        try:
            async with contextlib.aclosing(pieces):
                async for _piece in pieces:
                    return True
        except PersonaeError as err:
            log.warning("the engine's heartbeat failed: %s", err.code)
        return False

    async def models(self) -> list[str]:
        """Names the engine answers to: its base model and the adapters loaded."""
        status, body = await self._control("GET", "/v1/models")
        try:
            if status != 200:
                raise ValueError(f"HTTP status {status}")
            return [str(card["id"]) for card in json.loads(body)["data"]]
        except (ValueError, KeyError, TypeError) as err:
            raise EngineUnavailable(f"The engine can't tell its models ({err}).") from err

    async def load_adapter(self, name: str, folder: Path) -> None:
        """Load adapter weights under a name of their own. Loading a loaded name is no error.

        Raises:
            AdapterError: the engine refused the adapter; carries its reason.
            EngineUnavailable: the engine is gone.
        """
        # Only absolute paths: vLLM takes a relative one that is missing for a hub id.
        body = {"lora_name": name, "lora_path": str(folder.absolute())}
        status, reply = await self._control("POST", "/v1/load_lora_adapter", body, _LOAD_SECONDS)
        if status == 200 or (status == 400 and b"already been" in reply):
            return
        if status in (401, 404, 405) and b"lora" not in reply.lower():
            raise AdapterError(
                "The engine does not take adapters at run time. Start it with --enable-lora and "
                "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True."
            )
        raise AdapterError(f"The engine refused {name}: {_reason(reply, status)}")

    async def unload_adapter(self, name: str) -> None:
        """Forget an adapter's name. One that is not loaded is no error."""
        body = {"lora_name": name}
        status, reply = await self._control("POST", "/v1/unload_lora_adapter", body)
        if status not in (200, 404):
            raise AdapterError(f"The engine kept {name}: {_reason(reply, status)}")

    async def chat(
        self,
        model: str,
        messages: Sequence[Message],
        sampling: Mapping[str, Any],
        *,
        first_token_seconds: float,
        between_tokens_seconds: float,
    ) -> AsyncGenerator[TextPiece | StreamEnd, None]:
        """The pieces of one answer, then its `StreamEnd`. Closing the iterator cancels upstream.

        Args:
            sampling: parameters of the OpenAI chat API (temperature, max_tokens, …).

        Raises:
            EngineUnavailable: unreachable, or gone in mid-answer.
            DeadlineExceeded: silent for longer than allowed.
            RequestError: the engine says the request is not acceptable (too long for the model).
        """
        body = {
            "model": model,
            "messages": list(messages),
            "stream": True,
            "stream_options": {"include_usage": True},
            **sampling,
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
        wait = first_token_seconds
        try:
            async with asyncio.timeout(wait) as deadline:
                async with self._open().post(
                    f"{self._url}/v1/chat/completions", json=body, timeout=timeout
                ) as response:
                    if response.status != 200:
                        raise _refusal(await response.read(), response.status)
                    finish = ""
                    usage: dict[str, Any] = {}
                    async for _name, data in sse_messages(response.content):
                        if data == "[DONE]":
                            break
                        chunk = _chunk(data)
                        usage = chunk.get("usage") or usage
                        for choice in chunk.get("choices", []):
                            finish = choice.get("finish_reason") or finish
                            text = (choice.get("delta") or {}).get("content")
                            if text:
                                self.last_token_at = time.monotonic()
                                wait = between_tokens_seconds
                                # A slow reader downstream is not the engine's silence.
                                deadline.reschedule(None)
                                yield TextPiece(text)
                        deadline.reschedule(asyncio.get_running_loop().time() + wait)
                    if not finish:
                        raise _gone()
                    yield StreamEnd(
                        finish_reason=finish,
                        prompt_tokens=int(usage.get("prompt_tokens") or 0),
                        completion_tokens=int(usage.get("completion_tokens") or 0),
                    )
        except TimeoutError as err:
            raise DeadlineExceeded(
                "The model took too long and the answer was given up.",
                retry_after_seconds=60,
            ) from err
        except aiohttp.ClientError as err:
            raise _gone() from err

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("EngineClient is used outside its `async with`")
        return self._session

    async def _control(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        seconds: float = _CONTROL_SECONDS,
    ) -> tuple[int, bytes]:
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=_CONNECT_SECONDS)
        try:
            async with self._open().request(
                method, f"{self._url}{path}", json=body, timeout=timeout
            ) as response:
                return response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError) as err:
            raise EngineUnavailable(
                "The model server is not reachable. It may be starting.",
                retry_after_seconds=30,
            ) from err


def _chunk(data: str) -> dict[str, Any]:
    try:
        chunk = json.loads(data)
    except ValueError as err:
        raise _gone() from err
    if not isinstance(chunk, dict) or "error" in chunk:
        raise _gone()
    return chunk


def _gone() -> EngineUnavailable:
    return EngineUnavailable(
        "The model server stopped in the middle of the answer. It is being restarted.",
        retry_after_seconds=60,
    )


def _reason(body: bytes, status: int) -> str:
    """What an OpenAI-style error body says, or its beginning."""
    try:
        parsed = json.loads(body)
        error = parsed.get("error", parsed)
        return str(error.get("message", error))[:500]
    except (ValueError, AttributeError):
        return f"HTTP status {status} {body[:200].decode('utf-8', errors='replace')}"


def _refusal(body: bytes, status: int) -> Exception:
    if status in (400, 413, 422):
        return RequestError(f"The model can't take this request: {_reason(body, status)}")
    if status == 404:
        return EngineUnavailable(
            "This persona's weights are not loaded right now.",
            retry_after_seconds=30,
        )
    return EngineUnavailable(
        "The model server is not able to answer now.",
        retry_after_seconds=30,
    )
