"""Discord's users, channels and threads → the core's people and places. No I/O."""

from __future__ import annotations

import discord

from bot.core.people import Person, Place


def person_of(interaction: discord.Interaction) -> Person:
    """Who pressed, chose or typed."""
    granted = interaction.permissions
    return Person(
        platform="discord",
        id=str(interaction.user.id),
        name=interaction.user.display_name,
        server=_text(interaction.guild_id),
        roles=_roles(interaction.user),
        manages=interaction.guild_id is not None
        and (granted.manage_guild or granted.administrator),
        locale=interaction.locale.value,
    )


def place_of(interaction: discord.Interaction) -> Place:
    """Where it happened."""
    channel = interaction.channel
    direct = interaction.guild_id is None and (
        interaction.context.dm_channel or isinstance(channel, discord.DMChannel)
    )
    parent = channel.parent_id if isinstance(channel, discord.Thread) else None
    here = str(interaction.channel_id or "")
    return Place(
        platform="discord",
        server=_text(interaction.guild_id),
        channel=str(parent) if parent else here,
        thread=here if parent else None,
        direct=direct,
    )


def author_of(message: discord.Message) -> Person:
    """Who wrote a message. Discord does not say in which language: their server's is taken."""
    author = message.author
    manages = False
    if isinstance(author, discord.Member):
        granted = author.guild_permissions
        manages = granted.manage_guild or granted.administrator
    return Person(
        platform="discord",
        id=str(author.id),
        name=author.display_name,
        server=_text(message.guild.id if message.guild else None),
        roles=_roles(author),
        manages=manages,
        locale=message.guild.preferred_locale.value if message.guild else "en",
    )


def place_of_message(message: discord.Message) -> Place:
    """Where it was written."""
    channel = message.channel
    parent = channel.parent_id if isinstance(channel, discord.Thread) else None
    return Place(
        platform="discord",
        server=_text(message.guild.id if message.guild else None),
        channel=str(parent or channel.id),
        thread=str(channel.id) if parent else None,
        direct=message.guild is None,
    )


def only_installed_by_user(interaction: discord.Interaction) -> bool:
    """Whether the bot itself is not here: it may answer this interaction, and do nothing else."""
    if interaction.guild_id is not None:
        return not interaction.is_guild_integration()
    return interaction.context.private_channel


def _roles(user: discord.User | discord.Member) -> frozenset[str]:
    if not isinstance(user, discord.Member):
        return frozenset()
    # Everybody has the role that is named like the server.
    return frozenset(str(role.id) for role in user.roles if not role.is_default())


def _text(number: int | None) -> str | None:
    return str(number) if number is not None else None
