"""The engine's HTTP API (vLLM, or any OpenAI-compatible server): chat streams and adapter loading.

Over TCP or a Unix socket. Foreign exceptions end here: everything raised is a `PersonaeError`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from personae.errors import (
    AdapterError,
    Busy,
    DeadlineExceeded,
    EngineUnavailable,
    PersonaeError,
    RequestError,
)
from personae.prompt import Message

log = logging.getLogger(__name__)

_CONNECT_SECONDS = 5.0
_CONTROL_SECONDS = 10.0
_LOAD_SECONDS = 120.0
_LONGEST_LINE_BYTES = 1 << 20
_CANDIDATES = 5

_json_at = json.JSONDecoder().raw_decode


@dataclass(frozen=True)
class TextPiece:
    text: str


@dataclass(frozen=True)
class StreamEnd:
    """How a stream ended: "stop" or "length", and what it cost."""

    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


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
            "model": model,
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
                f"The engine can't answer a test question as {model}: {_reason(reply, status)}"
            )
        raise EngineUnavailable(
            f"The engine did not answer a test question ({_reason(reply, status)}).",
            retry_after_seconds=30,
        )

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

        For questions of our own; answers to people take `stream`, which does the same with less.

        Raises:
            as `stream` and `ChatStream.read`.
        """
        stream = self.stream(
            model,
            messages,
            sampling,
            first_token_seconds=first_token_seconds,
            between_tokens_seconds=between_tokens_seconds,
        )
        async with stream:
            while text := await stream.read():
                yield TextPiece(text)
            yield stream.end

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
            "model": model,
            "messages": list(messages),
            "stream": True,
            "stream_options": {"include_usage": True},
            **sampling,
        }
        return ChatStream(
            self, body, dict(headers or {}), first_token_seconds, between_tokens_seconds
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


class ChatStream:
    """One answer of the engine as it is written: `async with`, then `read` until it gives "".

    This is the path of every token of every answer, on cores the engine needs. So what arrives in
    one read of the socket comes out as one text, a chunk that differs from the one before only in
    its words is not parsed again, and one timer watches the whole stream.
    """

    def __init__(
        self,
        client: EngineClient,
        body: dict[str, Any],
        headers: dict[str, str],
        first_token_seconds: float,
        between_tokens_seconds: float,
    ) -> None:
        self._client = client
        self._body = body
        self._headers = headers
        self._between_tokens_seconds = between_tokens_seconds
        self._allowed_seconds = first_token_seconds
        self._loop = asyncio.get_running_loop()
        self._response: aiohttp.ClientResponse | None = None
        self._content: aiohttp.StreamReader | None = None
        self._opening: asyncio.Timeout | None = None
        self._watcher: asyncio.TimerHandle | None = None
        self._heard_at = self._loop.time()
        self._reading = False
        self._stopped: PersonaeError | None = None
        self._rest = b""
        self._before = self._after = ""
        """What the chunks of this stream have around their words, quotation marks included before."""
        self._first = True
        self._complete = False
        self._finish = ""
        self._usage: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        """Send the request.

        Raises:
            EngineUnavailable: unreachable.
            DeadlineExceeded: no reply in the time for the first token.
            Busy: the engine's own queue is full.
            RequestError: the engine says the request is not acceptable (too long for the model).
        """
        if self._stopped is not None:
            raise self._stopped
        try:
            async with asyncio.timeout(self._allowed_seconds) as self._opening:
                self._response = await self._post()
                if self._response.status == 404 and self._client.bring_back is not None:
                    await self._response.read()
                    if await self._client.bring_back(self._body["model"]):
                        self._response = await self._post()  # nothing was said yet
                if self._response.status != 200:
                    body = await self._response.read()
                    raise _refusal(body, self._response)
        except TimeoutError as err:
            raise self._stopped or _silent() from err
        except aiohttp.ClientError as err:
            raise _gone() from err
        else:
            self._content = self._response.content
        finally:
            self._opening = None
            if self._content is None and self._response is not None:
                self._response.close()
        self._watch()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
        if self._response is not None:
            if self._complete:
                self._response.release()
            else:
                self._response.close()  # the engine learns that nobody listens any more

    async def _post(self) -> aiohttp.ClientResponse:
        return await self._client._open().post(
            f"{self._client._url}/v1/chat/completions",
            json=self._body,
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
        )

    async def read(self) -> str:
        """The next words, or "" at the end.

        Raises:
            EngineUnavailable: gone in mid-answer.
            DeadlineExceeded: silent for longer than allowed.
            PersonaeError: what `stop` was given.
        """
        content = self._content
        assert content is not None
        while not self._complete:
            self._reading = True
            try:
                block = await content.readany()
            except aiohttp.ClientError as err:
                raise self._stopped or _gone() from err
            finally:
                self._reading = False
            text = self._take(block) if block else self._at_end()
            if not self._first:
                self._heard_at = self._loop.time()
            if text:
                self._client.last_token_at = self._loop.time()
                if self._first:
                    self._heard_at = self._loop.time()
                    self._first = False
                    self._allowed_seconds = self._between_tokens_seconds
                    self._watch()
                return text
        return ""

    @property
    def end(self) -> StreamEnd:
        """How it ended, once `read` gave ""."""
        return StreamEnd(
            finish_reason=self._finish,
            prompt_tokens=int(self._usage.get("prompt_tokens") or 0),
            completion_tokens=int(self._usage.get("completion_tokens") or 0),
        )

    def stop(self, reason: PersonaeError) -> None:
        """End it with this error, which whoever reads it gets at once."""
        self._stopped = self._stopped or reason
        if self._opening is not None:
            self._opening.reschedule(self._loop.time())
        elif self._content is not None:
            self._content.set_exception(self._stopped)

    def _watch(self) -> None:
        """Give up on an engine that is silent too long. A slow reader of ours is not its silence."""
        if self._watcher is not None:
            self._watcher.cancel()
        left = self._heard_at + self._allowed_seconds - self._loop.time()
        if left <= 0 and self._reading:
            self.stop(_silent())
            return
        if left <= 0:
            left = self._allowed_seconds
        self._watcher = self._loop.call_later(left, self._watch)

    def _take(self, block: bytes) -> str:
        """The words in what came from the socket; the beginning of a line waits for its end."""
        *lines, self._rest = (self._rest + block).split(b"\n")
        if len(self._rest) > _LONGEST_LINE_BYTES:
            raise _gone()
        words = [self._words(line.decode("utf-8", "replace")) for line in lines if len(line) > 1]
        return words[0] if len(words) == 1 else "".join(words)

    def _at_end(self) -> str:
        words = self._take(b"\n") if self._rest else ""
        if not self._finish:
            raise _gone()
        self._complete = True
        return words

    def _words(self, line: str) -> str:
        """The words of one line of the stream."""
        before, after = self._before, self._after
        if before and line.startswith(before) and line.endswith(after):
            try:
                text, end = _json_at(line, len(before) - 1)
            except ValueError:
                pass  # not one string: it is read in full below
            else:
                if end == len(line) - len(after):
                    return str(text)
        if not line.startswith("data:"):
            return ""
        data = line[5:].strip()
        if data == "[DONE]":
            if not self._finish:
                raise _gone()
            self._complete = True
            return ""
        chunk = _chunk(data)
        self._usage = chunk.get("usage") or self._usage
        said = ""
        for choice in chunk.get("choices", []):
            finish = choice.get("finish_reason")
            self._finish = finish or self._finish
            text = (choice.get("delta") or {}).get("content")
            if text:
                said += text
                if not finish and "usage" not in chunk and len(chunk["choices"]) == 1:
                    self._remember(line, text)
        return said

    def _remember(self, line: str, text: str) -> None:
        """What stands around the words of a chunk, which is the same in all chunks of a stream."""
        found = re.search(r'"content":\s*"', line)
        if found is None:
            return
        said, end = _json_at(line, found.end() - 1)
        if said == text:
            self._before, self._after = line[: found.end()], line[end:]


def _chunk(data: str) -> dict[str, Any]:
    try:
        chunk = json.loads(data)
    except ValueError as err:
        raise _gone() from err
    if not isinstance(chunk, dict) or "error" in chunk:
        raise _gone()
    return chunk


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


def _silent() -> DeadlineExceeded:
    return DeadlineExceeded(
        "The model took too long and the answer was given up.", retry_after_seconds=60
    )


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


def _refusal(body: bytes, response: aiohttp.ClientResponse) -> Exception:
    status = response.status
    if status in (400, 413, 422):
        return RequestError(f"The model can't take this request: {_reason(body, status)}")
    if status == 404:
        return EngineUnavailable(
            "This persona's weights are not loaded right now.",
            retry_after_seconds=30,
        )
    reason = _reason(body, status)
    # vLLM's words for --max-num-queued-reqs and --max-num-queued-tokens; 429 is everybody else's.
    if status == 429 or (status == 503 and ("busy" in reason or "backlog" in reason)):
        after = response.headers.get("Retry-After", "")
        return Busy(
            "The model has more to do than it can at the moment.",
            retry_after_seconds=float(after) if after.isdigit() else 15.0,
        )
    return EngineUnavailable(
        "The model server is not able to answer now.",
        retry_after_seconds=30,
    )
