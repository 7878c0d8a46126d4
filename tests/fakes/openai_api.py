"""An OpenAI-compatible API in a process of its own: strict about keys, limits and bodies, and as
unreliable as it is told to be.

`python -m tests.fakes.openai_api <folder>` prints its port. Tests hold it as `OpenAiApi`. It logs every
request and every completion (which is what a real one bills, whether or not the reply arrives) to
`<folder>/log.jsonl`, each line before the reply is sent. What it writes is in `openai_writer`,
the same for the same messages.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tests.fakes.openai_writer import written

KEY = "sk-test-4f1b7a90c2"
MODEL = "writer-1"
_KNOWN = {"model", "messages", "max_tokens", "max_completion_tokens", "temperature"}


@dataclass(frozen=True)
class Rules:
    """How it behaves. `faults[n]` is done to the n-th chat request from now on; "" means none:

    "500", "503", "502", "429", "429 date" · "drop" (billed, then the line breaks) · "slow" (billed, too
    late) · "malformed", "wrong" (billed, but no completion) · "no usage" · "null" (no content) · "filter"
    """

    seconds: float = 0.0
    """How long one answer takes."""
    faults: tuple[str, ...] = ()
    again: bool = False
    """Whether the faults begin anew after the last."""
    requests_per_window: int = 1_000_000
    tokens_per_window: int = 1_000_000_000
    window_seconds: float = 60.0
    context_tokens: int = 8192
    newer: bool = False
    """Takes `max_completion_tokens` and no temperature, as the reasoning models do."""
    status: int = 0
    """Answer everything with it."""
    error: dict[str, str] = field(default_factory=dict)


def tokens_of(text: str) -> int:
    """As this API counts: about three and a half bytes a token."""
    return len(text.encode()) * 2 // 7 + 1


class _Server:
    def __init__(self, folder: Path) -> None:
        self.rules = Rules()
        self._log = (folder / "log.jsonl").open("a", encoding="utf-8")
        self._faults: deque[str] = deque()
        self._number = 0
        self._window: deque[tuple[float, int]] = deque()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/rules", self._set_rules)
        app.router.add_post("/v1/chat/completions", self._chat)
        return app

    async def _set_rules(self, request: web.Request) -> web.Response:
        data = await request.json()
        self.rules = Rules(**{**data, "faults": tuple(data["faults"])})
        self._faults = deque(self.rules.faults)
        self._window.clear()
        return web.json_response({})

    def _note(self, event: str, number: int, **facts: Any) -> None:
        self._log.write(json.dumps({"event": event, "number": number} | facts) + "\n")
        self._log.flush()

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        self._number += 1
        number = self._number
        data = await request.read()
        self._note("request", number, body=data.decode())
        refusal = self._refusal(request, data)
        fault = self._next_fault() if refusal is None else ""
        if refusal is None and fault in ("500", "502", "503"):
            refusal = _error(int(fault), "The server had an error.", "server_error")
        if refusal is None and fault.startswith("429"):
            when = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
            headers = {"Retry-After": when if fault == "429 date" else "0.05"}
            refusal = _error(429, "Slow down.", "rate_limit_exceeded", headers=headers)
        if refusal is None and fault == "filter":
            refusal = _error(400, "Filtered.", "invalid_request_error", code="content_filter")
        body: dict[str, Any] = json.loads(data) if refusal is None else {}
        refusal = refusal or self._over_limits(body)
        if refusal is not None:
            self._note("refused", number, status=refusal.status)
            return refusal
        return await self._completed(request, number, body, fault)

    def _next_fault(self) -> str:
        if not self._faults and self.rules.again:
            self._faults.extend(self.rules.faults)
        return self._faults.popleft() if self._faults else ""

    def _refusal(self, request: web.Request, data: bytes) -> web.Response | None:
        given = request.headers.get("Authorization", "")
        if given != f"Bearer {KEY}":
            said = f"Incorrect API key provided: {given.removeprefix('Bearer ')}."
            return _error(401, said, "invalid_request_error", code="invalid_api_key")
        if self.rules.status:
            return web.json_response({"error": self.rules.error}, status=self.rules.status)
        if request.content_type != "application/json":
            return _error(415, "Send JSON.", "invalid_request_error")
        try:
            body = json.loads(data)
        except ValueError:
            return _error(400, "We could not parse your JSON.", "invalid_request_error")
        unknown = set(body) - _KNOWN
        if unknown:
            return _error(400, f"Unknown parameter: {unknown}.", "invalid_request_error")
        if body.get("model") != MODEL:
            said = f"The model `{body.get('model')}` does not exist."
            return _error(404, said, "invalid_request_error", code="model_not_found")
        return self._bad_body(body)

    def _bad_body(self, body: dict[str, Any]) -> web.Response | None:
        messages = body.get("messages")
        if not messages or not all(
            set(m) == {"role", "content"} and isinstance(m["content"], str) and m["content"]
            for m in messages
        ):
            return _error(400, "Invalid messages.", "invalid_request_error", param="messages")
        if self.rules.newer and "max_tokens" in body:
            said = "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
            return _error(400, said, "invalid_request_error", param="max_tokens")
        if self.rules.newer and "temperature" in body:
            said = "Only the default temperature is supported."
            return _error(400, said, "invalid_request_error", param="temperature")
        if _prompt_tokens(body) + _most(body) > self.rules.context_tokens:
            return _error(400, "Context length exceeded.", "invalid_request_error")
        return None

    def _over_limits(self, body: dict[str, Any]) -> web.Response | None:
        now = time.monotonic()
        while self._window and self._window[0][0] <= now - self.rules.window_seconds:
            self._window.popleft()
        tokens = sum(size for _at, size in self._window)
        size = _prompt_tokens(body) + _most(body)
        if (
            len(self._window) >= self.rules.requests_per_window
            or tokens + size > self.rules.tokens_per_window
        ):
            left = self._window[0][0] + self.rules.window_seconds - now if self._window else 0.1
            return _error(
                429, "Rate limit reached.", "rate_limit_exceeded", headers=self._headers(left)
            )
        self._window.append((now, size))
        return None

    def _headers(self, reset_seconds: float) -> dict[str, str]:
        left = self.rules.requests_per_window - len(self._window)
        return {
            "retry-after": f"{reset_seconds:.3f}",
            "x-ratelimit-limit-requests": str(self.rules.requests_per_window),
            "x-ratelimit-remaining-requests": str(max(0, left)),
            "x-ratelimit-reset-requests": f"{reset_seconds * 1000:.0f}ms",
        }

    async def _completed(
        self, request: web.Request, number: int, body: dict[str, Any], fault: str
    ) -> web.StreamResponse:
        await asyncio.sleep(self.rules.seconds)
        text, finish = written(body["messages"][-1]["content"])
        usage = {
            "prompt_tokens": _prompt_tokens(body),
            "completion_tokens": min(_most(body), tokens_of(text)),
        }
        self._note("completed", number, body=json.dumps(body), **usage)
        if fault == "drop":
            assert request.transport is not None
            request.transport.abort()
        if fault == "slow":
            await asyncio.sleep(3600)
        if fault == "malformed":
            return web.Response(text='{"choices": [{"mess', content_type="application/json")
        if fault == "wrong":
            return web.json_response({"choices": [], "usage": usage})
        message = {"role": "assistant", "content": None if fault == "null" else text}
        choice = {"index": 0, "message": message, "finish_reason": finish}
        reply: dict[str, Any] = {
            "id": f"chatcmpl-{number}",
            "object": "chat.completion",
            "created": 1,
            "model": MODEL,
            "choices": [choice],
        }
        if fault != "no usage":
            reply["usage"] = usage | {"total_tokens": sum(usage.values())}
        remaining = self.rules.requests_per_window - len(self._window)
        headers = {"x-ratelimit-remaining-requests": str(max(0, remaining))}
        if self._window:
            reset = self._window[0][0] + self.rules.window_seconds - time.monotonic()
            headers["x-ratelimit-reset-requests"] = f"{max(0.0, reset) * 1000:.0f}ms"
        return web.json_response(reply, headers=headers)


def _prompt_tokens(body: dict[str, Any]) -> int:
    return sum(tokens_of(message["content"]) + 10 for message in body["messages"])


def _most(body: dict[str, Any]) -> int:
    return int(body.get("max_tokens") or body.get("max_completion_tokens") or 4096)


def _error(
    status: int,
    message: str,
    kind: str,
    *,
    code: str | None = None,
    param: str | None = None,
    headers: dict[str, str] | None = None,
) -> web.Response:
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return web.json_response(body, status=status, headers=headers)


class OpenAiApi:
    """`with OpenAiApi(folder) as api: api.url`; one process, whose rules a test may change."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._address = ""
        self._process: subprocess.Popen[str] | None = None
        self._from = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.openai_api", str(self._folder)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent.parent.parent,
        )
        assert self._process.stdout is not None
        self._address = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None and self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    @property
    def url(self) -> str:
        return f"{self._address}/v1"

    def behave(self, rules: Rules | None = None) -> None:
        """New rules, and a log that begins here."""
        data = json.dumps(asdict(rules or Rules())).encode()
        request = urllib.request.Request(f"{self._address}/rules", data=data, method="POST")
        urllib.request.urlopen(request, timeout=10).close()
        self._from = self._log().stat().st_size

    def _log(self) -> Path:
        return self._folder / "log.jsonl"

    def events(self, event: str) -> list[dict[str, Any]]:
        """Since `behave`: "request", "refused" or "completed", in order."""
        with self._log().open(encoding="utf-8") as file:
            file.seek(self._from)
            rows = [json.loads(line) for line in file if line.endswith("\n")]
        return [row for row in rows if row["event"] == event]

    def completions(self) -> list[dict[str, Any]]:
        """The bodies that were completed, which is to say paid."""
        return [json.loads(row["body"]) for row in self.events("completed")]


async def _serve(folder: Path) -> None:
    runner = web.AppRunner(_Server(folder).app(), handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
