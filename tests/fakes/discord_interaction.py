"""One use of a command, button, menu or modal on the fake Discord, seen from the person's side."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tests.fakes.discord_message import Message
from tests.fakes.discord_objects import snowflake
from tests.fakes.discord_world import Channel, Person

if TYPE_CHECKING:
    from tests.fakes.discord_platform import FakeDiscord


class Interaction:
    """What the bot made of it, and what may happen to it.

    Attributes:
        source: the message whose button was pressed, or from which its modal came.
        calls: what the bot sent for it, such as "PATCH @original".
        acknowledged_after: seconds.
        doubly_answered: so often a second first response was tried.
    """

    def __init__(
        self,
        discord: FakeDiscord,
        kind: int,
        channel: Channel,
        person: Person,
        *,
        source: Message | None = None,
        user_install: bool = False,
    ) -> None:
        self.discord = discord
        self.kind = kind
        self.channel = channel
        self.person = person
        self.source = source
        self.user_install = user_install
        self.id = snowflake()
        self.token = f"token-{snowflake()}"
        self.began = time.monotonic()
        self.acknowledged_with: int | None = None
        self.acknowledged_after: float | None = None
        self.doubly_answered = 0
        self.original: Message | None = None
        self.choices: list[dict[str, Any]] | None = None
        self.modal: dict[str, Any] | None = None
        self.calls: list[str] = []
        self.follow_ups = 0
        self.expired = False

    @property
    def channel_id(self) -> str:
        return self.channel.id

    @property
    def messages(self) -> list[Message]:
        """What can be seen now: the messages of this interaction, in order."""
        everything = list(self.discord.messages.values())
        return [m for m in everything if m.token == self.token and not m.deleted]

    @property
    def text(self) -> str:
        return "\n".join(message.text for message in self.messages)

    @property
    def private(self) -> bool:
        """Whether all of it is for the caller's eyes only."""
        return bool(self.messages) and all(message.ephemeral for message in self.messages)

    @property
    def updated(self) -> bool:
        """Whether it changed the message it came from."""
        return self.acknowledged_with in (6, 7)

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

    async def modal_shown(self) -> dict[str, Any]:
        """The window the person was asked to fill in."""
        await self.discord.until(lambda: self.modal is not None, "modal", self)
        return self.modal or {}

    async def expire(self) -> None:
        """Let Discord forget the token, as it does after 15 minutes."""

        async def forget() -> None:
            self.expired = True

        await self.discord.do(forget())

    async def delete(self) -> None:
        """A moderator removes what was answered so far."""
        await self.discord.remove(*self.messages)
