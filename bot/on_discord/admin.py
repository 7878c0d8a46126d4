"""`/personae …`: what is administered from Discord, each sub-command one call of the core's `AdminDesk`.

Here stand names, options and descriptions; who may do what, and every sentence, is the core's. Each reply
is for the caller's eyes only. Discord offers the group to members with "Manage Server"; a server can hand
it to other roles in its settings, and the core then asks whether `/personae roles` names one of them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Literal

import discord
from discord import app_commands

from bot.core.admin import AdminDesk, LimitScope, Scope
from bot.core.admin_words import MOST_DAYS
from bot.core.desk import Desk
from bot.core.people import Person, Place
from bot.core.sentences import LANGUAGES, speaker
from bot.on_discord.arrival import acknowledge, tell
from bot.on_discord.harmless import quiet
from bot.on_discord.people import person_of, place_of
from bot.on_discord.translation import phrase
from personae.feedback_wire import FeedbackFormat

log = logging.getLogger(__name__)

ShortText = app_commands.Range[str, 1, 100]
Names = app_commands.Range[str, 1, 1000]
Amount = app_commands.Range[int, 0, 1_000_000_000]
Days = app_commands.Range[int, 1, MOST_DAYS]
Suggest = Callable[[discord.Interaction, str], Coroutine[Any, Any, list[app_commands.Choice[str]]]]
LimitOf = Literal["everybody", "server"]

_SERVER_ONLY = app_commands.AppCommandContext(guild=True, dm_channel=False, private_channel=False)
_SERVER_INSTALL = app_commands.AppInstallationType(guild=True, user=False)
_ID = re.compile(r"(?<![\d<@&#])\d{17,20}(?!\d)")
_EVERY_PERSONA = frozenset({"all", "alle", "*"})


class AdminGroup(app_commands.Group):
    """The group of commands.

    Args:
        suggest: the personas that fit what was typed.
    """

    def __init__(self, *, desk: Desk, admin: AdminDesk, suggest: Suggest) -> None:
        super().__init__(
            name="personae",
            description=phrase("discord-admin-group"),
            default_permissions=discord.Permissions(manage_guild=True),
            # Set here, on the group itself: contexts set on the tree would override `guild_only`.
            guild_only=True,
            allowed_contexts=_SERVER_ONLY,
            allowed_installs=_SERVER_INSTALL,
        )
        self._desk = desk
        self._admin = admin
        for command in (self.reload, self.rollback, self.versions, self.default, self.unanswered):
            command.autocomplete("persona")(suggest)
        self.export.autocomplete("persona")(suggest)

    # --- what holds for all servers ---------------------------------------------------------------

    @app_commands.command(description=phrase("discord-admin-reload"))
    @app_commands.describe(
        persona=phrase("discord-admin-option-persona"),
        version=phrase("discord-admin-option-version"),
    )
    async def reload(
        self, interaction: discord.Interaction, persona: ShortText, version: ShortText | None = None
    ) -> None:
        wanted = (version or "").strip() or None
        await self._say(
            interaction,
            lambda person, place: self._admin.reload(person, place, persona.strip(), wanted),
        )

    @app_commands.command(description=phrase("discord-admin-rollback"))
    @app_commands.describe(persona=phrase("discord-admin-option-persona"))
    async def rollback(self, interaction: discord.Interaction, persona: ShortText) -> None:
        await self._say(
            interaction, lambda person, place: self._admin.rollback(person, place, persona.strip())
        )

    @app_commands.command(description=phrase("discord-admin-versions"))
    @app_commands.describe(persona=phrase("discord-admin-option-persona-or-all"))
    async def versions(
        self, interaction: discord.Interaction, persona: ShortText | None = None
    ) -> None:
        wanted = (persona or "").strip() or None
        await self._say(
            interaction, lambda person, place: self._admin.versions(person, place, wanted)
        )

    @app_commands.command(description=phrase("discord-admin-status"))
    async def status(self, interaction: discord.Interaction) -> None:
        await self._say(interaction, self._admin.status)

    @app_commands.command(description=phrase("discord-admin-unanswered"))
    @app_commands.describe(persona=phrase("discord-admin-option-persona"))
    async def unanswered(self, interaction: discord.Interaction, persona: ShortText) -> None:
        await self._say(
            interaction,
            lambda person, place: self._admin.unanswered(person, place, persona.strip()),
        )

    @app_commands.command(description=phrase("discord-admin-export"))
    @app_commands.describe(
        persona=phrase("discord-admin-option-persona"),
        format=phrase("discord-admin-option-format"),
    )
    async def export(
        self,
        interaction: discord.Interaction,
        persona: ShortText,
        format: FeedbackFormat = "kto",  # the name people see
    ) -> None:
        await acknowledge(interaction, private=True)
        person, name = person_of(interaction), persona.strip()
        lines = await self._admin.export_feedback(person, place_of(interaction), name, format)
        if isinstance(lines, str):
            await tell(interaction, quiet(lines))
            return
        say = speaker(person.locale)
        if not lines.strip():
            await tell(interaction, quiet(say("discord-admin-export-empty", persona=name)))
            return
        log.info("%s exported the feedback of %s as %s", person.key, name, format)
        said = say("discord-admin-exported", persona=name, lines=lines.count(b"\n"))
        file_name = f"feedback-{_file_safe(name)}-{format}.jsonl"
        await tell(interaction, quiet(said), file=(file_name, lines))

    # --- what holds for this server ---------------------------------------------------------------

    @app_commands.command(description=phrase("discord-admin-default"))
    @app_commands.describe(
        persona=phrase("discord-admin-option-default"), scope=phrase("discord-admin-option-scope")
    )
    async def default(
        self,
        interaction: discord.Interaction,
        persona: ShortText | None = None,
        scope: Scope = "channel",
    ) -> None:
        wanted = (persona or "").strip() or None
        await self._say(
            interaction,
            lambda person, place: self._admin.set_default(person, place, wanted, scope),
        )

    @app_commands.command(description=phrase("discord-admin-allow"))
    @app_commands.describe(personas=phrase("discord-admin-option-personas"))
    async def allow(self, interaction: discord.Interaction, personas: Names) -> None:
        names = [name for name in personas.replace(",", " ").split() if name]
        everybody = len(names) == 1 and names[0].casefold() in _EVERY_PERSONA
        await self._say(
            interaction,
            lambda person, place: self._admin.allow(person, place, None if everybody else names),
        )

    @allow.autocomplete("personas")
    async def _suggest_next(
        self, interaction: discord.Interaction, typed: str
    ) -> list[app_commands.Choice[str]]:
        """The list as it would be with one persona more."""
        before, _, last = typed.rpartition(",")
        kept = [name for name in before.replace(",", " ").split() if name]
        beginning = "".join(f"{name}, " for name in kept)
        cards = await self._desk.suggest(
            place_of(interaction), person_of(interaction), last.strip()
        )
        whole = [beginning + card.id for card in cards if card.id not in kept]
        offered = ([] if kept or last.strip() else ["all"]) + whole
        return [
            app_commands.Choice(name=value, value=value)
            for value in offered[:25]
            if len(value) <= 100
        ]

    @app_commands.command(description=phrase("discord-admin-limits"))
    @app_commands.describe(
        requests=phrase("discord-admin-option-requests"),
        tokens=phrase("discord-admin-option-tokens"),
        person=phrase("discord-admin-option-limit-person"),
        role=phrase("discord-admin-option-limit-role"),
        of=phrase("discord-admin-option-limit-of"),
    )
    async def limits(
        self,
        interaction: discord.Interaction,
        requests: Amount | None = None,
        tokens: Amount | None = None,
        person: discord.User | None = None,
        role: discord.Role | None = None,
        of: LimitOf | None = None,
    ) -> None:
        if sum(given is not None for given in (person, role, of)) > 1:
            await tell(interaction, speaker(interaction.locale.value)("discord-admin-one-limit"))
            return
        scope, key = _limited(person, role, of)
        if scope is None and (requests is not None or tokens is not None):
            await tell(interaction, speaker(interaction.locale.value)("discord-admin-whose-limit"))
            return
        await self._say(
            interaction,
            lambda who, place: self._admin.limits(
                who, place, scope, key, requests=requests, tokens=tokens
            ),
            named=True,
        )

    @app_commands.command(description=phrase("discord-admin-roles"))
    @app_commands.describe(
        role=phrase("discord-admin-option-role"),
        second=phrase("discord-admin-option-more-roles"),
        third=phrase("discord-admin-option-more-roles"),
        fourth=phrase("discord-admin-option-more-roles"),
    )
    async def roles(
        self,
        interaction: discord.Interaction,
        role: discord.Role | None = None,
        second: discord.Role | None = None,
        third: discord.Role | None = None,
        fourth: discord.Role | None = None,
    ) -> None:
        given = [str(one.id) for one in (role, second, third, fourth) if one is not None]
        roles = list(dict.fromkeys(given))
        await self._say(
            interaction,
            lambda person, place: self._admin.admin_roles(person, place, roles),
            named=True,
        )

    @app_commands.command(description=phrase("discord-admin-names"))
    @app_commands.describe(on=phrase("discord-admin-option-names"))
    async def names(self, interaction: discord.Interaction, on: bool) -> None:
        await acknowledge(interaction, private=True)
        person = person_of(interaction)
        said = quiet(await self._admin.own_names(person, place_of(interaction), on))
        is_on = said in {speaker(language)("names-on") for language in LANGUAGES}
        if is_on and not interaction.app_permissions.manage_webhooks:
            said += "\n" + speaker(person.locale)("discord-admin-names-need")
        await tell(interaction, said)

    @app_commands.command(description=phrase("discord-admin-alerts"))
    @app_commands.describe(channel=phrase("discord-admin-option-alerts"))
    async def alerts(
        self, interaction: discord.Interaction, channel: discord.TextChannel | None = None
    ) -> None:
        wanted = str(channel.id) if channel is not None else None
        if channel is not None and not _may_post(channel):
            say = speaker(interaction.locale.value)
            await tell(interaction, say("discord-admin-cant-post", channel=channel.mention))
            return
        await self._say(
            interaction, lambda person, place: self._admin.alerts(person, place, wanted)
        )

    @app_commands.command(description=phrase("discord-admin-retention"))
    @app_commands.describe(days=phrase("discord-admin-option-days"))
    async def retention(self, interaction: discord.Interaction, days: Days) -> None:
        await self._say(
            interaction, lambda person, place: self._admin.retention(person, place, days)
        )

    @app_commands.command(description=phrase("discord-admin-stats"))
    async def stats(self, interaction: discord.Interaction) -> None:
        await self._say(interaction, self._admin.stats, named=True)

    async def _say(
        self,
        interaction: discord.Interaction,
        work: Callable[[Person, Place], Awaitable[str]],
        *,
        named: bool = False,
    ) -> None:
        """Acknowledge, do it, tell its sentence to the one who asked.

        Args:
            named: the sentence holds ids of people and roles, to be shown by their names.
        """
        await acknowledge(interaction, private=True)
        said = quiet(await work(person_of(interaction), place_of(interaction)))
        await tell(interaction, _with_names(said, interaction.guild) if named else said)


def _with_names(text: str, guild: discord.Guild | None) -> str:
    """Ids as mentions, which Discord shows as names; nobody is pinged by any message of the bot."""

    def mention(found: re.Match[str]) -> str:
        role = guild.get_role(int(found[0])) if guild is not None else None
        return role.mention if role is not None else f"<@{found[0]}>"

    return _ID.sub(mention, text)


def _limited(
    person: discord.User | None, role: discord.Role | None, of: LimitOf | None
) -> tuple[LimitScope | None, str]:
    """Whose limit is meant; nobody's: all are shown."""
    if person is not None:
        return "person", str(person.id)
    if role is not None:
        return "role", str(role.id)
    if of is not None:
        return ("server", "") if of == "server" else ("person", "")
    return None, ""


def _may_post(channel: discord.TextChannel) -> bool:
    granted = channel.permissions_for(channel.guild.me)
    return granted.view_channel and granted.send_messages


def _file_safe(name: str) -> str:
    return "".join(sign for sign in name if sign.isalnum() or sign in "-_")[:40] or "persona"
