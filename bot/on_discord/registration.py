"""Telling Discord which commands there are: only when they differ from those of the last time.

Discord limits how often commands may be registered, and remembers them.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import discord
from discord import app_commands

from bot.on_discord.translation import Translation
from personae.errors import PersonaeError
from personae.files import write_atomic

log = logging.getLogger(__name__)


async def payload_of(tree: app_commands.CommandTree[Any]) -> list[dict[str, Any]]:
    """Every command as it is sent to Discord, in a fixed order."""
    translation = Translation()
    commands = [
        await command.get_translated_payload(tree, translation) for command in tree.get_commands()
    ]
    return sorted(commands, key=lambda command: (command["type"], command["name"]))


async def sync_commands(tree: app_commands.CommandTree[Any], synced_file: Path) -> None:
    """Register the commands if they differ from those registered last time.

    `synced_file` holds `{"<application id>": "<sha256 of the commands>"}`; deleting it registers them
    once more.
    """
    application = str(tree.client.application_id)
    commands = await payload_of(tree)
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
