"""The engine's HTTP API (vLLM, or any OpenAI-compatible server): chat streams and adapter loading.

Over TCP or a Unix socket. Foreign exceptions end here: everything raised is a `PersonaeError`.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from personae.errors import (
    AdapterError,
    EngineUnavailable,
    PersonaeError,
)
from personae.prompt import Message
from serving.chat_stream import ChatStream, reason

log = logging.getLogger(__name__)

_CONNECT_SECONDS = 5.0
CONTROL_SECONDS = 10.0
_LOAD_SECONDS = 120.0
_CANDIDATES = 5


@dataclass(frozen=True)
class GreedyAnswer:
    """A whole answer, the likeliest token at each place."""

    text: str
    tokens: list[tuple[str, float]] | None
    """Each token and its log-probability; None from an engine that does not tell."""
    candidates: list[dict[str, float]]
    """For each token the likeliest ones at its place, itself among them."""


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
        self.bring_back: Callable[[str], Awaitable[bool]] | None = None
        """Awaited with the name of an adapter that a question needs and the engine has not got;
        True means that it is there now, and the question is asked again."""

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
        stream = self.stream(
            model,
            asked,
            {"max_tokens": 1, "temperature": 0.0},
            first_token_seconds=seconds,
            between_tokens_seconds=seconds,
        )
        try:
            async with stream:
                return bool(await stream.read())
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

    async def version(self) -> str:
        """What the engine says it is, "vLLM 0.32.0"; empty if it does not say."""
        try:
            status, body = await self._control("GET", "/version")
            return f"vLLM {json.loads(body)['version']}" if status == 200 else ""
        except (EngineUnavailable, ValueError, KeyError, TypeError):
            return ""

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
        raise AdapterError(f"The engine refused {name}: {reason(reply, status)}")

    async def unload_adapter(self, name: str) -> None:
        """Forget an adapter's name. One that is not loaded is no error."""
        body = {"lora_name": name}
        status, reply = await self._control("POST", "/v1/unload_lora_adapter", body)
        if status not in (200, 404):
            raise AdapterError(f"The engine kept {name}: {reason(reply, status)}")

    async def greedy(
        self, model: str, messages: Sequence[Message], *, max_tokens: int, seconds: float
    ) -> GreedyAnswer:
        """The likeliest words, with their log-probabilities if the engine tells them.

        Log-probabilities of generated tokens are OpenAI's own API, and safe. Those of a prompt
        (vLLM's `prompt_logprobs`) have crashed engines with adapters: vLLM #16668, #29955, #53842.

        Raises:
            AdapterError: the engine can't answer as this model; carries its reason.
            EngineUnavailable: the engine is gone, too slow or too busy.
        """
        request: dict[str, Any] = {
            "model": self._called(model),
            "messages": list(messages),
            "temperature": 0.0,
            "max_tokens": max_tokens,
        }
        told = request | {"logprobs": True, "top_logprobs": _CANDIDATES}
        for body in (told, request):
            status, reply = await self._control("POST", "/v1/chat/completions", body, seconds)
            if status == 200:
                return _greedy_answer(reply)
            if status not in (400, 422):
                break  # not one of those engines that have no such parameter
        if status in (400, 404, 422):
            raise AdapterError(
                f"The engine can't answer a test question as {model}: {reason(reply, status)}"
            )
        raise EngineUnavailable(
            f"The engine did not answer a test question ({reason(reply, status)}).",
            retry_after_seconds=30,
        )

    def stream(
        self,
        model: str,
        messages: Sequence[Message],
        sampling: Mapping[str, Any],
        *,
        first_token_seconds: float,
        between_tokens_seconds: float,
        headers: Mapping[str, str] | None = None,
    ) -> ChatStream:
        """One answer, to be read inside `async with`.

        Args:
            sampling: parameters of the OpenAI chat API (temperature, max_tokens, …).
            headers: sent along (request id, trace).
        """
        body = {
            "model": self._called(model),
            "messages": list(messages),
            "stream": True,
            "stream_options": {"include_usage": True},
            **sampling,
        }
        return ChatStream(
            partial(self._post_chat, body, dict(headers or {})),
            bring_back=partial(self._bring_back, model),
            heard=self._heard,
            first_token_seconds=first_token_seconds,
            between_tokens_seconds=between_tokens_seconds,
        )

    async def cache_tokens(self) -> int | None:
        """How many tokens the engine's KV cache holds, by its metrics; None if it does not say."""
        try:
            status, body = await self._control("GET", "/metrics")
        except EngineUnavailable:
            return None
        info = re.search(rb"^vllm:cache_config_info\{(.*)\}", body, re.MULTILINE)
        if status != 200 or info is None:
            return None
        labels = dict(re.findall(rb'(\w+)="(\d+)"', info[1]))
        tokens = int(labels.get(b"block_size", 0)) * int(labels.get(b"num_gpu_blocks", 0))
        return tokens or None

    async def _post_chat(
        self, body: dict[str, Any], headers: dict[str, str]
    ) -> aiohttp.ClientResponse:
        return await self._open().post(
            f"{self._url}/v1/chat/completions",
            json=body,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
        )

    def _called(self, model: str) -> str:
        """What the engine calls a model of ours."""
        return model

    async def _bring_back(self, model: str) -> bool:
        return self.bring_back is not None and await self.bring_back(model)

    def _heard(self, now: float) -> None:
        self.last_token_at = now

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("EngineClient is used outside its `async with`")
        return self._session

    async def _control(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        seconds: float = CONTROL_SECONDS,
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


def _greedy_answer(reply: bytes) -> GreedyAnswer:
    """
    {"choices": [{"message": {"content": "We must"}, "logprobs": {"content": [
        {"token": "We", "logprob": -0.1, "top_logprobs": [{"token": "We", "logprob": -0.1}, …]}, …]}}]}
    """
    try:
        choice = json.loads(reply)["choices"][0]
        text = str(choice["message"]["content"] or "")
    except (ValueError, KeyError, TypeError, IndexError) as err:
        raise EngineUnavailable(f"The engine's answer can't be read ({err!r}).") from err
    try:
        places = choice["logprobs"]["content"]
        tokens = [(str(place["token"]), float(place["logprob"])) for place in places]
        candidates = [
            {str(likely["token"]): float(likely["logprob"]) for likely in place["top_logprobs"]}
            for place in places
        ]
    except (ValueError, KeyError, TypeError):
        return GreedyAnswer(text, None, [])  # left out, or in a form of the engine's own
    if not tokens or not all(candidates):
        return GreedyAnswer(text, None, [])
    return GreedyAnswer(text, tokens, candidates)
