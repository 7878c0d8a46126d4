"""Ray Serve's LLM application as an engine: OpenAI's API, and adapters that it fetches from a store.

What differs from a vLLM of one's own:

    name     an adapter is the model "smollm2-135m:lincoln@v3"; the rest of the gateway says "lincoln@v3"
    load     its files go to the store (`serving.adapter_store`), and one token is asked for: the replica that
             answers fetches them. Another replica does so when Ray first sends it a question for that voice
    unload   nothing: each replica lets go what was asked for longest ago

So which adapters exist is not Ray's to say, nor can it lose one: what this gateway has brought up stays
there until a question finds the store without it.

Of several first questions for a voice at a replica, Ray 2.60 answers 500 to all but one (each loads it, and
a second time is an error there), and so it does to those that a dying replica had not begun to answer.
Nothing was said yet, so they are asked again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp

from personae.config import EngineConfig
from personae.errors import AdapterError, ConfigError, EngineUnavailable
from serving.adapter_store import AdapterStore
from serving.chat_stream import reason
from serving.engine_client import CONTROL_SECONDS, EngineClient

log = logging.getLogger(__name__)

_LOAD_SECONDS = 120.0
_REMEMBERED_MISSING_SECONDS = 30.0
"""So long Ray goes on believing that an adapter is not in the store (CLOUD_OBJECT_MISSING_EXPIRE_S)."""
_ASK_AGAIN_SECONDS = 2.0
_CHATS = "/v1/chat/completions"
_PAUSES_SECONDS = (0.3, 1.5)
"""Before asking again after a 500; then it is believed."""


class RayEngineClient(EngineClient):
    """One application of Ray Serve, whatever the number of its replicas.

    Args:
        base_model: its name there (`model_loading_config.model_id`).
        store: the one of its `lora_config.dynamic_lora_loading_path`.
    """

    def __init__(
        self, url: str, *, base_model: str, store: AdapterStore, api_key: str | None = None
    ) -> None:
        super().__init__(url, api_key=api_key)
        self._base_model = base_model
        self._store = store
        self._held: set[str] = set()

    async def models(self) -> list[str]:
        """The base model, and the adapters this gateway has brought up.

        Ray's own list is that of the store: it has what nobody checked here, and is empty whenever the store
        is away for a moment.
        """
        found = await super().models()
        return [name for name in found if ":" not in name] + sorted(self._held)

    async def load_adapter(self, name: str, folder: Path) -> None:
        """Publish an adapter to the store, and see one replica answer with it.

        Raises:
            AdapterError: the store does not take it, or Ray does not.
            EngineUnavailable: no replica answers.
        """
        try:
            await asyncio.to_thread(self._store.publish, name, folder)
        except ConfigError as err:
            raise AdapterError(f"{name} can't be put where Ray fetches it from. {err}") from err
        await self._warm_up(name)
        self._held.add(name)

    async def unload_adapter(self, name: str) -> None:
        """Forget it here; Ray's replicas let it go by themselves."""
        self._held.discard(name)

    async def _warm_up(self, name: str) -> None:
        body = {
            "model": self._called(name),
            "messages": [{"role": "user", "content": "Hello"}],
            "max_tokens": 1,
            "temperature": 0.0,
        }
        began = time.monotonic()
        while True:
            status, reply = await self._control("POST", _CHATS, body, _LOAD_SECONDS)
            waited = time.monotonic() - began
            if status == 200:
                log.info("%s answered after %.1f s", name, waited)
                return
            if status != 404 or waited > _REMEMBERED_MISSING_SECONDS + _ASK_AGAIN_SECONDS:
                break
            await asyncio.sleep(_ASK_AGAIN_SECONDS)  # it was asked for before it was there
        if status in (408, 429, 502, 503, 504):
            raise EngineUnavailable(
                f"Ray has no replica for {name} at the moment ({_why(reply, status)}).",
                retry_after_seconds=30,
            )
        raise AdapterError(
            f"Ray does not serve {name}: {_why(reply, status)}. Its lora_config must name "
            f"{self._store.name}, and its workers need keys to read there."
        )

    async def _post_chat(
        self, body: dict[str, Any], headers: dict[str, str]
    ) -> aiohttp.ClientResponse:
        for pause in _PAUSES_SECONDS:
            response = await super()._post_chat(body, headers)
            if response.status != 500:
                return response
            response.close()
            await asyncio.sleep(pause)
        return await super()._post_chat(body, headers)

    async def _control(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        seconds: float = CONTROL_SECONDS,
    ) -> tuple[int, bytes]:
        for pause in _PAUSES_SECONDS if path == _CHATS else ():
            status, reply = await super()._control(method, path, body, seconds)
            if status != 500:
                return status, reply
            await asyncio.sleep(pause)
        return await super()._control(method, path, body, seconds)

    def _called(self, model: str) -> str:
        return model if model == self._base_model else f"{self._base_model}:{model}"

    async def _bring_back(self, model: str) -> bool:
        self._held.discard(model)  # or nobody would look for it
        return await super()._bring_back(model)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await super().__aexit__(kind, error, trace)
        self._store.close()


def _why(reply: bytes, status: int) -> str:
    """What a refusal says: {"detail": …} for an adapter that is not there, else the end of a traceback."""
    try:
        parsed = json.loads(reply)
        said = parsed.get("detail") or parsed["error"]["message"]
    except (ValueError, AttributeError, KeyError, TypeError):
        return reason(reply, status)
    lines = [line.strip() for line in str(said).splitlines() if line.strip()]
    return lines[-1].rstrip(".")[:300] if lines else f"HTTP status {status}"


def ray_engine_client(engine: EngineConfig, *, api_key: str | None) -> RayEngineClient:
    """The client of an [engine] of kind "ray".

    Raises:
        ConfigError: its store can't be used.
    """
    assert engine.url is not None and engine.adapter_store is not None  # the configuration says so
    return RayEngineClient(
        engine.url,
        base_model=engine.base_model,
        store=AdapterStore.at(engine.adapter_store),
        api_key=api_key,
    )
