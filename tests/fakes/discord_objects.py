"""Discord's ids, permission bits and the JSON of users and of the application. Pure."""

from __future__ import annotations

import itertools
import time
from typing import Any

APPLICATION_ID = "1000000000000000001"
BOT_ID = "1000000000000000002"
GUILD_ID = "2000000000000000001"
CHANNEL_ID = "3000000000000000001"
SECOND_CHANNEL_ID = "3000000000000000002"
DM_CHANNEL_ID = "3000000000000000009"
PRIVATE_CHANNEL_ID = "3000000000000000019"
"""A conversation among people, which a bot meets only where one of them installed it for themselves."""
PERSON_ID = "4000000000000000042"
MENTION = f"<@{BOT_ID}>"

ADMINISTRATOR, MANAGE_CHANNELS, MANAGE_GUILD, ADD_REACTIONS = 1 << 3, 1 << 4, 1 << 5, 1 << 6
VIEW_CHANNEL, SEND_MESSAGES, MANAGE_MESSAGES = 1 << 10, 1 << 11, 1 << 13
EMBED_LINKS, ATTACH_FILES, READ_MESSAGE_HISTORY = 1 << 14, 1 << 15, 1 << 16
MANAGE_WEBHOOKS, USE_APPLICATION_COMMANDS = 1 << 29, 1 << 31
MANAGE_THREADS, CREATE_PUBLIC_THREADS, SEND_MESSAGES_IN_THREADS = 1 << 34, 1 << 35, 1 << 38
EVERYTHING = (1 << 50) - 1
INVITED = (
    VIEW_CHANNEL
    | SEND_MESSAGES
    | ATTACH_FILES
    | READ_MESSAGE_HISTORY
    | CREATE_PUBLIC_THREADS
    | SEND_MESSAGES_IN_THREADS
)
"""What the invitation in docs/discord.md asks for."""

MESSAGE_CONTENT = 1 << 15
"""The privileged intent."""
MESSAGE_CONTENT_FLAG = 1 << 19
"""The application's flag that says that this intent is switched on (for bots in few servers)."""

_EPOCH_MS = 1420070400000
_numbers = itertools.count()


def snowflake() -> str:
    """An id that tells the present time: discord.py reads an interaction's age from its id."""
    milliseconds = int(time.time() * 1000) - _EPOCH_MS
    return str((milliseconds << 22) | (next(_numbers) & 0x3FFFFF))


def user(user_id: str, name: str = "alice", *, bot: bool = False) -> dict[str, Any]:
    return {
        "id": user_id,
        "username": name,
        "discriminator": "0",
        "avatar": None,
        "global_name": name.title(),
        "bot": bot,
    }


def bot_user() -> dict[str, Any]:
    return user(BOT_ID, "personae", bot=True)


def application(flags: int = 0, guilds: int = 1) -> dict[str, Any]:
    return {
        "id": APPLICATION_ID,
        "name": "personae",
        "icon": None,
        "description": "",
        "bot_public": False,
        "bot_require_code_grant": False,
        "summary": "",
        "verify_key": "0" * 64,
        "flags": flags,
        "approximate_guild_count": guilds,
        "owner": user(PERSON_ID),
    }


def forms(components: Any) -> list[dict[str, Any]]:
    """Every component of a message or modal, nested ones too, in the order people see them."""
    found: list[dict[str, Any]] = []
    for part in components or []:
        found.append(part)
        found += forms(part.get("components"))
        for inner in ("component", "accessory"):
            if isinstance(part.get(inner), dict):
                found += forms([part[inner]])
    return found
