"""A channel of the fake Discord as a test looks at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fakes.discord_message import Message
from tests.fakes.discord_world import Channel

if TYPE_CHECKING:
    from tests.fakes.discord_platform import FakeDiscord


class ChannelView:
    def __init__(self, discord: FakeDiscord, channel: Channel) -> None:
        self._discord = discord
        self._channel = channel

    @property
    def messages(self) -> list[Message]:
        """All that is there, what only one person sees too."""
        everything = list(self._discord.messages.values())
        return [m for m in everything if m.channel is self._channel and not m.deleted]

    @property
    def of_bot(self) -> list[Message]:
        return [message for message in self.messages if message.of_bot]

    @property
    def text(self) -> str:
        """What the bot says there now, under whatever name."""
        return "\n".join(message.text for message in self.of_bot)

    @property
    def typing(self) -> int:
        return self._channel.typing

    async def shows(self, *fragments: str) -> str:
        """Wait until the bot's messages there hold every fragment; returns their text."""
        await self._discord.until(
            lambda: all(fragment in self.text for fragment in fragments),
            f"message with {fragments} in {self._channel.name} (there: {self.text!r})",
        )
        return self.text
