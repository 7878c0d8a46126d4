"""Discord's JSON objects as far as a bot looks at them: ids, users, guilds, channels, messages."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.discord_rules import COMPONENTS_V2, EPHEMERAL, SUPPRESS_EMBEDS

APPLICATION_ID = "1000000000000000001"
BOT_ID = "1000000000000000002"
GUILD_ID = "2000000000000000001"
CHANNEL_ID = "3000000000000000001"
DM_CHANNEL_ID = "3000000000000000009"
PERSON_ID = "4000000000000000042"

ADMINISTRATOR, MANAGE_GUILD, SEND_MESSAGES = 1 << 3, 1 << 5, 1 << 11
EVERYTHING = (1 << 50) - 1

_EPOCH_MS = 1420070400000
_LOADING = 1 << 7
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


def member(user_id: str, permissions: int) -> dict[str, Any]:
    return {
        "user": user(user_id),
        "roles": [],
        "joined_at": "2024-01-01T00:00:00+00:00",
        "deaf": False,
        "mute": False,
        "permissions": str(permissions),
        "flags": 0,
    }


def channel() -> dict[str, Any]:
    return {
        "id": CHANNEL_ID,
        "type": 0,
        "guild_id": GUILD_ID,
        "name": "general",
        "position": 0,
        "permission_overwrites": [],
        "nsfw": False,
        "parent_id": None,
        "topic": None,
    }


def dm_channel() -> dict[str, Any]:
    return {"id": DM_CHANNEL_ID, "type": 1, "recipients": [user(PERSON_ID)]}


def guild() -> dict[str, Any]:
    everyone = {
        "id": GUILD_ID,
        "name": "@everyone",
        "permissions": str(EVERYTHING),
        "position": 0,
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "managed": False,
        "mentionable": False,
        "flags": 0,
    }
    return {
        "id": GUILD_ID,
        "name": "Readers",
        "owner_id": PERSON_ID,
        "roles": [everyone],
        "emojis": [],
        "features": [],
        "channels": [channel()],
        "members": [member(BOT_ID, EVERYTHING) | {"user": bot_user()}],
        "member_count": 2,
        "threads": [],
        "voice_states": [],
        "presences": [],
        "unavailable": False,
        "large": False,
    }


def application() -> dict[str, Any]:
    return {
        "id": APPLICATION_ID,
        "name": "personae",
        "icon": None,
        "description": "",
        "bot_public": False,
        "bot_require_code_grant": False,
        "summary": "",
        "verify_key": "0" * 64,
        "flags": 0,
        "owner": user(PERSON_ID),
    }


@dataclass
class Message:
    """A message of the bot, with everything it has said: `history[-1]` is what people see now."""

    channel_id: str
    token: str | None = None
    """Of the interaction it answers; None for an ordinary message."""
    ephemeral: bool = False
    loading: bool = False
    """The bot "is thinking"."""
    flags: int = 0
    deleted: bool = False
    history: list[str] = field(default_factory=list)
    embeds: list[Any] = field(default_factory=list)
    components: list[Any] = field(default_factory=list)
    id: str = field(default_factory=snowflake)

    @property
    def content(self) -> str:
        return self.history[-1] if self.history else ""

    def write(self, body: dict[str, Any]) -> None:
        """Take over what a checked request body says; Discord trims white space around content."""
        if body.get("content") is not None:
            self.history.append(body["content"].strip())
        for name in ("embeds", "components"):
            if body.get(name) is not None:
                setattr(self, name, body[name])
        if "flags" in body:
            self.flags = body["flags"] & (SUPPRESS_EMBEDS | COMPONENTS_V2)
        self.loading = False

    def as_json(self) -> dict[str, Any]:
        flags = self.flags | (EPHEMERAL if self.ephemeral else 0) | (_LOADING * self.loading)
        return {
            "id": self.id,
            "channel_id": self.channel_id,
            "author": bot_user(),
            "content": self.content,
            "timestamp": "2026-01-01T00:00:00+00:00",
            "edited_timestamp": None,
            "tts": False,
            "mention_everyone": False,
            "mentions": [],
            "mention_roles": [],
            "attachments": [],
            "embeds": self.embeds,
            "pinned": False,
            "type": 20 if self.token else 0,
            "flags": flags,
            "components": self.components,
        }
