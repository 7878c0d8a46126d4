"""The slash commands: `/ask`, `/rewrite` and, for administrators, `/personae reload|rollback|list`.

Here stand their names, options and permissions, and who does the work; the work itself is in
`answers` and the gateway. Errors are left to the client's central handler.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import discord
from discord import app_commands

from bot.core import sentences
from bot.core.gateway_client import GatewayClient
from bot.on_discord import text as discord_text
from bot.on_discord.answers import stream_answer
from bot.on_discord.autocomplete import PersonaDirectory, choices
from bot.on_discord.reply import Reply
from personae.wire import AdapterChange, AdapterOutcome, AskRequest, RewriteRequest

log = logging.getLogger(__name__)

# 6000 is Discord's own cap. What is too long for a persona the gateway refuses, in its own words.
LongText = app_commands.Range[str, None, 6000]
ShortText = app_commands.Range[str, None, 100]

_SERVER_ONLY = app_commands.AppCommandContext(guild=True, dm_channel=False, private_channel=False)
_SERVER_INSTALL = app_commands.AppInstallationType(guild=True, user=False)

Suggest = Callable[[discord.Interaction, str], Awaitable[list[app_commands.Choice[str]]]]


def add_commands(
    tree: app_commands.CommandTree,
    *,
    gateway: GatewayClient,
    directory: PersonaDirectory,
    has_admin_key: bool,
    edit_interval_seconds: float,
) -> None:
    """Put every command of the bot into `tree`."""

    async def suggest(_: discord.Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return choices(await directory.personas(), typed)

    @tree.command(description="Ask a persona a question; it answers in its own voice, with sources")
    @app_commands.describe(persona="Who should answer", question="What you would like to know")
    @app_commands.autocomplete(persona=suggest)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    @app_commands.allowed_installs(guilds=True, users=False)
    async def ask(interaction: discord.Interaction, persona: ShortText, question: LongText) -> None:
        await stream_answer(
            interaction,
            AskRequest(
                persona=persona.strip(),
                question=question,
                user=_identity(interaction),
                surface="discord",
            ),
            gateway=gateway,
            edit_interval_seconds=edit_interval_seconds,
        )

    @tree.command(description="Rewrite a text in a persona's voice, keeping what it says")
    @app_commands.describe(persona="Whose voice", text="The text to rewrite")
    @app_commands.autocomplete(persona=suggest)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    @app_commands.allowed_installs(guilds=True, users=False)
    async def rewrite(interaction: discord.Interaction, persona: ShortText, text: LongText) -> None:
        await stream_answer(
            interaction,
            RewriteRequest(
                persona=persona.strip(),
                text=text,
                user=_identity(interaction),
                surface="discord",
            ),
            gateway=gateway,
            edit_interval_seconds=edit_interval_seconds,
        )

    admin = AdminGroup(gateway=gateway, has_admin_key=has_admin_key)
    admin.reload.autocomplete("persona")(suggest)
    admin.rollback.autocomplete("persona")(suggest)
    tree.add_command(admin)


class AdminGroup(app_commands.Group):
    """`/personae …`: which adapter speaks for a persona. Every reply is for the caller's eyes only."""

    def __init__(self, *, gateway: GatewayClient, has_admin_key: bool) -> None:
        super().__init__(
            name="personae",
            description="Manage the voices of this bot",
            default_permissions=discord.Permissions(manage_guild=True),
            # Set here, on the group itself: contexts set on the tree would override `guild_only`.
            guild_only=True,
            allowed_contexts=_SERVER_ONLY,
            allowed_installs=_SERVER_INSTALL,
        )
        self._gateway = gateway
        self._has_admin_key = has_admin_key

    async def interaction_check(self, interaction: discord.Interaction, /) -> bool:
        """Once more than Discord does: a server's settings can hand a command to anybody.

        False becomes a CheckFailure, which the central handler answers.
        """
        granted = interaction.permissions
        return interaction.guild_id is not None and (granted.manage_guild or granted.administrator)

    @app_commands.command(description="Let a persona speak with its newest adapter, or a given one")
    @app_commands.describe(persona="Whose voice", version="For example v2; the newest if left out")
    async def reload(
        self, interaction: discord.Interaction, persona: ShortText, version: ShortText | None = None
    ) -> None:
        change = AdapterChange(
            actor=_identity(interaction),
            surface="discord",
            version=(version or "").strip() or None,
        )
        await self._change(interaction, lambda: self._gateway.reload(persona.strip(), change))

    @app_commands.command(description="Let a persona speak with the adapter it had before")
    @app_commands.describe(persona="Whose voice")
    async def rollback(self, interaction: discord.Interaction, persona: ShortText) -> None:
        change = AdapterChange(actor=_identity(interaction), surface="discord")
        await self._change(interaction, lambda: self._gateway.rollback(persona.strip(), change))

    @app_commands.command(name="list", description="Show which adapters are live and which exist")
    async def list_adapters(self, interaction: discord.Interaction) -> None:
        reply = Reply.of(interaction)
        if not self._has_admin_key:
            await reply.refuse(sentences.NO_ADMIN_KEY)
            return
        await reply.open(private=True)
        await reply.show(discord_text.adapter_list(await self._gateway.adapters()))

    async def _change(
        self, interaction: discord.Interaction, work: Callable[[], Awaitable[AdapterOutcome]]
    ) -> None:
        reply = Reply.of(interaction)
        if not self._has_admin_key:
            await reply.refuse(sentences.NO_ADMIN_KEY)
            return
        await reply.open(private=True)
        outcome = await work()
        log.info(
            "%s: %s is live for %s (was %s)",
            _identity(interaction),
            outcome.live,
            outcome.persona,
            outcome.previous,
        )
        await reply.show(discord_text.quiet(outcome.message))


def _identity(interaction: discord.Interaction) -> str:
    return f"discord:{interaction.user.id}"
