"""A message on the fake Discord, with everything it has said: `history[-1]` is what people see now."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from tests.fakes import discord_objects as objects
from tests.fakes.discord_objects import BOT_ID, forms, snowflake
from tests.fakes.discord_rules import COMPONENTS_V2, EPHEMERAL, SUPPRESS_EMBEDS
from tests.fakes.discord_world import Channel, Person

_LOADING, _HAS_THREAD = 1 << 7, 1 << 5
_MENTIONED = re.compile(r"<@!?(\d+)>")


@dataclass
class Message:
    channel: Channel
    token: str | None = None
    """Of the interaction it answers; None for an ordinary message."""
    ephemeral: bool = False
    loading: bool = False
    """The bot "is thinking"."""
    person: Person | None = None
    """Who wrote it, or, of an ephemeral one, for whom it is; None for the bot's own public ones."""
    webhook_id: str | None = None
    author_name: str = "personae"
    avatar_url: str | None = None
    reference: Message | None = None
    thread_id: str | None = None
    flags: int = 0
    deleted: bool = False
    history: list[str] = field(default_factory=list)
    embeds: list[Any] = field(default_factory=list)
    components: list[Any] = field(default_factory=list)
    attachments: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    pinged: list[Person] = field(default_factory=list)
    """People it mentions by being a reply to them."""
    pings_bot: bool = False
    """Likewise."""
    reactions: set[str] = field(default_factory=set)
    id: str = field(default_factory=snowflake)

    @property
    def channel_id(self) -> str:
        return self.channel.id

    @property
    def content(self) -> str:
        return self.history[-1] if self.history else ""

    @property
    def of_bot(self) -> bool:
        return self.person is None or self.ephemeral

    @property
    def text(self) -> str:
        """All that can be read on it: content, text displays, embeds."""
        shown = [part["content"] for part in forms(self.components) if part.get("type") == 10]
        shown += [embed.get("description") or "" for embed in self.embeds]
        return "\n".join(part for part in (self.content, *shown) if part)

    @property
    def buttons(self) -> list[str]:
        """What stands on the buttons that can be pressed: label, or else emoji."""
        return [
            part.get("label") or (part.get("emoji") or {}).get("name", "")
            for part in forms(self.components)
            if part.get("type") == 2 and not part.get("disabled")
        ]

    def control(self, sought: str) -> dict[str, Any]:
        """The button or menu with this custom id, label or emoji; it must be there and enabled."""
        for part in forms(self.components):
            names = {part.get("custom_id"), part.get("label"), part.get("placeholder")}
            if sought in names | {(part.get("emoji") or {}).get("name")}:
                assert part.get("custom_id"), f"{sought!r} opens an address, it can't be pressed"
                assert not part.get("disabled"), f"{sought!r} is disabled"
                return part
        raise AssertionError(f"there is no {sought!r} on {self.text[:60]!r}, but {self.buttons}")

    def write(self, body: dict[str, Any]) -> None:
        """Take over what a checked request body says; Discord trims white space around content."""
        if "content" in body:
            self.history.append((body["content"] or "").strip())
        for name in ("embeds", "components"):
            if body.get(name) is not None:
                setattr(self, name, body[name])
        if "flags" in body:
            kept = self.flags & COMPONENTS_V2  # which can be set and never taken back
            self.flags = (body["flags"] or 0) & (SUPPRESS_EMBEDS | COMPONENTS_V2) | kept
        self.loading = False

    def mentions(self, person_id: str) -> bool:
        replied = any(person.id == person_id for person in self.pinged)
        replied = replied or (self.pings_bot and person_id == BOT_ID)
        return replied or person_id in _MENTIONED.findall(self.content)

    def _author(self) -> dict[str, Any]:
        if self.webhook_id is not None and self.token is None:
            return objects.user(self.webhook_id, self.author_name, bot=True) | {
                "global_name": None,
                "avatar": None,
            }
        if self.of_bot or self.person is None:
            return objects.bot_user()
        return self.person.as_json()

    def as_json(self, *, readable: bool = True, deep: bool = True) -> dict[str, Any]:
        """The message object.

        Args:
            readable: False empties what Discord keeps from a bot without the message content
                intent, unless the message is its own, mentions it, or is a direct one.
            deep: with the message that this one answers.
        """
        open_to_bot = self.of_bot and self.webhook_id in (None, objects.APPLICATION_ID)
        readable = readable or open_to_bot or self.mentions(BOT_ID) or self.channel.guild is None
        flags = self.flags | (EPHEMERAL if self.ephemeral else 0) | (_LOADING * self.loading)
        mentioned = [person.as_json() for person in self.pinged]
        if self.mentions(BOT_ID):
            mentioned.append(objects.bot_user())
        data: dict[str, Any] = {
            "id": self.id,
            "channel_id": self.channel_id,
            "author": self._author(),
            "content": self.content if readable else "",
            "timestamp": "2026-01-01T00:00:00+00:00",
            "edited_timestamp": None,
            "tts": False,
            "mention_everyone": False,
            "mentions": mentioned,
            "mention_roles": [],
            "attachments": self.attachments if readable else [],
            "embeds": self.embeds if readable else [],
            "pinned": False,
            "type": 19 if self.reference else 20 if self.token else 0,
            "flags": flags | (_HAS_THREAD if self.thread_id else 0),
            "components": self.components if readable else [],
        }
        if self.webhook_id is not None:
            data |= {"webhook_id": self.webhook_id, "application_id": objects.APPLICATION_ID}
        if self.token is not None:
            data |= {"webhook_id": objects.APPLICATION_ID, "application_id": objects.APPLICATION_ID}
        if self.reference is not None:
            data["message_reference"] = {
                "type": 0,
                "channel_id": self.reference.channel_id,
                "message_id": self.reference.id,
            }
            if self.channel.guild_id:
                data["message_reference"]["guild_id"] = self.channel.guild_id
            if deep:
                gone = self.reference.deleted
                referenced = self.reference.as_json(readable=readable, deep=False)
                data["referenced_message"] = None if gone else referenced
        return data
