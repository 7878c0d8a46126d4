"""Ray Serve's LLM application on loopback, without a model: names, refusals and memory of Ray 2.60.

An adapter is the model "smollm2-135m:lincoln@v1", and is fetched from the store when it is first asked for;
one that was not there is not looked for again for a while. Of several first questions together all but one
get a 500: each loads the adapter, and a second time is an error. There are no endpoints to load adapters,
no health, no metrics. `/v1/models` lists what the store has, whether anybody asked for it or not, and only
the base model while the store is away.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.fakes.engine import BASE_MODEL, FakeEngine, _error


class FakeRay(FakeEngine):
    """Start with `async with FakeRay(client, "voices", "loras", folder) as ray`.

    Args:
        client: boto3's, of the store.
        folder: where a replica keeps what it fetched.
        remembers_missing_seconds: 30 in Ray.
    """

    def __init__(
        self,
        client: Any,
        bucket: str,
        prefix: str,
        folder: Path,
        *,
        remembers_missing_seconds: float = 30.0,
    ) -> None:
        super().__init__()
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._folder = folder
        self._remembers_missing_seconds = remembers_missing_seconds
        self._missing: dict[str, float] = {}
        self._loading: dict[str, asyncio.Event] = {}
        self.fetched: list[str] = []
        """Names it fetched from the store, in order."""
        self.store_is_away = False

    def restart(self) -> None:
        super().restart()
        self._missing.clear()

    async def _no_such_route(self, request: web.Request) -> web.Response:
        return web.json_response({"detail": "Not Found"}, status=404)

    _health = _metrics = _version = _load = _unload = _no_such_route  # type: ignore[assignment]

    async def _models(self, request: web.Request) -> web.Response:
        listed = [] if self.store_is_away else await asyncio.to_thread(self._in_store)
        names = [BASE_MODEL, *(f"{BASE_MODEL}:{name}" for name in listed)]
        cards = [{"id": name, "object": "model"} for name in names]
        return web.json_response({"object": "list", "data": cards})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        model = (await request.json())["model"]
        base, _, name = model.partition(":")
        if base != BASE_MODEL:
            said = f'Got request for model "{model}". Could not find base model with ID "{base}".'
            return _error(404, said, "NotFoundError")
        if name in self._loading:
            await self._loading[name].wait()
            said = f"Message: …\nFailed to load lora model: '{model}' has already been loaded."
            return _error(500, said, "InternalServerError")
        if name and model not in self.adapters:
            since = self._missing.get(name)
            remembered = since is not None and (
                time.monotonic() - since < self._remembers_missing_seconds
            )
            if remembered or self.store_is_away or not await self._load_from_store(name):
                if not remembered:
                    self._missing[name] = time.monotonic()
                said = f'Unable to find LoRA adapter config file "adapter_config.json" in {name}.'
                return _error(404, said, "NotFoundError")
            self.fetched.append(name)
            self.adapters[model] = str(self._folder / name)
        return await super()._chat(request)

    async def _load_from_store(self, name: str) -> bool:
        self._loading[name] = done = asyncio.Event()
        try:
            return await asyncio.to_thread(self._fetch, name)
        finally:
            del self._loading[name]
            done.set()

    def _in_store(self) -> list[str]:
        found = self._client.list_objects_v2(
            Bucket=self._bucket, Prefix=self._prefix, Delimiter="/"
        )
        begin = len(self._prefix)
        return [entry["Prefix"][begin:].rstrip("/") for entry in found.get("CommonPrefixes", ())]

    def _fetch(self, name: str) -> bool:
        below = f"{self._prefix}{name}/"
        listed = self._client.list_objects_v2(Bucket=self._bucket, Prefix=below)
        keys = [entry["Key"] for entry in listed.get("Contents", ())]
        if f"{below}adapter_config.json" not in keys:
            return False
        (self._folder / name).mkdir(parents=True, exist_ok=True)
        for key in keys:
            target = self._folder / name / key.removeprefix(below)
            self._client.download_file(self._bucket, key, str(target))
        return True
