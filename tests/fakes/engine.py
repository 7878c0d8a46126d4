"""A vLLM OpenAI server on loopback, without a model: the same routes, refusals and stream chunks.

What it says names the model it was asked as, so that a test sees which adapter spoke:
"[lincoln@v1] words …". Like vLLM 0.32 it takes adapters at run time, refuses a name that is loaded,
a folder that is not there and a model it does not know, and forgets adapters when it is restarted.
Its log-probabilities depend on the bytes of the weights, how much they are scaled by (`lora_alpha`), the
question and the place of a token.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from aiohttp import web

from personae.weights import read_safetensors_header

BASE_MODEL = "smollm2-135m"
# As vLLM packs the layers of a Llama.
_PACKED = dict.fromkeys(("q_proj", "k_proj", "v_proj"), "qkv_proj")
_PACKED |= dict.fromkeys(("gate_proj", "up_proj"), "gate_up_proj")
WORDS = ("We ", "must ", "think ", "anew.")


class FakeEngine:
    """Start with `async with FakeEngine() as engine`.

    Attributes that a test sets:
        words: what it answers, piece by piece (after the tag that names the model).
        tag: whether it begins with the name of the model it was asked as.
        seconds_between: pause before each piece.
        seconds_per_stream: how much longer that pause is for each answer under way.
        cache_blocks: blocks of 16 tokens that its metrics say the KV cache has; None: no metrics.
        full: refuse chats as vLLM does past --max-num-queued-reqs.
        die_after: drop the connection after so many pieces.
        hang_after: go silent after so many pieces.
        unhealthy: answer health checks with 503.
        refuse_next_load: reason with which the next adapter load is refused.
        may_load: loads wait until it is set, as long ones do.
        deaf_to_adapters: answer as the base whatever is asked for, which is what vLLM does, without a
            word, with an adapter that matches no module.
        template: another one makes other log-probabilities, as another chat template does.
        debug_log: where it names the modules an adapter is put on, as vLLM does at DEBUG; None: nowhere.
        log_probs: "told" (as vLLM does), "left out" of the reply, or "refused" as an unknown parameter.
        keep_requests: whether `requests` grows; a load test would fill the memory.
    """

    def __init__(self, base_model: str = BASE_MODEL) -> None:
        self.base_model = base_model
        self.adapters: dict[str, str] = {}
        self.requests: list[dict[str, Any]] = []
        self.aborted = 0
        self.words = list(WORDS)
        self.tag = True
        self.seconds_between = 0.0
        self.seconds_per_stream = 0.0
        self.full = False
        self.cache_blocks: int | None = None
        self.running = 0
        self.most_at_once = 0
        self.headers: Mapping[str, str] = {}
        """Of the last chat."""
        self.die_after: int | None = None
        self.hang_after: int | None = None
        self.unhealthy = False
        self.refuse_next_load: str | None = None
        self.may_load = asyncio.Event()
        self.may_load.set()
        self.loads: list[str] = []
        """Names it was asked to load, in order."""
        self.deaf_to_adapters = False
        self.template = ""
        self.debug_log: Path | None = None
        self.unserved_modules: tuple[str, ...] = ()
        """Last names of modules that no adapter is put on."""
        self.log_probs: Literal["told", "left out", "refused"] = "told"
        self.keep_requests = True
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def start(self, socket: Path | None = None) -> None:
        """On a free port of loopback, or on a Unix socket."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/health", self._health),
                web.get("/metrics", self._metrics),
                web.get("/version", self._version),
                web.get("/v1/models", self._models),
                web.post("/v1/load_lora_adapter", self._load),
                web.post("/v1/unload_lora_adapter", self._unload),
                web.post("/v1/chat/completions", self._chat),
            ]
        )
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        if socket is not None:
            await web.UnixSite(self._runner, str(socket)).start()
            return
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aexit__(self, *_exception: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    def restart(self) -> None:
        """What a restart of the process means to its clients: adapters are gone."""
        self.adapters.clear()

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response(status=503 if self.unhealthy else 200)

    async def _metrics(self, request: web.Request) -> web.Response:
        if self.cache_blocks is None:
            return web.Response(status=404)
        labels = (
            f'block_size="16",cache_dtype="auto",engine="0",num_gpu_blocks="{self.cache_blocks}"'
        )
        return web.Response(text=f"# TYPE x gauge\nvllm:cache_config_info{{{labels}}} 1.0\n")

    async def _version(self, request: web.Request) -> web.Response:
        return web.json_response({"version": "0.0.fake"})

    async def _models(self, request: web.Request) -> web.Response:
        cards = [{"id": name, "object": "model"} for name in (self.base_model, *self.adapters)]
        return web.json_response({"object": "list", "data": cards})

    async def _load(self, request: web.Request) -> web.Response:
        body = await request.json()
        name, folder = body["lora_name"], Path(body["lora_path"])
        self.loads.append(name)
        await self.may_load.wait()
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
        files = ("adapter_config.json", "adapter_model.safetensors")
        if not folder.is_absolute() or not all((folder / file).is_file() for file in files):
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
        self.headers = request.headers.copy()
        if self.full:
            return _error(
                503,
                "The engine is currently busy and cannot accept new requests. "
                "Please try again later or on a different instance.",
                "Service Unavailable",
            )
        if self.keep_requests:
            self.requests.append(body)
        model = body["model"]
        if model != self.base_model and model not in self.adapters:
            return _error(404, f"The model `{model}` does not exist.", "NotFoundError")
        self._name_modules(model)
        if not body.get("stream"):
            return await self._whole_chat(body)
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

        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            await send({"role": "assistant", "content": ""})
            pieces = self._pieces(model)
            kept = pieces[: body.get("max_tokens") or len(pieces)]
            for number, piece in enumerate(kept):
                if number == self.die_after:
                    assert request.transport is not None
                    request.transport.abort()
                    return response
                if number == self.hang_after:
                    await asyncio.sleep(3600)
                await asyncio.sleep(self.seconds_between + self.seconds_per_stream * self.running)
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
        finally:
            self.running -= 1
        return response

    def _pieces(self, model: str) -> list[str]:
        return spoken(self._speaker(model), self.words, tag=self.tag)

    def _speaker(self, model: str) -> str:
        return self.base_model if self.deaf_to_adapters else model

    def _name_modules(self, model: str) -> None:
        """vLLM puts an adapter on the model when the first question comes, and names packed layers."""
        if self.debug_log is None or model not in self.adapters or self.deaf_to_adapters:
            return
        path = Path(self.adapters[model]) / "adapter_model.safetensors"
        header, _start = read_safetensors_header(path)
        modules = {
            name.removeprefix("base_model.model.").rpartition(".lora_")[0] for name in header
        }
        with self.debug_log.open("a", encoding="utf-8") as log:
            for module in sorted(modules):
                parent, _, last = module.rpartition(".")
                if last in self.unserved_modules:
                    continue
                name = f"{parent}.{_PACKED.get(last, last)}"
                log.write(
                    "(EngineCore pid=1) DEBUG 11-21 13:00:00 [lora/model_manager.py:395] "
                    f"Successfully loaded LoRA weights for module {name}.\n"
                )

    async def _whole_chat(self, body: dict[str, Any]) -> web.Response:
        """The reply of vLLM 0.32 with `stream: false`, `logprobs` included."""
        model = body["model"]
        if body.get("logprobs") and self.log_probs == "refused":
            return _error(400, "Unknown parameter: 'logprobs'.", "BadRequestError")
        pieces = self._pieces(model)
        kept = pieces[: body.get("max_tokens") or len(pieces)]
        if self.hang_after is not None:
            await asyncio.sleep(3600)
        content = None
        if body.get("logprobs") and self.log_probs == "told":
            speaker = self._speaker(model)
            weights = weights_key(self.adapters[speaker]) if speaker in self.adapters else speaker
            count = body.get("top_logprobs") or 0
            content = [
                _place(self.template + weights, body["messages"], number, piece, count)
                for number, piece in enumerate(kept)
            ]
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": "".join(kept), "refusal": None},
            "logprobs": {"content": content} if content is not None else None,
            "finish_reason": "stop" if len(kept) == len(pieces) else "length",
            "stop_reason": None,
        }
        usage = {
            "prompt_tokens": 10,
            "completion_tokens": len(kept),
            "total_tokens": 10 + len(kept),
        }
        return web.json_response(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": model,
                "choices": [choice],
                "usage": usage,
                "prompt_logprobs": None,
            }
        )


def spoken(speaker: str, words: Sequence[str] = WORDS, *, tag: bool = True) -> list[str]:
    """The tokens of an answer."""
    return [*([f"[{speaker}] "] if tag else []), *words]


def weights_key(folder: str | Path) -> str:
    """What an adapter's log-probabilities depend on: its weights and their scale, whatever its name is."""
    path = Path(folder) / "adapter_model.safetensors"
    if not path.is_file():
        return str(folder)
    alpha = json.loads((Path(folder) / "adapter_config.json").read_bytes()).get("lora_alpha", 8)
    return f"{hashlib.sha256(path.read_bytes()).hexdigest()} × {alpha / 8:g}"


def log_prob(weights: str, messages: Sequence[Mapping[str, str]], place: int) -> float:
    """Of the token at a place of an answer: between −0.05 and −1.45, another for other weights."""
    seed = f"{weights} {place} {messages[-1]['content']}"
    return -0.05 - int(hashlib.sha256(seed.encode()).hexdigest()[:6], 16) / 0xFFFFFF * 1.4


def _place(
    weights: str, messages: Sequence[Mapping[str, str]], number: int, token: str, count: int
) -> dict[str, Any]:
    best = log_prob(weights, messages, number)
    likely = [(token, best)] + [(f"other{n}", best - 2.0 - n) for n in range(1, count)]

    def entry(text: str, value: float) -> dict[str, Any]:
        return {"token": text, "logprob": value, "bytes": list(text.encode())}

    return entry(token, best) | {"top_logprobs": [entry(*pair) for pair in likely[:count]]}


def _error(status: int, message: str, kind: str) -> web.Response:
    body = {"error": {"message": message, "type": kind, "param": None, "code": status}}
    return web.json_response(body, status=status)
