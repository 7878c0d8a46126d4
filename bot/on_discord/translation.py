"""Names and descriptions of commands in the languages of the bots' sentences, for Discord's command lists."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands
from discord.app_commands import locale_str

from bot.core.sentences import FALL_BACK, LANGUAGES, speaker


def phrase(name: str) -> locale_str:
    """A sentence that `Translation` finds again; English where Discord shows no other language."""
    return locale_str(speaker(FALL_BACK)(name), sentence=name)


class Translation(app_commands.Translator):
    """discord.py asks it for every name and description in each of Discord's languages."""

    async def translate(
        self,
        string: locale_str,
        locale: discord.Locale,
        context: app_commands.TranslationContextTypes,
    ) -> str | None:
        name: Any = string.extras.get("sentence")
        language = locale.value.split("-")[0]
        if name is None or language not in LANGUAGES or language == FALL_BACK:
            return None
        return speaker(language)(name)
