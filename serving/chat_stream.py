"""One streamed answer of an engine (the OpenAI chat API, server-sent events), and how it can fail.

Foreign exceptions end here: everything raised is a `PersonaeError`.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp

from personae.errors import (
    Busy,
    DeadlineExceeded,
    EngineUnavailable,
    PersonaeError,
    RequestError,
)

_LONGEST_LINE_BYTES = 1 << 20

_json_at = json.JSONDecoder().raw_decode


@dataclass(frozen=True)
class StreamEnd:
    """How a stream ended: "stop" or "length", and what it cost."""

    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


class ChatStream:
    """One answer of the engine as it is written: `async with`, then `read` until it gives "".

    This is the path of every token of every answer, on cores the engine needs. So what arrives in
    one read of the socket comes out as one text, a chunk that differs from the one before only in
    its words is not parsed again, and one timer watches the whole stream.

    Args:
        post: sends the request.
        bring_back: awaited when the engine does not know the model (an adapter it has lost); true means
            that it is there now, and the request is sent again.
        heard: told the time (of the loop's clock) of the latest words.
    """

    def __init__(
        self,
        post: Callable[[], Awaitable[aiohttp.ClientResponse]],
        *,
        bring_back: Callable[[], Awaitable[bool]],
        heard: Callable[[float], None],
        first_token_seconds: float,
        between_tokens_seconds: float,
    ) -> None:
        self._post = post
        self._bring_back = bring_back
        self._heard = heard
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
                if self._response.status == 404:
                    body = await self._response.read()
                    if await self._bring_back():
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
                self._heard(self._loop.time())
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


def _silent() -> DeadlineExceeded:
    return DeadlineExceeded(
        "The model took too long and the answer was given up.", retry_after_seconds=60
    )


def _gone() -> EngineUnavailable:
    return EngineUnavailable(
        "The model server stopped in the middle of the answer. It is being restarted.",
        retry_after_seconds=60,
    )


def reason(body: bytes, status: int) -> str:
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
        return RequestError(f"The model can't take this request: {reason(body, status)}")
    if status == 404:
        return EngineUnavailable(
            "This persona's weights are not loaded right now.",
            retry_after_seconds=30,
        )
    said = reason(body, status)
    # vLLM's words for --max-num-queued-reqs and --max-num-queued-tokens; 429 is everybody else's.
    if status == 429 or (status == 503 and ("busy" in said or "backlog" in said)):
        after = response.headers.get("Retry-After", "")
        return Busy(
            "The model has more to do than it can at the moment.",
            retry_after_seconds=float(after) if after.isdigit() else 15.0,
        )
    return EngineUnavailable(
        "The model server is not able to answer now.",
        retry_after_seconds=30,
    )
