"""A vLLM OpenAI server on loopback, without a model: the same routes, refusals and stream chunks.

What it says names the model it was asked as, so that a test sees which adapter spoke:
"[lincoln@v1] words …". Like vLLM 0.32 it takes adapters at run time, refuses a name that is loaded,
a folder that is not there and a model it does not know, and forgets adapters when it is restarted.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Self

from aiohttp import web

BASE_MODEL = "smollm2-135m"


class FakeEngine:
    """Start with `async with FakeEngine() as engine`.

    Attributes that a test sets:
        words: what it answers, piece by piece (after the tag that names the model).
        tag: whether it begins with the name of the model it was asked as.
        seconds_between: pause before each piece.
        die_after: drop the connection after so many pieces.
        hang_after: go silent after so many pieces.
        unhealthy: answer health checks with 503.
        refuse_next_load: reason with which the next adapter load is refused.
    """

    def __init__(self, base_model: str = BASE_MODEL) -> None:
        self.base_model = base_model
        self.adapters: dict[str, str] = {}
        self.requests: list[dict[str, Any]] = []
        self.aborted = 0
        self.words = ["We ", "must ", "think ", "anew."]
        self.tag = True
        self.seconds_between = 0.0
        self.die_after: int | None = None
        self.hang_after: int | None = None
        self.unhealthy = False
        self.refuse_next_load: str | None = None
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.add_routes(
            [
                web.get("/health", self._health),
                web.get("/v1/models", self._models),
                web.post("/v1/load_lora_adapter", self._load),
                web.post("/v1/unload_lora_adapter", self._unload),
                web.post("/v1/chat/completions", self._chat),
            ]
        )
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_exception: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    def restart(self) -> None:
        """What a restart of the process means to its clients: adapters are gone."""
        self.adapters.clear()

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response(status=503 if self.unhealthy else 200)

    async def _models(self, request: web.Request) -> web.Response:
        cards = [{"id": name, "object": "model"} for name in (self.base_model, *self.adapters)]
        return web.json_response({"object": "list", "data": cards})

    async def _load(self, request: web.Request) -> web.Response:
        body = await request.json()
        name, folder = body["lora_name"], Path(body["lora_path"])
        if self.refuse_next_load is not None:
            reason, self.refuse_next_load = self.refuse_next_load, None
            return _error(500, reason, "InternalServerError")
        if name in self.adapters:
            return _error(
                400,
                f"The lora adapter '{name}' has already been loaded. If you want to load the "
                "adapter in place, set 'load_inplace' to True.",
                "InvalidUserInput",
            )
        if not folder.is_absolute() or not (folder / "adapter_config.json").is_file():
            return _error(
                404, f"Loading lora {name} failed: No adapter found for {folder}", "NotFound"
            )
        self.adapters[name] = str(folder)
        return web.Response(text=f"Success: LoRA adapter '{name}' added successfully.")

    async def _unload(self, request: web.Request) -> web.Response:
        name = (await request.json())["lora_name"]
        if name not in self.adapters:
            return _error(404, f"The lora adapter '{name}' cannot be found.", "NotFoundError")
        del self.adapters[name]
        return web.Response(text=f"Success: LoRA adapter '{name}' removed successfully.")

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        model = body["model"]
        if model != self.base_model and model not in self.adapters:
            return _error(404, f"The model `{model}` does not exist.", "NotFoundError")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        envelope = {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": model,
        }

        async def send(delta: dict[str, Any], finish: str | None = None) -> None:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            chunk = envelope | {"choices": [choice]}
            await response.write(f"data: {json.dumps(chunk)}\n\n".encode())

        try:
            await send({"role": "assistant", "content": ""})
            pieces = [*([f"[{model}] "] if self.tag else []), *self.words]
            kept = pieces[: body.get("max_tokens") or len(pieces)]
            for number, piece in enumerate(kept):
                if number == self.die_after:
                    assert request.transport is not None
                    request.transport.abort()
                    return response
                if number == self.hang_after:
                    await asyncio.sleep(3600)
                await asyncio.sleep(self.seconds_between)
                await send({"content": piece})
            await send({}, "stop" if len(kept) == len(pieces) else "length")
            usage = {
                "prompt_tokens": 10,
                "completion_tokens": len(kept),
                "total_tokens": 10 + len(kept),
            }
            last = envelope | {"choices": [], "usage": usage}
            await response.write(f"data: {json.dumps(last)}\n\ndata: [DONE]\n\n".encode())
        except (asyncio.CancelledError, ConnectionResetError):
            self.aborted += 1
            raise
        return response


def _error(status: int, message: str, kind: str) -> web.Response:
    body = {"error": {"message": message, "type": kind, "param": None, "code": status}}
    return web.json_response(body, status=status)
