"""The slash commands for everybody, and the context menus of messages.

Here stand their names, options, permissions and where they may be used; the work itself is in `talk` and the
desk. Names and descriptions are sentences like all others, so they exist in every language of the bots.
Errors are left to the client's central handler.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import discord
from discord import app_commands

from bot.core.admin import AdminDesk
from bot.core.order import Strength
from bot.core.sentences import LANGUAGES, Say, speaker
from bot.on_discord.admin import AdminGroup
from bot.on_discord.arrival import acknowledge, tell
from bot.on_discord.buttons import (
    MODAL_TEXT_CHARACTERS,
    answer_id_of,
    ask_modal,
    one_button,
    rewrite_modal,
    text_modal,
)
from bot.on_discord.harmless import quiet
from bot.on_discord.markdown import card_line
from bot.on_discord.people import person_of, place_of
from bot.on_discord.suggestions import choices
from bot.on_discord.talk import Talk
from bot.on_discord.translation import phrase
from personae.wire import PersonaCard

# 6000 is Discord's own cap. What is too long for a persona is refused in our own words.
LongText = app_commands.Range[str, None, 6000]
ShortText = app_commands.Range[str, None, 100]

EVERYWHERE = app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=True)
EVERYBODY = app_commands.AppInstallationType(guild=True, user=True)

_STRENGTHS: tuple[Strength, ...] = ("light", "normal", "strong")
_LANGUAGE = "language-"
_PRIVACY = (
    *("show", "export", "opt-out", "opt-in", "delete"),
    *(f"{_LANGUAGE}{language}" for language in (*LANGUAGES, "auto")),
)
_PRIVACY_DATA = "personae-data.json"


def add_commands(tree: app_commands.CommandTree, talk: Talk, admin: AdminDesk) -> None:
    """Put every command of the bot into `tree`."""
    commands = Commands(talk)
    everything: list[app_commands.Command[Any, ..., Any] | app_commands.ContextMenu] = [
        *commands.slash(),
        *commands.menus(),
    ]
    for command in everything:
        command.allowed_contexts = EVERYWHERE
        command.allowed_installs = EVERYBODY
        tree.add_command(command)
    tree.add_command(AdminGroup(desk=talk.desk, admin=admin, suggest=commands.suggest))


class Commands:
    """What everybody may do."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._desk = talk.desk

    def slash(self) -> list[app_commands.Command[Any, ..., Any]]:
        """The slash commands."""
        suggest = self.suggest
        strengths = [
            app_commands.Choice(name=phrase(f"discord-strength-{name}"), value=name)
            for name in _STRENGTHS
        ]
        privacy = [
            app_commands.Choice(name=phrase(f"discord-privacy-{name}"), value=name)
            for name in _PRIVACY
        ]

        @app_commands.command(
            name=phrase("discord-ask-name"), description=phrase("discord-ask-description")
        )
        @app_commands.rename(
            persona=phrase("discord-option-persona"),
            question=phrase("discord-option-question"),
            private=phrase("discord-option-private"),
        )
        @app_commands.describe(
            persona=phrase("discord-ask-persona"),
            question=phrase("discord-ask-question"),
            private=phrase("discord-ask-private"),
        )
        @app_commands.autocomplete(persona=suggest)
        async def ask(
            interaction: discord.Interaction,
            persona: ShortText,
            question: LongText,
            private: bool = False,
        ) -> None:
            await self._talk.order(interaction, "ask", question, persona=persona, private=private)

        @app_commands.command(
            name=phrase("discord-rewrite-name"), description=phrase("discord-rewrite-description")
        )
        @app_commands.rename(
            persona=phrase("discord-option-persona"),
            text=phrase("discord-option-text"),
            strength=phrase("discord-option-strength"),
        )
        @app_commands.describe(
            persona=phrase("discord-rewrite-persona"),
            text=phrase("discord-rewrite-text"),
            strength=phrase("discord-rewrite-strength"),
        )
        @app_commands.choices(strength=strengths)
        @app_commands.autocomplete(persona=suggest)
        async def rewrite(
            interaction: discord.Interaction,
            persona: ShortText,
            text: LongText | None = None,
            strength: str = "normal",
        ) -> None:
            chosen = strength_of(strength)
            if text is None:
                await self._ask_for_text(interaction, persona, chosen)
                return
            await self._talk.order(
                interaction, "rewrite", text, persona=persona, private=True, strength=chosen
            )

        @app_commands.command(
            name=phrase("discord-personas-name"), description=phrase("discord-personas-description")
        )
        async def personas(interaction: discord.Interaction) -> None:
            await acknowledge(interaction, private=True)
            say = say_to(interaction)
            cards = await self._desk.personas(place_of(interaction), person_of(interaction))
            lines = [card_line(card) for card in cards]
            await tell(interaction, "\n".join(lines) or quiet(await self._desk.why_nobody(say)))

        @app_commands.command(
            name=phrase("discord-usage-name"), description=phrase("discord-usage-description")
        )
        async def usage(interaction: discord.Interaction) -> None:
            await acknowledge(interaction, private=True)
            used = await self._desk.usage(person_of(interaction), place_of(interaction))
            await tell(interaction, quiet(used))

        @app_commands.command(
            name=phrase("discord-privacy-name"), description=phrase("discord-privacy-description")
        )
        @app_commands.rename(action=phrase("discord-option-action"))
        @app_commands.describe(action=phrase("discord-privacy-action"))
        @app_commands.choices(action=privacy)
        async def privacy_command(interaction: discord.Interaction, action: str = "show") -> None:
            await self._privacy(interaction, action)

        return [ask, rewrite, personas, usage, privacy_command]

    def menus(self) -> list[app_commands.ContextMenu]:
        """What can be done with somebody's message."""

        async def ask_about(interaction: discord.Interaction, message: discord.Message) -> None:
            say = say_to(interaction)
            cards = await self._cards(interaction)
            await interaction.response.send_modal(ask_modal(cards, message.content, say))

        async def rewrite_as(interaction: discord.Interaction, message: discord.Message) -> None:
            say = say_to(interaction)
            cards = await self._cards(interaction)
            await interaction.response.send_modal(rewrite_modal(cards, message.content, say))

        async def better(interaction: discord.Interaction, message: discord.Message) -> None:
            await self.better_answer(interaction, answer_id_of(message))

        menus = [
            app_commands.ContextMenu(name=phrase("discord-menu-ask"), callback=ask_about),
            app_commands.ContextMenu(name=phrase("discord-menu-rewrite"), callback=rewrite_as),
            app_commands.ContextMenu(name=phrase("discord-menu-revise"), callback=better),
        ]
        menus[-1].default_permissions = discord.Permissions(manage_guild=True)
        return menus

    async def suggest(
        self, interaction: discord.Interaction, typed: str
    ) -> list[app_commands.Choice[str]]:
        """Personas that fit what was typed so far."""
        place, person = place_of(interaction), person_of(interaction)
        return choices(await self._desk.suggest(place, person, typed))

    async def better_answer(self, interaction: discord.Interaction, answer_id: str | None) -> None:
        """Let an operator write what the answer should have been. An answer that does not fit into the
        field is not put there: sent with its end cut off it would be trained on."""
        say = say_to(interaction)
        if not self._desk.is_operator(person_of(interaction)):
            await tell(interaction, say("only-operators"))
            return
        record = await self._desk.record(answer_id) if answer_id else None
        if record is None or not record.text:
            await tell(interaction, say("answer-gone"))
            return
        modal = text_modal(
            "revise",
            record.id,
            say("discord-revise-title"),
            say("discord-revise-field"),
            text=record.text if len(record.text) <= MODAL_TEXT_CHARACTERS else "",
        )
        await interaction.response.send_modal(modal)

    async def _cards(self, interaction: discord.Interaction) -> Sequence[PersonaCard]:
        return await self._desk.personas(place_of(interaction), person_of(interaction))

    async def _ask_for_text(
        self, interaction: discord.Interaction, persona: str, strength: Strength
    ) -> None:
        say = say_to(interaction)
        modal = text_modal(
            "rewrite",
            f"{strength}:{persona.strip()[:70]}",
            say("discord-rewrite-title"),
            say("discord-field-text"),
        )
        await interaction.response.send_modal(modal)

    async def _privacy(self, interaction: discord.Interaction, action: str) -> None:
        await acknowledge(interaction, private=True)
        person, say = person_of(interaction), say_to(interaction)
        if action == "export":
            kept = json.dumps(await self._desk.export(person), indent=1, ensure_ascii=False)
            await tell(
                interaction, say("discord-privacy-exported"), file=(_PRIVACY_DATA, kept.encode())
            )
        elif action.startswith(_LANGUAGE):
            language = action.removeprefix(_LANGUAGE)
            await tell(interaction, await self._desk.set_language(person, language))
        elif action in ("opt-out", "opt-in"):
            await tell(interaction, await self._desk.opt_out(person, action == "opt-out"))
        elif action == "delete":
            sure = one_button("forget", person.id, say("discord-button-forget"), danger=True)
            await tell(interaction, say("discord-privacy-sure"), components=sure)
        else:
            await tell(interaction, say("discord-privacy-text"))


def say_to(interaction: discord.Interaction) -> Say:
    return speaker(interaction.locale.value)


def strength_of(value: str) -> Strength:
    """A choice as Discord sent it."""
    return next((name for name in _STRENGTHS if name == value), "normal")
