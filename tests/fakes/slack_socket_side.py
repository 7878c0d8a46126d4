"""The Socket Mode side of the fake Slack: connections, envelopes, acknowledgements, retries."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import secrets
import time
from dataclasses import dataclass

from aiohttp import WSMsgType, web

from tests.fakes import slack_payloads as world
from tests.fakes.slack_acks import take_ack_payload
from tests.fakes.slack_workspace import Delivery, Workspace

_MOST_SOCKETS = 10


@dataclass
class _Socket:
    request: web.Request
    response: web.WebSocketResponse
    leaving: bool = False


class SocketSide:
    """`refuse` connections are turned away, `break_off` handshakes fail, `lose` acknowledgements
    get lost on their way."""

    def __init__(self, workspace: Workspace, *, ack_seconds: float) -> None:
        self.connections = 0
        self.refuse = 0
        self.linger_seconds = 0.0
        self.break_off = 0
        self.lose = 0
        self._workspace = workspace
        self._ack_seconds = ack_seconds
        self._sockets: list[_Socket] = []
        self._turn = itertools.count()
        self._late: set[str] = set()
        self._waiting: dict[str, tuple[Delivery, asyncio.Event]] = {}

    @property
    def open(self) -> int:
        return len([socket for socket in self._sockets if not socket.leaving])

    async def deliver(self, delivery: Delivery) -> None:
        """Slack tries an event again at once, after a minute and after five; a command or a click
        never."""
        retried = delivery.kind == "events_api"
        for pause in (0.0, 0.0, 60.0, 300.0) if retried else (0.0,):
            await asyncio.sleep(pause / self._workspace.speed)
            if await self._attempt(delivery):
                return
        delivery.failed = "timeout" if retried else "operation_timeout"
        self._workspace.violations.append(
            f"{delivery.kind} was not acknowledged: {delivery.failed}"
        )

    async def _attempt(self, delivery: Delivery) -> bool:
        envelope_id = secrets.token_hex(8)
        acked = asyncio.Event()
        self._waiting[envelope_id] = (delivery, acked)
        envelope = {
            "envelope_id": envelope_id,
            "type": delivery.kind,
            "payload": delivery.payload,
            "accepts_response_payload": delivery.kind != "events_api",
        }
        if delivery.kind == "events_api":
            reason = "timeout" if delivery.attempts else ""
            envelope |= {"retry_attempt": delivery.attempts, "retry_reason": reason}
        socket = await self._some_socket()
        delivery.attempts += 1
        delivery.sent_at = delivery.sent_at or time.monotonic()
        try:
            await socket.response.send_json(envelope)
            async with asyncio.timeout(self._ack_seconds):
                await acked.wait()
        except (TimeoutError, ConnectionError):
            self._late.add(envelope_id)
            return False
        return True

    async def _some_socket(self) -> _Socket:
        while True:
            able = [socket for socket in self._sockets if not socket.leaving]
            if able:
                return able[next(self._turn) % len(able)]
            await asyncio.sleep(0.01)

    def _acknowledged(self, raw: str) -> None:
        ack = json.loads(raw)
        waiting = self._waiting.get(ack.get("envelope_id", ""))
        if waiting is None or set(ack) - {"envelope_id", "payload"}:
            self._workspace.violations.append(f"an acknowledgement of nothing: {sorted(ack)}")
            return
        if self.lose:
            self.lose -= 1
            return
        if ack["envelope_id"] in self._late:
            self._workspace.violations.append("an acknowledgement came too late")
        delivery, event = waiting
        if ack.get("payload"):
            take_ack_payload(self._workspace, delivery, ack["payload"])
        delivery.acked = True
        if delivery.ack_seconds is None:
            delivery.ack_seconds = time.monotonic() - delivery.sent_at
        event.set()

    async def link(self, request: web.Request) -> web.StreamResponse:
        self.connections += 1
        expiry = self._workspace.tickets.pop(request.query.get("ticket", ""), 0.0)
        if expiry < time.monotonic():
            return web.Response(status=401, text="ticket used or too old")
        if self.break_off:
            self.break_off -= 1
            return web.Response(status=503)
        response = web.WebSocketResponse()
        await response.prepare(request)
        if self.refuse or len(self._sockets) >= _MOST_SOCKETS:
            self.refuse = max(0, self.refuse - 1)
            await response.send_json({"type": "disconnect", "reason": "too_many_websockets"})
            await asyncio.sleep(self.linger_seconds)
            await response.close()
            return response
        socket = _Socket(request, response)
        await response.send_json(
            {
                "type": "hello",
                "num_connections": len(self._sockets) + 1,
                "connection_info": {"app_id": world.APP},
                "debug_info": {"host": "fake", "approximate_connection_time": 18060},
            }
        )
        self._sockets.append(socket)
        try:
            with contextlib.suppress(ConnectionError):
                async for message in response:
                    if message.type is WSMsgType.TEXT:
                        self._acknowledged(message.data)
        finally:
            self._sockets.remove(socket)
        return response

    def leave(self) -> list[_Socket]:
        """From this moment on, no connection there is gets anything more."""
        leaving = list(self._sockets)
        for socket in leaving:
            socket.leaving = True
        return leaving

    async def refresh(self, leaving: list[_Socket], reason: str) -> None:
        for socket in leaving:
            with contextlib.suppress(ConnectionError):
                await socket.response.send_json({"type": "disconnect", "reason": reason})
        await asyncio.sleep(10 / self._workspace.speed)
        for socket in leaving:
            await socket.response.close()

    async def drop(self, leaving: list[_Socket]) -> None:
        for socket in leaving:
            if socket.request.transport is not None:
                socket.request.transport.abort()
