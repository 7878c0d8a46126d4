"""Discord's websocket side: sessions, IDENTIFY, RESUME with replay, heartbeats, closing codes.

A session lives on when its socket breaks, and keeps the events sent meanwhile for RESUME; it dies
when the bot closes it with 1000 or 1001, or with op 9. Frames are compressed as Discord compresses
them (zlib-stream) when the bot asks for it. Every shard has a session of its own and gets the events
of its servers; a session gets only what its intents ask for.
"""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.fakes import discord_objects as objects
from tests.fakes.discord_objects import MESSAGE_CONTENT, snowflake
from tests.fakes.discord_rules import GUILDS
from tests.fakes.discord_world import World

_PRIVILEGED = 1 << 1 | 1 << 8 | MESSAGE_CONTENT
_ALL_INTENTS = (1 << 26) - 1
_OPS_PER_MINUTE = 120
_MOST_KEPT = 2000
"""Events that a session can replay; a soak would fill the memory otherwise."""


@dataclass
class _Session:
    id: str = field(default_factory=snowflake)
    events: list[dict[str, Any]] = field(default_factory=list)
    alive: bool = True
    socket: _Socket | None = None
    intents: int = 0
    shard: tuple[int, int] = (0, 1)


class _Socket:
    """One connection: frames out, and what it has sent."""

    def __init__(self, ws: web.WebSocketResponse, *, compressed: bool) -> None:
        self.ws = ws
        self.session: _Session | None = None
        self.identified = False
        self.closed_here = False
        self.beat_at = time.monotonic()
        self.received: list[float] = []
        self._deflate = zlib.compressobj() if compressed else None

    async def send(self, op: int, data: Any, *, event: dict[str, Any] | None = None) -> None:
        payload = {"op": op, "d": data, "s": None, "t": None} | (event or {})
        text = json.dumps(payload)
        if self.ws.closed:
            return
        try:
            if self._deflate is None:
                await self.ws.send_str(text)
            else:
                packed = self._deflate.compress(text.encode())
                await self.ws.send_bytes(packed + self._deflate.flush(zlib.Z_SYNC_FLUSH))
        except ConnectionResetError:
            pass  # the bot just left; what was sent waits in the session


class DiscordSocket:
    """All sessions of one bot. `changed()` is called whenever a waiting test may want to look again."""

    def __init__(
        self,
        *,
        token: str,
        world: World,
        heartbeat_seconds: float,
        identify_seconds: float,
        intents_on: int,
        recommended_shards: int,
        guilds_per_shard: int,
        changed: Callable[[], None],
        problem: Callable[[str], None],
    ) -> None:
        self._token = token
        self._heartbeat_seconds = heartbeat_seconds
        self._identify_seconds = identify_seconds
        self._changed = changed
        self._problem = problem
        self._sessions: list[_Session] = []
        self._identified_at: float | None = None
        self._world = world
        self._guilds_per_shard = guilds_per_shard
        self.intents_on = intents_on
        self.recommended_shards = recommended_shards
        self.repeat_next = 0
        """So many events are delivered twice."""
        self.events: list[str] = []
        """Names of the events that were sent."""
        self.resume_url = ""
        self.refuse_with: int | None = None
        """A closing code with which the next IDENTIFY or RESUME is answered."""
        self.unreachable = 0
        """So many connections are refused with HTTP 503."""
        self.identifies = 0
        self.resumes = 0
        self.replayed = 0
        self.heartbeats = 0

    @property
    def connected(self) -> bool:
        """Whether every shard that the bot has is there."""
        there = {s.shard for s in self._sessions if s.socket is not None}
        return bool(there) and len(there) == max(count for _, count in there)

    @property
    def shards(self) -> list[tuple[int, int]]:
        """(number, count) of the sessions that are connected."""
        return sorted(s.shard for s in self._sessions if s.socket is not None)

    @property
    def intents(self) -> int:
        """What the bot asked for last."""
        return self._sessions[-1].intents if self._sessions else 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.unreachable:
            self.unreachable -= 1
            return web.Response(status=503)
        ws = web.WebSocketResponse(autoping=True)
        await ws.prepare(request)
        compression = request.query.get("compress")
        socket = _Socket(ws, compressed=compression == "zlib-stream")
        if request.query.get("v") != "10" or request.query.get("encoding") != "json":
            await ws.close(code=4012, message=b"Invalid API version")
            return ws
        if compression not in (None, "zlib-stream"):
            self._problem(f"the fake can't speak compress={compression}")
            await ws.close(code=4002, message=b"Decode error")
            return ws
        await socket.send(10, {"heartbeat_interval": int(self._heartbeat_seconds * 1000)})
        watch = asyncio.create_task(self._watch_heartbeat(socket))
        resuming_here = request.path.startswith("/resume")
        try:
            async for message in ws:
                if message.type is not WSMsgType.TEXT:
                    continue
                code = await self._receive(socket, json.loads(message.data), resuming_here)
                if code is not None:
                    await ws.close(code=code)
        finally:
            watch.cancel()
            session = socket.session
            if session is not None and session.socket is socket:
                session.socket = None
                if ws.close_code in (1000, 1001) and not socket.closed_here:
                    session.alive = False
            self._changed()
        return ws

    async def dispatch(
        self,
        name: str,
        data: dict[str, Any] | Callable[[int], dict[str, Any]],
        *,
        guild_id: str | None = None,
        needs: int = 0,
    ) -> None:
        """Send an event to the bot, now or when it resumes.

        With no session at all Discord has nobody to send to: the event is lost.

        Args:
            data: or what makes it from a session's intents.
            guild_id: decides the shard; None: the first.
            needs: the intent without which it is not sent.
        """
        times = 1
        if self.repeat_next:
            self.repeat_next -= 1
            times = 2
        for session in self._sessions:
            number, count = session.shard
            mine = (int(guild_id or 0) >> 22) % count == number
            if session.alive and mine and session.intents & needs == needs:
                made = data(session.intents) if callable(data) else data
                for _ in range(times):
                    await self._send_event(session, name, made)

    async def ask_to_reconnect(self) -> None:
        """Op 7."""
        for socket in self._sockets():
            await socket.send(7, None)

    async def invalidate(self, *, resumable: bool) -> None:
        """Op 9."""
        for session in self._sessions:
            if session.socket is not None:
                session.alive = resumable
                await session.socket.send(9, resumable)

    async def drop(self, code: int, *, shard: int | None = None) -> None:
        """Close the connections, or one shard's; 1006 stands for a TCP connection that breaks."""
        for socket in self._sockets(shard):
            socket.closed_here = True
            if code == 1006:
                transport = socket.ws.get_extra_info("transport") or socket.ws._req.transport
                if transport is not None:  # the bot was quicker
                    transport.abort()
            else:
                await socket.ws.close(code=code)

    def _sockets(self, shard: int | None = None) -> list[_Socket]:
        return [
            session.socket
            for session in self._sessions
            if session.socket is not None and shard in (None, session.shard[0])
        ]

    async def _receive(
        self, socket: _Socket, payload: dict[str, Any], resuming_here: bool
    ) -> int | None:
        """Take one frame from the bot; returns the code to close with, or None."""
        now = time.monotonic()
        socket.received = [at for at in socket.received if at > now - 60] + [now]
        if len(socket.received) > _OPS_PER_MINUTE:
            self._problem("the bot sent more than 120 frames in a minute")
            return 4008
        op, data = payload.get("op"), payload.get("d")
        if op == 1:
            socket.beat_at = now
            self.heartbeats += 1
            await socket.send(11, None)
            return None
        if op in (2, 6) and self.refuse_with is not None:
            code, self.refuse_with = self.refuse_with, None
            self._changed()
            return code
        if op == 2:
            return await self._identify(socket, data)
        if op == 6:
            return await self._resume(socket, data, resuming_here)
        if socket.session is None:
            return 4003
        if op not in (3, 4, 8):
            return 4001
        return None

    async def _identify(self, socket: _Socket, data: dict[str, Any]) -> int | None:
        if socket.identified:
            self._problem("IDENTIFY was sent twice on one connection")
            return 4005
        socket.identified = True
        if data.get("token") != self._token:
            return 4004
        intents = data.get("intents")
        if not isinstance(intents, int) or intents & ~_ALL_INTENTS:
            return 4013
        if intents & _PRIVILEGED & ~self.intents_on:
            return 4014
        shard = data.get("shard") or [0, 1]
        if not (isinstance(shard, list) and len(shard) == 2 and 0 <= shard[0] < shard[1]):
            return 4010
        mine = [g for g in self._world.guilds if g.joined]
        mine = [g for g in mine if (int(g.id) >> 22) % shard[1] == shard[0]]
        if len(mine) > self._guilds_per_shard:
            return 4011
        if not isinstance(data.get("properties"), dict):
            return 4002
        now = time.monotonic()
        last, self._identified_at = self._identified_at, now
        if last is not None and now - last < self._identify_seconds:
            await socket.send(9, False)
            return None
        self.identifies += 1
        for old in self._sessions:
            if old.socket is None and (old.shard == tuple(shard) or old.shard[1] != shard[1]):
                old.alive = False
        session = _Session(socket=socket, intents=intents, shard=(shard[0], shard[1]))
        socket.session = session
        self._sessions.append(session)
        ready = {
            "v": 10,
            "user": objects.bot_user(),
            "guilds": [{"id": guild.id, "unavailable": True} for guild in mine],
            "session_id": session.id,
            "shard": shard,
            "resume_gateway_url": self.resume_url,
            "application": {"id": objects.APPLICATION_ID, "flags": 0},
        }
        await self._send_event(session, "READY", ready)
        if intents & GUILDS:
            for guild in mine:
                await self._send_event(session, "GUILD_CREATE", guild.as_json())
        self._changed()
        return None

    async def _resume(
        self, socket: _Socket, data: dict[str, Any], resuming_here: bool
    ) -> int | None:
        if data.get("token") != self._token:
            return 4004
        if not resuming_here:
            self._problem("RESUME was not sent to resume_gateway_url")
        session = next((s for s in self._sessions if s.id == data.get("session_id")), None)
        if session is None or not session.alive:
            await socket.send(9, False)
            return None
        seen = data.get("seq")
        if not isinstance(seen, int) or seen > len(session.events):
            return 4007
        if len(session.events) - seen > _MOST_KEPT:
            session.alive = False
            await socket.send(9, False)
            return None
        self.resumes += 1
        socket.session, session.socket = session, socket
        missed = session.events[seen:]
        self.replayed += len(missed)
        for event in missed:
            await socket.send(0, event["d"], event=event)
        await self._send_event(session, "RESUMED", {})
        self._changed()
        return None

    async def _send_event(self, session: _Session, name: str, data: dict[str, Any]) -> None:
        event = {"t": name, "s": len(session.events) + 1, "d": data}
        session.events.append(event)
        self.events.append(name)
        if len(session.events) > _MOST_KEPT:
            session.events[len(session.events) - _MOST_KEPT - 1] = {}
        if session.socket is not None:
            await session.socket.send(0, data, event=event)

    async def _watch_heartbeat(self, socket: _Socket) -> None:
        """Discord closes a connection that stays silent for longer than its interval."""
        longest = self._heartbeat_seconds * 1.5 + 1
        while True:
            await asyncio.sleep(self._heartbeat_seconds)
            if time.monotonic() - socket.beat_at > longest:
                self._problem("the bot's heartbeat stopped")
                await socket.ws.close(code=4009)
                return
