"""A strict Discord on loopback: gateway websocket and REST, in a thread of its own.

It runs apart from the test's event loop, so a bot that blocks its loop misses Discord's three
seconds here as it would there. What Discord refuses is refused with its codes; what Discord would
put up with but a good bot does not do is a problem, and a problem fails the test when the fake ends.

    async with FakeDiscord() as discord:
        ...start the bot with discord.token, discord.api_base and discord.gateway_url...
        await discord.connected()
        ask = await discord.slash("ask", persona="lincoln", question="What is a nation?")
        await ask.shows("must think anew", "An imitation")   # waits until people see all of it
        assert ask.pings == set()

Every method of `FakeDiscord` and `Interaction` that is `async` may be awaited from any loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Self, TypeVar

from aiohttp import web

from tests.fakes import discord_objects as objects
from tests.fakes import discord_rules as rules
from tests.fakes.discord_interaction import Interaction
from tests.fakes.discord_objects import EVERYTHING, MANAGE_GUILD, PERSON_ID, Message
from tests.fakes.discord_rest import routes
from tests.fakes.discord_socket import DiscordSocket

T = TypeVar("T")

PATIENCE_SECONDS = 20.0


class FakeDiscord:
    """Start with `async with FakeDiscord() as discord`.

    Args:
        token: the only bot token that is accepted.
        ack_seconds: how long an interaction waits for its first response.
        token_seconds: how long an interaction's token lives.
        edit_limit: (edits, seconds) for one message's route.
        heartbeat_seconds: asked of the bot.
        identify_seconds: the least time between two IDENTIFYs.
        may_post: whether the bot may write into the channel without an interaction.
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
    ) -> None:
        self.token = token
        self.ack_seconds = ack_seconds
        self.token_seconds = token_seconds
        self.edit_limit = edit_limit
        self.may_post = may_post
        self.api_base = ""
        self.gateway_url = ""
        self.commands: list[dict[str, Any]] = []
        self.syncs = 0
        self.messages: dict[str, Message] = {}
        self.interactions: dict[str, Interaction] = {}
        self.requests: list[str] = []
        self.throttled: list[str] = []
        """Requests that were answered with 429; 10,000 in ten minutes would ban the bot's address."""
        self.pings: set[str] = set()
        self.previews: list[str] = []
        self.problems: list[str] = []
        self.fail_next: list[tuple[str, int]] = []
        """(beginning of "METHOD path", status): answered once with that status; 0 breaks the line."""
        self.limits = rules.RateLimits()
        self.socket = DiscordSocket(
            token=token,
            heartbeat_seconds=heartbeat_seconds,
            identify_seconds=identify_seconds,
            changed=self.notify,
            problem=self.problems.append,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake-discord")
        self._looks: set[asyncio.Event] = set()
        self._runner: web.AppRunner | None = None

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

    # --- what a test does -------------------------------------------------------------------------

    async def connected(self) -> None:
        await self.until(lambda: self.socket.connected, "a connected bot")

    async def slash(
        self,
        command: str,
        *,
        dm: bool = False,
        permissions: int = EVERYTHING,
        overridden: bool = False,
        **options: str,
    ) -> Interaction:
        """Use a command, for example `slash("personae reload", persona="lincoln")`.

        Like the app, it sends only what the registered command allows. `overridden` stands for a
        server whose settings give the command to members without its default permissions.
        """
        data = self._command_data(command, options, dm=dm)
        default = data.pop("default_member_permissions")
        if default is not None and not overridden:
            assert permissions & int(default) == int(default), f"/{command} would not be offered"
        return await self.do(self._interact(rules.COMMAND, data, dm=dm, permissions=permissions))

    async def autocomplete(self, command: str, option: str, typed: str) -> Interaction:
        """Type into an option."""
        data = self._command_data(command, {option: typed}, dm=False, typing=option)
        del data["default_member_permissions"]
        return await self.do(
            self._interact(rules.AUTOCOMPLETE, data, dm=False, permissions=EVERYTHING)
        )

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
                    f"no {what}; seen: {seen!r}; problems: {self.problems}"
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

    # --- what the two sides share -----------------------------------------------------------------

    def notify(self) -> None:
        """Something changed: let whoever waits look again. Called in the fake's loop."""
        for look in self._looks:
            look.set()

    def wrote(self, message: Message, body: dict[str, Any]) -> None:
        """A message was made or changed, and `body` had been checked."""
        message.write(body)
        self.messages[message.id] = message
        self.pings |= rules.pings(message.content, body.get("allowed_mentions"))
        self.previews += rules.previews(message.content, message.flags)
        if "allowed_mentions" not in body:
            self.problems.append(f"a message without allowed_mentions: {message.content!r}")
        self.notify()

    async def _start(self) -> None:
        app = web.Application()
        routes(app, self)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        port = self._runner.addresses[0][1]
        self.api_base = f"http://127.0.0.1:{port}/api/v10"
        self.gateway_url = f"ws://127.0.0.1:{port}/gateway"
        self.socket.resume_url = f"ws://127.0.0.1:{port}/resume"

    async def _stop(self) -> None:
        assert self._runner is not None
        await self.socket.drop(1006)
        await self._runner.cleanup()
        late = asyncio.all_tasks() - {asyncio.current_task()}
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _command_data(
        self, path: str, options: dict[str, str], *, dm: bool, typing: str | None = None
    ) -> dict[str, Any]:
        """The `data` of an interaction, checked against the registered command as the app does."""
        name, *deeper = path.split()
        command = _named(self.commands, name)
        assert (1 if dm else 0) in (command.get("contexts") or [0, 1, 2]), f"/{path} is not here"
        data: dict[str, Any] = {"id": command["id"], "name": name, "type": 1}
        data["default_member_permissions"] = command["default_member_permissions"]
        place, schema = data, command
        for part in deeper:
            schema = _named(schema["options"], part)
            inner = {"name": part, "type": schema["type"]}
            place["options"] = [inner]
            place = inner
        known = {option["name"]: option for option in schema.get("options") or []}
        assert set(options) <= set(known), f"/{path} has no option {set(options) - set(known)}"
        if typing is None:
            needed = {name for name, option in known.items() if option.get("required")}
            assert needed <= set(options), f"/{path} needs {needed - set(options)}"
        else:
            assert known[typing].get("autocomplete"), f"{typing} has no autocomplete"
        place["options"] = []
        for given, value in options.items():
            most = known[given].get("max_length") or 6000
            least = known[given].get("min_length") or 0
            assert least <= rules.units(value) <= most, f"{given} takes {least} to {most}"
            filled = {"name": given, "type": known[given]["type"], "value": value}
            place["options"].append(filled | ({"focused": True} if given == typing else {}))
        return data

    async def _interact(
        self, kind: int, data: dict[str, Any], *, dm: bool, permissions: int
    ) -> Interaction:
        where = objects.dm_channel() if dm else objects.channel()
        interaction = Interaction(self, kind, where["id"])
        self.interactions[interaction.token] = interaction
        payload = {
            "id": interaction.id,
            "application_id": objects.APPLICATION_ID,
            "type": kind,
            "token": interaction.token,
            "version": 1,
            "data": data,
            "locale": "en-US",
            "attachment_size_limit": 10485760,
            "entitlements": [],
            "app_permissions": str(EVERYTHING),
            "authorizing_integration_owners": {"0": "0" if dm else objects.GUILD_ID},
            "context": 1 if dm else 0,
            "channel": where,
            "channel_id": where["id"],
        }
        if dm:
            payload["user"] = objects.user(PERSON_ID)
        else:
            payload["guild_id"] = objects.GUILD_ID
            payload["guild"] = {"id": objects.GUILD_ID, "features": [], "locale": "en-US"}
            payload["guild_locale"] = "en-US"
            payload["member"] = objects.member(PERSON_ID, permissions)
        await self.socket.dispatch("INTERACTION_CREATE", payload)
        self._loop.call_later(self.ack_seconds, self._check_acknowledged, interaction)
        return interaction

    def _check_acknowledged(self, interaction: Interaction) -> None:
        if interaction.acknowledged_with is None:
            self.problems.append(f"unanswered after {self.ack_seconds} s: {interaction.id}")
            self.notify()


def _named(items: Iterable[dict[str, Any]], name: str) -> dict[str, Any]:
    found = next((item for item in items if item["name"] == name), None)
    assert found is not None, f"there is no command or option {name!r}"
    return found


MEMBER_PERMISSIONS = EVERYTHING & ~MANAGE_GUILD & ~objects.ADMINISTRATOR
"""What somebody may do who does not manage the server."""
