"""Who asks and where: people and places as every platform has them. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Platform = Literal["discord", "slack"]


@dataclass(frozen=True)
class Person:
    """Somebody who uses the bot.

    Attributes:
        id: the platform's own.
        server: id of the Discord server or Slack workspace they act in; None in a Discord DM.
        roles: ids of their roles there (Discord roles; Slack user groups where known).
        manages: whether the platform's own permissions let them manage the server.
        locale: as the platform tells it, for example "de" or "en-US".
    """

    platform: Platform
    id: str
    name: str
    server: str | None = None
    roles: frozenset[str] = frozenset()
    manages: bool = False
    locale: str = "en"

    @property
    def key(self) -> str:
        """Opaque id for limits and storage: what the gateway gets as `user`."""
        server = f"{self.server}:" if self.platform == "slack" else ""
        return f"{self.platform}:{server}{self.id}"


@dataclass(frozen=True)
class Place:
    """Where something is said.

    Attributes:
        server: Discord server or Slack workspace; None in a Discord DM.
        channel: the channel; for a Discord thread its parent, so that settings of the channel hold in it.
        thread: id of the conversation in it: a Discord thread, a Slack thread_ts, or None.
        direct: a conversation with the bot alone.
    """

    platform: Platform
    server: str | None
    channel: str
    thread: str | None = None
    direct: bool = False

    @property
    def conversation(self) -> str:
        """Names the memory that belongs here."""
        return ":".join([self.platform, self.server or "", self.channel, self.thread or ""])
