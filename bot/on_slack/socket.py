"""Socket Mode connections to Slack: the SDK's client, with patience where it has none.

What is changed, and why (slack-sdk 3.47, `slack_sdk.socket_mode.aiohttp`):

- A `disconnect` with the reason `too_many_websockets` makes the client reconnect at once, for ever.
  Here each reconnection waits, the longer the less time has passed since the one before.
- `connect()` retries with the same URL for ever, though a URL is good for one connection within
  seconds. Here a connection that takes longer than two pings is begun anew with a fresh URL.
- Two reconnections may run at the same time after five seconds and then leak a socket that gets
  events but is never read. Here they run one after the other, and a second one that finds a new
  socket in place does nothing.
- `close()` neither awaits its tasks nor bounds its wait for Slack's half of the closing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.web.async_client import AsyncWebClient

log = logging.getLogger(__name__)

_CLOSE_SECONDS = 2.0
_ACKNOWLEDGE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0


class Backoff:
    """Pauses before reconnections: none after a quiet time, else doubling up to a minute."""

    def __init__(self, *, first_seconds: float = 1.0, quiet_seconds: float = 30.0) -> None:
        self._first_seconds = first_seconds
        self._quiet_seconds = quiet_seconds
        self._failures = 0
        self._last = -float("inf")

    def pause_seconds(self) -> float:
        now = time.monotonic()
        self._failures = 0 if now - self._last > self._quiet_seconds else self._failures + 1
        if self._failures == 0:
            self._last = now
            return 0.0
        longest = self._first_seconds * 2.0 ** min(self._failures - 1, 16)
        pause = min(longest, _LONGEST_PAUSE_SECONDS) * random.uniform(0.75, 1.0)  # noqa: S311
        self._last = now + pause
        return pause


class PatientSocket(SocketModeClient):
    """One Socket Mode connection that is always being kept or restored until `close()`."""

    def __init__(
        self,
        *,
        app_token: str,
        web_client: AsyncWebClient,
        logger: logging.Logger,
        ping_interval: float,
        backoff: Backoff,
    ) -> None:
        super().__init__(
            app_token=app_token, web_client=web_client, logger=logger, ping_interval=ping_interval
        )
        # The client reads HTTPS_PROXY by itself and minds no NO_PROXY; main() decided already.
        self.proxy = web_client.proxy
        self._backoff = backoff
        self._connect_seconds = max(2.0, 2 * ping_interval)
        self._reconnecting = asyncio.Lock()
        self._reconnectors: set[asyncio.Task[object]] = set()

    async def connect_to_new_endpoint(self, force: bool = False) -> None:
        task, told_off = asyncio.current_task(), self.current_session
        assert task is not None
        self._reconnectors.add(task)  # some of the client's tasks it keeps no reference to
        try:
            async with self._reconnecting:
                replaced = self.current_session is not told_off
                if self.closed or (await self.is_connected() and (replaced or not force)):
                    return
                await self._reconnect()
        finally:
            self._reconnectors.discard(task)

    async def _reconnect(self) -> None:
        # Until connect() is through, the old socket's monitor must not reconnect as well.
        self.auto_reconnect_enabled = False
        pause = self._backoff.pause_seconds()
        if pause:
            log.warning("reconnecting to Slack in %.1f s", pause)
            await asyncio.sleep(pause)
        self.wss_uri = None
        await self.connect()

    async def connect(self) -> None:
        while not self.closed:
            try:
                async with asyncio.timeout(self._connect_seconds):
                    await super().connect()
                return
            except TimeoutError:
                log.warning("no connection to Slack in %.0f s; again", self._connect_seconds)
                self.wss_uri = None

    async def close(self) -> None:
        self.closed = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await super().close()
        ours = (self.message_processor, self.current_session_monitor, self.message_receiver)
        tasks = {*(task for task in ours if task is not None), *self._reconnectors}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.aiohttp_client_session.close()


class SocketHandler(AsyncSocketModeHandler):
    """bolt's handler (envelope → app → acknowledgement) over a `PatientSocket`."""

    def __init__(
        self, app: AsyncApp, app_token: str, *, ping_seconds: float, backoff: Backoff
    ) -> None:
        # Not super().__init__(): it would open a client of its own that nobody closes.
        self.app = app
        self.app_token = app_token
        self.client = PatientSocket(
            app_token=app_token,
            web_client=app.client,
            logger=app.logger,
            ping_interval=ping_seconds,
            backoff=backoff,
        )
        self.client.socket_mode_request_listeners.append(self.handle)  # type: ignore[arg-type]
        self._under_way: set[asyncio.Future[None]] = set()

    async def handle(self, client: SocketModeClient, req: SocketModeRequest) -> None:  # type: ignore[override]
        answered = asyncio.get_running_loop().create_future()
        self._under_way.add(answered)
        try:
            await super().handle(client, req)
        finally:
            self._under_way.discard(answered)
            answered.set_result(None)

    async def close_async(self) -> None:
        """Close, but not between a delivery and its acknowledgement: a person would see a failure,
        or the bot get the same again after its restart."""
        if self._under_way:
            await asyncio.wait(set(self._under_way), timeout=_ACKNOWLEDGE_SECONDS)
        await self.client.close()
