"""A strict Discord on loopback: gateway websocket and REST, in a thread of its own.

It runs apart from the test's event loop, so a bot that blocks its loop misses Discord's three
seconds here as it would there; where even a shared interpreter would blur that, the bot runs in a
process of its own (tests/bot/bot_process.py). What Discord refuses is refused with its codes; what
Discord would put up with but a good bot does not do is a problem, and a problem fails the test when
the fake ends.

    async with FakeDiscord() as discord:
        ...start the bot with discord.token, discord.api_base and discord.gateway_url...
        await discord.connected()
        ask = await discord.slash("ask", persona="lincoln", question="What is a nation?")
        await ask.shows("must think anew", "An imitation")   # waits until people see all of it
        assert ask.pings == set()

What people can do (type a command, write, press, delete) is in `discord_people`. Every method of
`FakeDiscord` and `Interaction` that is `async` may be awaited from any loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

from aiohttp import web

from tests.fakes import discord_objects as objects
from tests.fakes import discord_rules as rules
from tests.fakes import discord_world
from tests.fakes.discord_interaction import Interaction
from tests.fakes.discord_limits import RateLimits
from tests.fakes.discord_message import Message
from tests.fakes.discord_objects import EVERYTHING, INVITED, MANAGE_GUILD
from tests.fakes.discord_people import People
from tests.fakes.discord_rest import routes
from tests.fakes.discord_socket import DiscordSocket
from tests.fakes.discord_webhook_routes import Webhook
from tests.fakes.discord_world import Channel, World

T = TypeVar("T")

PATIENCE_SECONDS = 40.0
MEMBER_PERMISSIONS = EVERYTHING & ~MANAGE_GUILD & ~objects.ADMINISTRATOR & ~objects.MANAGE_MESSAGES
"""What somebody may do who manages neither the server nor others' messages."""


class FakeDiscord(People):
    """Start with `async with FakeDiscord() as discord`.

    Args:
        token: the only bot token that is accepted.
        ack_seconds: how long an interaction waits for its first response.
        token_seconds: how long an interaction's token lives.
        edit_limit: (edits, seconds) for one message's route.
        heartbeat_seconds: asked of the bot.
        identify_seconds: the least time between two IDENTIFYs.
        may_post: whether the bot may write into the channels without an interaction.
        bot_permissions: what the invitation gave it; INVITED is what docs/discord.md asks for.
        intents_on: privileged intents that are switched on in the Developer Portal.
        guilds: servers the bot is in.
        shards: how many Discord recommends.
        guilds_per_shard: a shard with more servers is closed with 4011.
    """

    def __init__(
        self,
        *,
        token: str = "the-right.token",
        ack_seconds: float = 3.0,
        token_seconds: float = 900.0,
        edit_limit: tuple[int, float] = (5, 5.0),
        heartbeat_seconds: float = 41.25,
        identify_seconds: float = 5.0,
        may_post: bool = True,
        bot_permissions: int = INVITED,
        intents_on: int = 0,
        guilds: int = 1,
        shards: int = 1,
        guilds_per_shard: int = 2500,
    ) -> None:
        self.token = token
        self.ack_seconds = ack_seconds
        self.token_seconds = token_seconds
        self.edit_limit = edit_limit
        self.world = World(bot_permissions=bot_permissions, guilds=guilds)
        if not may_post:
            for guild in self.world.guilds:
                for channel in guild.channels:
                    channel.overwrites[objects.BOT_ID] = (1, 0, objects.SEND_MESSAGES)
        self.api_base = ""
        self.gateway_url = ""
        self.application_changes: dict[str, Any] = {}
        """What the Developer Portal says otherwise than usual."""
        self.commands: list[dict[str, Any]] = []
        self.syncs = 0
        self.messages: dict[str, Message] = {}
        self.interactions: dict[str, Interaction] = {}
        self.webhooks: dict[str, Webhook] = {}
        self.requests: list[str] = []
        self.throttled: list[str] = []
        """Requests that were answered with 429."""
        self.refusals: list[tuple[str, int]] = []
        """Requests that Discord refused otherwise, with its code."""
        self.invalid_requests = 0
        """401, 403 and 429; 10,000 in ten minutes would ban the bot's address."""
        self.pings: set[str] = set()
        self.previews: list[str] = []
        self.problems: list[str] = []
        self.fail_next: list[tuple[str, int]] = []
        """(beginning of "METHOD path", status): answered once with that status; 0 breaks the line."""
        self.lose_next: list[tuple[str, int]] = []
        """The same, but what was asked is done: only its reply is lost."""
        self.limits = RateLimits()
        self.socket = DiscordSocket(
            token=token,
            world=self.world,
            heartbeat_seconds=heartbeat_seconds,
            identify_seconds=identify_seconds,
            intents_on=intents_on,
            recommended_shards=shards,
            guilds_per_shard=guilds_per_shard,
            changed=self.notify,
            problem=self.problems.append,
        )
        self._origin = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake-discord")
        self._looks: set[asyncio.Event] = set()
        self._runner: web.AppRunner | None = None
        self._sending: asyncio.Queue[Coroutine[Any, Any, None]] | None = None

    async def __aenter__(self) -> Self:
        self._thread.start()
        await self.do(self._start())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        await self.do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)
        self._loop.close()
        if kind is None:
            assert not self.problems, "\n".join(self.problems)

    # --- what a test looks at ---------------------------------------------------------------------

    @property
    def ignored_429(self) -> list[str]:
        """Requests that were sent although a 429 had said to wait."""
        return self.limits.ignored

    @property
    def content_open(self) -> bool:
        """Whether the message content intent is switched on in the portal."""
        return bool(self.socket.intents_on & objects.MESSAGE_CONTENT)

    @property
    def application_flags(self) -> int:
        return objects.MESSAGE_CONTENT_FLAG if self.content_open else 0

    async def connected(self) -> None:
        await self.until(lambda: self.socket.connected, "a connected bot")

    async def until(
        self, happened: Callable[[], bool], what: str, interaction: Interaction | None = None
    ) -> None:
        """Wait for something; fails with what was seen instead."""

        async def wait() -> None:
            look = asyncio.Event()
            self._looks.add(look)
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    while not happened():
                        look.clear()
                        await look.wait()
            except TimeoutError:
                seen = interaction.text if interaction else self.requests[-20:]
                raise AssertionError(
                    f"no {what}; seen: {seen!r}; refused: {self.refusals[-5:]}; "
                    f"problems: {self.problems}"
                ) from None
            finally:
                self._looks.discard(look)

        await self.do(wait())

    async def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something in the fake's own loop."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def forgive(self, beginning: str) -> None:
        """Take problems back that a test meant to happen; there must be one."""
        kept = [problem for problem in self.problems if not problem.startswith(beginning)]
        assert len(kept) < len(self.problems), f"no problem begins with {beginning!r}"
        self.problems[:] = kept

    # --- what the two sides share; all of it is called in the fake's loop ---------------------------

    def notify(self) -> None:
        """Something changed: let whoever waits look again."""
        for look in self._looks:
            look.set()

    def wrote(self, message: Message, body: dict[str, Any], files: dict[str, bytes]) -> None:
        """The bot made or changed a message, and `body` had been checked."""
        is_new = message.id not in self.messages
        message.write(body)
        self._attach(message, body, files)
        self.pings |= rules.pings(message.text, body.get("allowed_mentions"))
        self.previews += rules.previews(message.text, message.flags)
        changes_text = body.get("content") or body.get("components")
        if "allowed_mentions" not in body and changes_text:
            self.problems.append(f"a message without allowed_mentions: {message.text!r}")
        self.appeared(message, is_new=is_new)
        self.notify()

    def _attach(self, message: Message, body: dict[str, Any], files: dict[str, bytes]) -> None:
        if body.get("attachments") is None:
            return
        kept = {str(entry.get("id")) for entry in body["attachments"]}
        message.attachments = [a for a in message.attachments if a["id"] in kept]
        message.files = {
            a["filename"]: message.files[a["filename"]]
            for a in message.attachments
            if a["filename"] in message.files
        }
        self.attach(message, files)

    def attach(self, message: Message, files: dict[str, bytes]) -> None:
        for name, content in files.items():
            message.files[name] = content
            url = f"{self._origin}/attachments/{message.id}/{name}"
            message.attachments.append(
                {
                    "id": objects.snowflake(),
                    "filename": name,
                    "size": len(content),
                    "url": url,
                    "proxy_url": url,
                }
            )

    def appeared(self, message: Message, *, is_new: bool = True) -> None:
        """Tell the bot of a message, its own ones too; what only one person sees it is not told."""
        self.messages[message.id] = message
        if message.ephemeral or not self.world.bot_may(message.channel):
            return
        name = "MESSAGE_CREATE" if is_new else "MESSAGE_UPDATE"
        self._send_message_event(name, message)

    def _send_message_event(self, name: str, message: Message) -> None:
        guild_id = message.channel.guild_id

        def event(intents: int) -> dict[str, Any]:
            data = message.as_json(readable=bool(intents & objects.MESSAGE_CONTENT))
            if guild_id is None:
                return data
            data["guild_id"] = guild_id
            person = message.person
            if person is not None and message.webhook_id is None:
                data["member"] = discord_world.member(None, person.roles)
            return data

        needs = rules.DIRECT_MESSAGES if guild_id is None else rules.GUILD_MESSAGES
        self.send(self.socket.dispatch(name, event, guild_id=guild_id, needs=needs))

    def vanished(self, messages: list[Message]) -> None:
        """Messages of one channel are deleted."""
        for message in messages:
            message.deleted = True
        seen = [m for m in messages if not m.ephemeral and self.world.bot_may(m.channel)]
        if seen:
            channel = seen[0].channel
            where = {"channel_id": channel.id}
            if channel.guild_id:
                where["guild_id"] = channel.guild_id
            needs = rules.GUILD_MESSAGES if channel.guild_id else rules.DIRECT_MESSAGES
            ids = [message.id for message in seen]
            name = "MESSAGE_DELETE" if len(ids) == 1 else "MESSAGE_DELETE_BULK"
            data: dict[str, Any] = where | ({"id": ids[0]} if len(ids) == 1 else {"ids": ids})
            self.send(self.socket.dispatch(name, data, guild_id=channel.guild_id, needs=needs))
        self.notify()

    def opened(
        self, channel: Channel, name: str, message: Message | None, owner_id: str
    ) -> Channel:
        """A thread begins, from a message or without one."""
        assert channel.guild is not None
        thread_id = message.id if message is not None else objects.snowflake()
        thread = Channel(
            thread_id,
            discord_world.PUBLIC_THREAD,
            channel.guild,
            name,
            parent=channel,
            owner_id=owner_id,
        )
        channel.guild.threads.append(thread)
        if message is not None:
            message.thread_id = thread_id
        self.tell("THREAD_CREATE", thread.as_json() | {"newly_created": True}, thread)
        self.notify()
        return thread

    def tell(self, name: str, data: dict[str, Any], channel: Channel) -> None:
        """An event about a channel or thread of a server."""
        self.send(self.socket.dispatch(name, data, guild_id=channel.guild_id, needs=rules.GUILDS))

    def send(self, work: Coroutine[Any, Any, None]) -> None:
        """Dispatch in the order of the calls."""
        assert self._sending is not None
        self._sending.put_nowait(work)

    def call_later(self, seconds: float, call: Callable[..., None], *given: Any) -> None:
        self._loop.call_later(seconds, call, *given)

    async def _send_in_order(self) -> None:
        assert self._sending is not None
        while True:
            await (await self._sending.get())

    async def _start(self) -> None:
        self._sending = asyncio.Queue()
        self._sender = asyncio.create_task(self._send_in_order(), name="fake-discord-events")
        app = web.Application(client_max_size=32 << 20)
        routes(app, self)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        port = self._runner.addresses[0][1]
        self._origin = f"http://127.0.0.1:{port}"
        self.api_base = f"{self._origin}/api/v10"
        self.gateway_url = f"ws://127.0.0.1:{port}/gateway"
        self.socket.resume_url = f"ws://127.0.0.1:{port}/resume"

    async def _stop(self) -> None:
        assert self._runner is not None and self._sending is not None
        await self.socket.drop(1006)
        await self._runner.cleanup()
        late = asyncio.all_tasks() - {asyncio.current_task()}
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        while not self._sending.empty():
            self._sending.get_nowait().close()
