"""The connection to Discord: what is running, what went wrong, what to say when it stops.

One client is one life: login, command sync, websocket, close. `frontend` starts it, and
starts another when Discord can't be reached at first.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from pathlib import Path

import discord
from discord import app_commands

from bot.core import sentences
from bot.core.answer import Answer
from bot.core.gateway_client import GatewayClient
from bot.on_discord.autocomplete import PersonaDirectory
from bot.on_discord.commands import add_commands
from bot.on_discord.reply import NETWORK_ERRORS, AnsweredElsewhere, Reply
from personae.errors import PersonaeError
from personae.files import write_atomic
from personae.wire import ErrorEvent

log = logging.getLogger(__name__)

# A rate limit longer than this is a failure to be told, not a wait.
_LONGEST_RATE_LIMIT_SECONDS = 60.0
_AFTER_GOODBYE_SECONDS = 1.0


class DiscordFrontend(discord.Client):
    """The bot.

    Args:
        gateway: open, and owned by the caller.
        directory: the personas to suggest; owned by the caller.
        synced_file: remembers which commands Discord knows already.
        has_admin_key: whether `gateway` may use `/admin`.
        edit_interval_seconds: the pace of a growing answer; Discord allows about 5 edits in 5 s.
        goodbye_seconds: how long `close` lets running answers say that they end.
    """

    def __init__(
        self,
        *,
        gateway: GatewayClient,
        directory: PersonaDirectory,
        synced_file: Path,
        has_admin_key: bool,
        edit_interval_seconds: float = 1.2,
        goodbye_seconds: float = 6.0,
    ) -> None:
        super().__init__(
            intents=discord.Intents(guilds=True),
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
            max_ratelimit_timeout=_LONGEST_RATE_LIMIT_SECONDS,
        )
        self._synced_file = synced_file
        self._goodbye_seconds = goodbye_seconds
        self._running: set[asyncio.Task[object]] = set()
        self._stopping = False
        self.tree = _Tree(self)
        add_commands(
            self.tree,
            gateway=gateway,
            directory=directory,
            has_admin_key=has_admin_key,
            edit_interval_seconds=edit_interval_seconds,
        )

    async def setup_hook(self) -> None:
        await sync_commands(self.tree, self._synced_file)

    async def on_ready(self) -> None:
        log.info("connected to Discord as %s; servers: %d", self.user, len(self.guilds))

    async def close(self) -> None:
        """Stop taking interactions, let the running ones say goodbye, disconnect."""
        self._stopping = True
        running = self._running - {asyncio.current_task()}
        for task in running:
            task.cancel()
        if running:
            _, late = await asyncio.wait(running, timeout=self._goodbye_seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=_AFTER_GOODBYE_SECONDS)
        await super().close()

    async def admit(self, interaction: discord.Interaction) -> bool:
        """Called in the task of every interaction, before anything else of ours.

        discord.py keeps no reference to those tasks and leaves them running when it closes.
        """
        task = asyncio.current_task()
        if task is not None:
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        if not self._stopping:
            return True
        if interaction.type is discord.InteractionType.application_command:
            await _tell(interaction, sentences.RESTARTING)
        return False

    async def explain(self, interaction: discord.Interaction, error: Exception) -> None:
        """The one place where a failed interaction becomes a sentence."""
        if isinstance(error, app_commands.CommandInvokeError):
            error = error.original
        if isinstance(error, AnsweredElsewhere):
            log.warning(
                "interaction %s was answered by another process; is the bot running twice?",
                interaction.id,
            )
            return
        if isinstance(error, PersonaeError):
            log.info("interaction %s: refused: %s", interaction.id, error.code)
            failed = Answer()
            failed.add(ErrorEvent(**error.to_wire()))
            sentence = failed.text()
        elif isinstance(
            error, app_commands.CommandNotFound | app_commands.CommandSignatureMismatch
        ):
            log.warning("interaction %s: Discord sent an outdated command", interaction.id)
            sentence = sentences.COMMAND_CHANGED
        elif isinstance(error, app_commands.CheckFailure):
            sentence = sentences.ADMINS_ONLY
        else:
            log.error("interaction %s failed", interaction.id, exc_info=error)
            sentence = sentences.UNEXPECTED
        await _tell(interaction, sentence)


class _Tree(app_commands.CommandTree[DiscordFrontend]):
    async def interaction_check(self, interaction: discord.Interaction, /) -> bool:
        return await self.client.admit(interaction)

    async def on_error(
        self, interaction: discord.Interaction, error: app_commands.AppCommandError, /
    ) -> None:
        await self.client.explain(interaction, error)


async def _tell(interaction: discord.Interaction, sentence: str) -> None:
    try:
        await Reply.of(interaction).refuse(sentence)
    except (discord.DiscordException, AnsweredElsewhere, *NETWORK_ERRORS) as err:
        log.warning("interaction %s: nobody could be told: %s", interaction.id, err)


async def sync_commands(tree: app_commands.CommandTree[DiscordFrontend], synced_file: Path) -> None:
    """Register the commands if they differ from those registered last time.

    Discord limits how often commands may be registered, and remembers them. `synced_file` holds
    `{"<application id>": "<sha256 of the commands>"}`; deleting it registers them once more.
    """
    application = str(tree.client.application_id)
    commands = sorted(
        (command.to_dict(tree) for command in tree.get_commands()),
        key=lambda command: (command["type"], command["name"]),
    )
    wanted = hashlib.sha256(json.dumps(commands, sort_keys=True).encode()).hexdigest()
    synced = await asyncio.to_thread(_read_synced, synced_file)
    if synced.get(application) == wanted:
        log.info("commands are registered already")
        return
    try:
        await tree.sync()
    except discord.DiscordException:
        # Commands of an earlier start still work, so the bot is worth having without this.
        log.exception("the commands could not be registered; the next start tries again")
        return
    log.info("registered %d commands", len(commands))
    text = json.dumps({**synced, application: wanted}, indent=1)
    try:
        await asyncio.to_thread(write_atomic, synced_file, text)
    except (OSError, PersonaeError) as err:
        log.warning("%s can't be written, so the next start registers again: %s", synced_file, err)


def _read_synced(synced_file: Path) -> dict[str, str]:
    try:
        synced = json.loads(synced_file.read_bytes())
    except (OSError, ValueError):
        return {}
    return synced if isinstance(synced, dict) else {}
