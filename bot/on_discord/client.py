"""The connection to Discord: what is running, what went wrong, what to say when it stops.

One client is one life: login, command sync, websockets, close. `frontend` starts it, and starts another
when Discord can't be reached at first. What the events mean is decided elsewhere: `commands`, `controls`,
`mentions`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import discord
from discord import app_commands

from bot.core.admin import AdminDesk
from bot.core.desk import Desk
from bot.core.gateway_client import GatewayClient
from bot.core.people import Place
from bot.core.policy import PolicySettings
from bot.core.turnstile import Turnstile
from bot.on_discord.arrival import AnsweredElsewhere, TooLate, tell
from bot.on_discord.commands import add_commands, say_to
from bot.on_discord.controls import Controls
from bot.on_discord.harmless import quiet
from bot.on_discord.layout import Part
from bot.on_discord.mentions import Mentions
from bot.on_discord.names import Names
from bot.on_discord.outlets import NETWORK_ERRORS, ChannelOutlet, Closed, Removed
from bot.on_discord.pace import Pace, edit_seconds
from bot.on_discord.pages import pages
from bot.on_discord.registration import sync_commands
from bot.on_discord.surface import Shared
from bot.on_discord.talk import Talk
from bot.on_discord.translation import Translation
from bot.state.store import State
from personae.errors import PersonaeError

log = logging.getLogger(__name__)

# A rate limit longer than this is a failure to be told, not a wait.
_LONGEST_RATE_LIMIT_SECONDS = 60.0
_AFTER_GOODBYE_SECONDS = 1.0
_RECOVERY_SECONDS = 15.0
_HANDLED_HERE = (discord.InteractionType.component, discord.InteractionType.modal_submit)


class DiscordFrontend(discord.Client):
    """The bot, over one connection.

    Args:
        gateway, state: open, and owned by the caller.
        synced_file: remembers which commands Discord knows already.
        has_admin_key: whether `gateway` may use `/admin`.
        reads_everything: ask for the privileged intent for message content.
        edit_interval_seconds: the pace of a growing answer; Discord allows about 5 edits in 5 s.
        goodbye_seconds: how long `close` lets running answers say that they end.
        shards: how many connections (`ShardedFrontend` only); None: as many as Discord recommends.
        settled: called once, when everything has been made and the first connection stands.
    """

    def __init__(
        self,
        *,
        gateway: GatewayClient,
        state: State,
        synced_file: Path,
        has_admin_key: bool,
        policy: PolicySettings | None = None,
        reads_everything: bool = False,
        edit_interval_seconds: float = 1.2,
        goodbye_seconds: float = 6.0,
        shards: int | None = None,
        settled: Callable[[], None] | None = None,
    ) -> None:
        self._settled = settled
        self._pace = Pace()
        sharding: dict[str, Any] = {} if shards is None else {"shard_count": shards}
        super().__init__(
            intents=discord.Intents(
                guilds=True,
                guild_messages=True,
                dm_messages=True,
                message_content=reads_everything,
            ),
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
            max_ratelimit_timeout=_LONGEST_RATE_LIMIT_SECONDS,
            http_trace=self._pace.trace(),
            **sharding,
        )
        self._gateway = gateway
        self._state = state
        self._synced_file = synced_file
        self._has_admin_key = has_admin_key
        self._policy = policy
        self._reads_everything = reads_everything
        self._edit_interval_seconds = edit_interval_seconds
        self._goodbye_seconds = goodbye_seconds
        self._shared = Shared(self, Names(self), self._pace)
        self._running: set[asyncio.Task[object]] = set()
        self._recovery: asyncio.Task[None] | None = None
        self._turnstile = Turnstile()
        self._stopping = False
        self._desk: Desk | None = None
        self._controls: Controls | None = None
        self._mentions: Mentions | None = None
        self.tree = _Tree(self)

    async def setup_hook(self) -> None:
        """Called once, after the login told who the bot is and before the websockets."""
        desk = Desk(
            gateway=self._gateway,
            state=self._state,
            platform="discord",
            owner=str(self.application_id),
            edit_seconds=edit_seconds(self._edit_interval_seconds, lambda: len(self._running)),
            policy=self._policy,
            alert=self._alert,
            alone=lambda: len(self.guilds) <= 1,
        )
        talk = Talk(desk, self._shared)
        self._desk = desk
        self._controls = Controls(talk)
        self._mentions = Mentions(talk, reads_everything=self._reads_everything)
        await self.tree.set_translator(Translation())
        add_commands(self.tree, talk, AdminDesk(desk, has_key=self._has_admin_key))
        await sync_commands(self.tree, self._synced_file)
        self._recovery = asyncio.create_task(self._recover(desk, talk), name="recover-answers")

    async def on_ready(self) -> None:
        log.info(
            "connected to Discord as %s; servers: %d; shards: %s",
            self.user,
            len(self.guilds),
            self.shard_count or 1,
        )
        if self._settled is not None:
            self._settled()
            self._settled = None

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        """As discord.py does it, but not after the end.

        A closed client has no loop to run a handler in, and discord.py still tells it that it is ready, two
        seconds after the servers came in.
        """
        if not self.is_closed():
            super().dispatch(event, *args, **kwargs)

    async def close(self) -> None:
        """Stop taking events, let the running answers say goodbye, disconnect."""
        if self._stopping:
            await super().close()
            return
        self._stopping = True
        if self._recovery is not None:
            self._recovery.cancel()
            await asyncio.wait({self._recovery})
        if self._desk is not None:
            await self._desk.close(grace_seconds=self._goodbye_seconds)
        running = self._running - {asyncio.current_task()}
        if running:
            _, late = await asyncio.wait(running, timeout=_AFTER_GOODBYE_SECONDS)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=_AFTER_GOODBYE_SECONDS)
        await super().close()

    # --- interactions -------------------------------------------------------------------------------

    async def admit(self, interaction: discord.Interaction) -> bool:
        """Called in the task of every interaction, before anything else of ours."""
        self._keep_task()
        await self._turnstile.passed()
        if not self._stopping:
            return True
        if interaction.type is not discord.InteractionType.autocomplete:
            await self._tell(interaction, say_to(interaction)("restarting"))
        return False

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        if interaction.type not in _HANDLED_HERE or not await self.admit(interaction):
            return
        assert self._controls is not None
        try:
            await self._controls.handle(interaction)
        except Exception as err:
            await self.explain(interaction, err)

    async def explain(self, interaction: discord.Interaction, error: Exception) -> None:
        """The one place where a failed interaction becomes a sentence."""
        if isinstance(error, app_commands.CommandInvokeError):
            error = error.original
        say = say_to(interaction)
        if isinstance(error, AnsweredElsewhere):
            log.info("interaction %s is answered by another process of the bot", interaction.id)
            return
        if isinstance(error, TooLate):
            log.warning("interaction %s: nobody could be told any more", interaction.id)
            return
        if isinstance(error, PersonaeError):
            log.info("interaction %s: refused: %s", interaction.id, error.code)
            sentence = quiet(say.error(error))
        elif isinstance(
            error, app_commands.CommandNotFound | app_commands.CommandSignatureMismatch
        ):
            log.warning("interaction %s: Discord sent an outdated command", interaction.id)
            sentence = say("discord-command-changed")
        elif isinstance(error, app_commands.CheckFailure):
            sentence = say("only-managers")
        else:
            log.error("interaction %s failed", interaction.id, exc_info=error)
            sentence = say("unexpected")
        await self._tell(interaction, sentence)

    async def _tell(self, interaction: discord.Interaction, sentence: str) -> None:
        if interaction.type is discord.InteractionType.autocomplete:
            return
        try:
            await tell(interaction, sentence)
        except (discord.DiscordException, AnsweredElsewhere, TooLate, *NETWORK_ERRORS) as err:
            log.warning("interaction %s: nobody could be told: %r", interaction.id, err)

    # --- messages and channels ----------------------------------------------------------------------

    async def on_message(self, message: discord.Message) -> None:
        if self._stopping or self._mentions is None or self.user is None:
            return
        self._keep_task()
        try:
            await self._mentions.handle(message, self.user)
        except Exception:
            log.exception("message %s could not be answered", message.id)

    async def on_raw_message_delete(self, event: discord.RawMessageDeleteEvent) -> None:
        await self._messages_deleted([event.message_id], event.channel_id)

    async def on_raw_bulk_message_delete(self, event: discord.RawBulkMessageDeleteEvent) -> None:
        await self._messages_deleted(event.message_ids, event.channel_id)

    async def on_guild_channel_delete(self, channel: discord.abc.GuildChannel) -> None:
        self._shared.names.forget(channel.id)
        await self._place_deleted(
            Place(platform="discord", server=str(channel.guild.id), channel=str(channel.id))
        )

    async def on_raw_thread_delete(self, event: discord.RawThreadDeleteEvent) -> None:
        await self._place_deleted(
            Place(
                platform="discord",
                server=str(event.guild_id),
                channel=str(event.parent_id),
                thread=str(event.thread_id),
            )
        )

    async def _messages_deleted(self, messages: Iterable[int], channel: int) -> None:
        if self._desk is None:
            return
        self._keep_task()
        for message in messages:
            if message in self._shared.withdrawn:
                self._shared.withdrawn.discard(message)
                continue
            await self._desk.message_deleted(str(message), str(channel))

    async def _place_deleted(self, place: Place) -> None:
        if self._desk is not None:
            self._keep_task()
            await self._desk.place_deleted(place)

    # --- on its own ---------------------------------------------------------------------------------

    async def _recover(self, desk: Desk, talk: Talk) -> None:
        """Take up what earlier processes left open, at the start and from time to time."""
        await self.wait_until_ready()
        while True:
            try:
                await desk.recover(talk.reopened)
            except Exception:
                log.exception("answers of earlier processes could not be taken up")
            await asyncio.sleep(_RECOVERY_SECONDS)

    async def _alert(self, server: str, channel: str, sentence: str) -> None:
        """Tell a server's operators of a question that nobody has written about."""
        content = pages(quiet(sentence))[0]
        try:
            await ChannelOutlet(self, int(channel)).post(Part(content))
        except (Closed, Removed, ValueError, discord.DiscordException, *NETWORK_ERRORS) as err:
            log.info("server %s can't be alerted in channel %s: %r", server, channel, err)

    def _keep_task(self) -> None:
        """discord.py keeps no reference to the tasks of events and leaves them running when it closes."""
        task = asyncio.current_task()
        if task is not None:
            self._running.add(task)
            task.add_done_callback(self._running.discard)


class ShardedFrontend(DiscordFrontend, discord.AutoShardedClient):
    """The bot in more servers than one connection may serve.

    Not for fewer: where a shard's first try to resume fails, discord.py begins a new session, and what was
    sent meanwhile is lost. A single connection goes on trying to resume.
    """


class _Tree(app_commands.CommandTree[DiscordFrontend]):
    async def interaction_check(self, interaction: discord.Interaction, /) -> bool:
        return await self.client.admit(interaction)

    async def on_error(
        self, interaction: discord.Interaction, error: app_commands.AppCommandError, /
    ) -> None:
        await self.client.explain(interaction, error)
