"""One use of a command on the fake Discord: what the bot made of it, and what may happen to it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tests.fakes.discord_objects import Message, snowflake

if TYPE_CHECKING:
    from tests.fakes.discord_platform import FakeDiscord


class Interaction:
    """One use of a command, seen from the person's side."""

    def __init__(self, discord: FakeDiscord, kind: int, channel_id: str) -> None:
        self.discord = discord
        self.kind = kind
        self.channel_id = channel_id
        self.id = snowflake()
        self.token = f"token-{snowflake()}"
        self.began = time.monotonic()
        self.acknowledged_with: int | None = None
        self.original: Message | None = None
        self.choices: list[dict[str, Any]] | None = None
        self.calls: list[str] = []
        """What the bot sent for this interaction, such as "PATCH @original"."""
        self.expired = False

    @property
    def messages(self) -> list[Message]:
        """What can be seen now: the messages of this interaction, in order."""
        everything = self.discord.messages.values()
        return [m for m in everything if m.token == self.token and not m.deleted]

    @property
    def text(self) -> str:
        return "\n".join(message.content for message in self.messages)

    @property
    def private(self) -> bool:
        """Whether all of it is for the caller's eyes only."""
        return bool(self.messages) and all(message.ephemeral for message in self.messages)

    @property
    def edits(self) -> int:
        return sum(call.startswith("PATCH") for call in self.calls)

    @property
    def pings(self) -> set[str]:
        return self.discord.pings

    async def shows(self, *fragments: str) -> str:
        """Wait until every fragment can be read in the interaction's messages; returns their text."""
        await self.discord.until(
            lambda: all(fragment in self.text for fragment in fragments),
            f"an answer with {fragments}",
            self,
        )
        return self.text

    async def acknowledged(self) -> None:
        await self.discord.until(
            lambda: self.acknowledged_with is not None, "acknowledgement", self
        )

    async def choices_shown(self) -> list[dict[str, Any]]:
        """The suggestions of an autocomplete interaction."""
        await self.discord.until(lambda: self.choices is not None, "suggestions", self)
        return self.choices or []

    async def expire(self) -> None:
        """Let Discord forget the token, as it does after 15 minutes."""

        async def forget() -> None:
            self.expired = True

        await self.discord.do(forget())

    async def delete(self) -> None:
        """A moderator removes what was answered so far."""

        async def remove() -> None:
            for message in self.messages:
                message.deleted = True

        await self.discord.do(remove())
