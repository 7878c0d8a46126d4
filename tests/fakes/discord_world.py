"""Servers, channels, threads, roles and people of the fake Discord, and who may do what where.

Permissions are computed as Discord computes them: @everyone, roles, then the channel's overwrites
for @everyone, roles and the member; an administrator may everything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.fakes import discord_objects as objects
from tests.fakes.discord_objects import (
    ADMINISTRATOR,
    BOT_ID,
    CHANNEL_ID,
    DM_CHANNEL_ID,
    EVERYTHING,
    GUILD_ID,
    PERSON_ID,
    PRIVATE_CHANNEL_ID,
    SECOND_CHANNEL_ID,
)

TEXT, DIRECT, GROUP, PUBLIC_THREAD = 0, 1, 3, 11

_EVERYONE = (
    objects.VIEW_CHANNEL
    | objects.SEND_MESSAGES
    | objects.READ_MESSAGE_HISTORY
    | objects.ADD_REACTIONS
    | objects.USE_APPLICATION_COMMANDS
)


@dataclass(frozen=True)
class Person:
    id: str
    name: str
    roles: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return objects.user(self.id, self.name)


ALICE = Person(PERSON_ID, "alice")
BOB = Person("4000000000000000043", "bob")
CAROL = Person("4000000000000000044", "carol", roles=("5000000000000000001",))
"""She has the role Librarians."""
LIBRARIANS = CAROL.roles[0]
_BOT_ROLE = "5000000000000000002"


@dataclass
class Channel:
    """A text channel, a thread (its `parent` is a channel) or a conversation outside of servers."""

    id: str
    type: int = TEXT
    guild: Guild | None = None
    name: str = "general"
    parent: Channel | None = None
    owner_id: str = ""
    overwrites: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """By role or member id: (0 for a role or 1 for a member, allowed, denied)."""
    archived: bool = False
    locked: bool = False
    message_count: int = 0
    typing: int = 0
    """So many times the bot said that it types."""

    @property
    def is_thread(self) -> bool:
        return self.parent is not None

    @property
    def guild_id(self) -> str | None:
        return self.guild.id if self.guild else None

    def as_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"id": self.id, "type": self.type}
        if self.guild is None:
            return data | {"recipients": [ALICE.as_json()], "last_message_id": None}
        data |= {"guild_id": self.guild.id, "name": self.name}
        if self.parent is None:
            overwrites = [
                {"id": target, "type": kind, "allow": str(allow), "deny": str(deny)}
                for target, (kind, allow, deny) in self.overwrites.items()
            ]
            return data | {
                "position": 0,
                "permission_overwrites": overwrites,
                "nsfw": False,
                "parent_id": None,
                "topic": None,
            }
        return data | {
            "parent_id": self.parent.id,
            "owner_id": self.owner_id,
            "message_count": self.message_count,
            "member_count": 1,
            "total_message_sent": self.message_count,
            "rate_limit_per_user": 0,
            "thread_metadata": {
                "archived": self.archived,
                "auto_archive_duration": 1440,
                "archive_timestamp": "2026-01-01T00:00:00+00:00",
                "locked": self.locked,
                "create_timestamp": "2026-01-01T00:00:00+00:00",
            },
        }


@dataclass
class Guild:
    id: str
    name: str
    bot_permissions: int
    channels: list[Channel] = field(default_factory=list)
    threads: list[Channel] = field(default_factory=list)
    owner_id: str = PERSON_ID
    joined: bool = True
    """Whether the bot is in it."""

    def roles(self) -> dict[str, tuple[str, int]]:
        """Name and permissions by id; @everyone has the guild's own id."""
        return {
            self.id: ("@everyone", _EVERYONE),
            LIBRARIANS: ("Librarians", 0),
            _BOT_ROLE: ("personae", self.bot_permissions),
        }

    def permissions(self, user_id: str, roles: tuple[str, ...], channel: Channel | None) -> int:
        known = self.roles()
        if user_id == BOT_ID:
            roles = (_BOT_ROLE,)
        granted = known[self.id][1]
        for role in roles:
            granted |= known[role][1] if role in known else 0
        if user_id == self.owner_id or granted & ADMINISTRATOR:
            return EVERYTHING
        overwrites = (channel.parent or channel).overwrites if channel else {}
        for group in ((self.id,), roles, (user_id,)):
            allow = deny = 0
            for target in group:
                allow |= overwrites.get(target, (0, 0, 0))[1]
                deny |= overwrites.get(target, (0, 0, 0))[2]
            granted = granted & ~deny | allow
        return granted if granted & objects.VIEW_CHANNEL else 0

    def as_json(self) -> dict[str, Any]:
        roles = [
            {
                "id": role,
                "name": name,
                "permissions": str(permissions),
                "position": position,
                "color": 0,
                "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
                "hoist": False,
                "managed": role == _BOT_ROLE,
                "mentionable": False,
                "flags": 0,
            }
            for position, (role, (name, permissions)) in enumerate(self.roles().items())
        ]
        return {
            "id": self.id,
            "name": self.name,
            "owner_id": self.owner_id,
            "roles": roles,
            "emojis": [],
            "features": [],
            "channels": [channel.as_json() for channel in self.channels],
            "members": [member(objects.bot_user(), (_BOT_ROLE,))],
            "member_count": 4,
            "threads": [thread.as_json() for thread in self.threads if not thread.archived],
            "voice_states": [],
            "presences": [],
            "unavailable": False,
            "large": False,
        }


def member(user: dict[str, Any] | None, roles: tuple[str, ...]) -> dict[str, Any]:
    data: dict[str, Any] = {
        "roles": list(roles),
        "joined_at": "2024-01-01T00:00:00+00:00",
        "deaf": False,
        "mute": False,
        "flags": 0,
    }
    return data if user is None else data | {"user": user}


class World:
    """`guilds` servers with two channels each, and two conversations outside of them."""

    def __init__(self, *, bot_permissions: int, guilds: int = 1) -> None:
        self.guilds: list[Guild] = []
        self._loose: dict[str, Channel] = {
            DM_CHANNEL_ID: Channel(DM_CHANNEL_ID, DIRECT),
            PRIVATE_CHANNEL_ID: Channel(PRIVATE_CHANNEL_ID, GROUP),
        }
        for number in range(guilds):
            # One shard apart from each other: Discord takes (id >> 22) modulo the shards.
            offset = number << 22
            guild = Guild(str(int(GUILD_ID) + offset), f"Readers {number + 1}", bot_permissions)
            for channel_id, name in ((CHANNEL_ID, "general"), (SECOND_CHANNEL_ID, "books")):
                guild.channels.append(
                    Channel(str(int(channel_id) + offset), guild=guild, name=name)
                )
            self.guilds.append(guild)

    def channel(self, channel_id: str) -> Channel | None:
        if channel_id in self._loose:
            return self._loose[channel_id]
        everywhere = [c for guild in self.guilds for c in (*guild.channels, *guild.threads)]
        return next((channel for channel in everywhere if channel.id == channel_id), None)

    def place(self, channel_id: str) -> Channel:
        """For a test's own ids, which exist."""
        channel = self.channel(channel_id)
        assert channel is not None, f"there is no channel {channel_id}"
        return channel

    def bot_may(self, channel: Channel) -> int:
        """The bot's permissions in a channel; 0 where it is not."""
        if channel.guild is None:
            return EVERYTHING if channel.type == DIRECT else 0
        if not channel.guild.joined:
            return 0
        return channel.guild.permissions(BOT_ID, (), channel)

    def take_away(self, channel: Channel) -> None:
        """A channel is deleted, and its threads with it."""
        guild = channel.guild
        assert guild is not None
        if channel in guild.channels:
            guild.channels.remove(channel)
        guild.threads = [t for t in guild.threads if t is not channel and t.parent is not channel]
