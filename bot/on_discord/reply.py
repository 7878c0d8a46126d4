"""Where one interaction is answered: a text of any length, kept equal to messages on Discord.

`open()` within three seconds, then `show(text)` as often as wanted; it writes only the pages that
differ. Discord takes edits by interaction token for 15 minutes; when the token is gone, the same
messages are edited as the bot's own, and where that is not allowed a new message goes to the
channel. `refuse()` says something to the one person who asked, and to nobody else if Discord lets us.

It knows nothing of answers or personas, and pings nobody.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import aiohttp
import discord

from bot.on_discord.pages import pages

log = logging.getLogger(__name__)

# Said with every message, although it is the client's default too: nothing here may depend on it.
NO_PINGS = discord.AllowedMentions.none()

NETWORK_ERRORS = (aiohttp.ClientError, OSError, TimeoutError)

_UNKNOWN_MESSAGE = 10008
_UNKNOWN_WEBHOOK = 10015
_UNKNOWN_INTERACTION = 10062
_ALREADY_ACKNOWLEDGED = 40060
_INVALID_WEBHOOK_TOKEN = 50027
_PAUSES_SECONDS = (0.5, 2.0)

T = TypeVar("T")


class AnsweredElsewhere(Exception):
    """Another process took this interaction: two bots run with one token, or Discord sent it twice."""


@dataclass
class _Page:
    message_id: int | None
    content: str = ""
    original: bool = False
    """The message Discord made when the interaction was acknowledged."""


class Reply:
    """One interaction's answer on Discord. Make it with `Reply.of`, so that all handlers share it."""

    def __init__(self, interaction: discord.Interaction) -> None:
        self._interaction = interaction
        self._pages: list[_Page] = []
        self._opened = False
        self._private = False
        self._by_channel = False
        self.over = False
        """Nothing can be shown any more: a person deleted the answer, or Discord takes it nowhere."""

    @classmethod
    def of(cls, interaction: discord.Interaction) -> Reply:
        reply = interaction.extras.get("reply")
        if not isinstance(reply, cls):
            reply = interaction.extras["reply"] = cls(interaction)
        return reply

    async def open(self, *, private: bool) -> None:
        """Tell Discord that an answer is coming ("… is thinking").

        Raises:
            AnsweredElsewhere: there is nothing left to do.
        """
        try:
            message_id = await self._acknowledge(private)
        except discord.NotFound as err:
            if err.code != _UNKNOWN_INTERACTION:
                raise
            log.warning("interaction %s: acknowledged too late", self._interaction.id)
            self._by_channel = True
        else:
            self._pages.append(_Page(message_id, original=True))
        self._opened = True
        self._private = private

    async def _acknowledge(self, private: bool) -> int | None:
        """The id of the message that says "thinking", if Discord told it."""
        tries = 0
        while True:
            tries += 1
            try:
                receipt = await self._interaction.response.defer(ephemeral=private, thinking=True)
            except NETWORK_ERRORS:
                # Mostly a kept connection that Discord closed meanwhile; there is time for another.
                if tries == 2:
                    raise
            except discord.HTTPException as err:
                if err.code != _ALREADY_ACKNOWLEDGED:
                    raise
                if tries == 1:
                    raise AnsweredElsewhere from err
                return None  # the try before this one arrived, only its reply was lost
            else:
                return receipt.message_id if receipt is not None else None

    async def show(self, text: str) -> None:
        """Make the messages say `text`, and nothing else.

        Raises:
            discord.DiscordException, or one of NETWORK_ERRORS: a page was not taken; the pages
                before it were, and the next `show` goes on from there.
        """
        wanted = pages(text)
        for number, content in enumerate(wanted):
            if self.over:
                return
            if number == len(self._pages):
                self._pages.append(_Page(await self._post(content), content))
            elif self._pages[number].content != content:
                page = self._pages[number]
                page.message_id = await self._edit(page, content)
                page.content = content
        while len(self._pages) > max(1, len(wanted)) and not self.over:
            await self._delete(self._pages[-1])
            self._pages.pop()

    async def refuse(self, sentence: str) -> None:
        """Say why there will be no answer, in place of it, to the person who asked."""
        if self.over:
            return
        if not self._opened:
            await self.open(private=True)
        if self._private or self._by_channel:
            await self.show(sentence)
        elif any(page.content for page in self._pages):
            await self._post(sentence, private=True)
        else:
            # "… is thinking" is public and can't be made private: it goes, a new message comes.
            if self._pages:
                await self._delete(self._pages.pop())
            await self._post(sentence, private=True)

    async def _post(self, content: str, *, private: bool = False) -> int | None:
        if not self._by_channel:
            try:
                message = await _persist(
                    lambda: self._interaction.followup.send(
                        content,
                        ephemeral=private or self._private,
                        allowed_mentions=NO_PINGS,
                        wait=True,
                    ),
                    # A post whose reply was lost may have arrived, so it is not sent again; one that
                    # met a closed connection did not.
                    again_on=(aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError),
                )
            except discord.HTTPException as err:
                self._leave_webhook(err)
            else:
                return message.id
        return await self._post_in_channel(content)

    async def _edit(self, page: _Page, content: str) -> int | None:
        """The id of the message that now holds the page."""
        if not self._by_channel:
            try:
                message = await _persist(lambda: self._edit_by_token(page, content))
            except discord.HTTPException as err:
                if err.code == _UNKNOWN_MESSAGE:
                    self._removed()
                    return page.message_id
                self._leave_webhook(err)
            else:
                return message.id
        return await self._edit_in_channel(page.message_id, content)

    async def _edit_by_token(self, page: _Page, content: str) -> discord.Message:
        if page.original or page.message_id is None:
            return await self._interaction.edit_original_response(
                content=content, allowed_mentions=NO_PINGS
            )
        return await self._interaction.followup.edit_message(
            page.message_id, content=content, allowed_mentions=NO_PINGS
        )

    async def _delete(self, page: _Page) -> None:
        """Take a page away where the token allows it; an empty "thinking" is no loss elsewhere."""
        if self._by_channel:
            return
        try:
            if page.original or page.message_id is None:
                await self._interaction.delete_original_response()
            else:
                await self._interaction.followup.delete_message(page.message_id)
        except discord.HTTPException as err:
            if err.code != _UNKNOWN_MESSAGE:
                self._leave_webhook(err)

    def _leave_webhook(self, err: discord.HTTPException) -> None:
        """Go on through the channel if the interaction's token is gone.

        Raises:
            discord.HTTPException: `err` itself, when it says something else.
        """
        if err.status != 401 and err.code not in (_INVALID_WEBHOOK_TOKEN, _UNKNOWN_WEBHOOK):
            raise err
        log.info("interaction %s: token is gone, going on in the channel", self._interaction.id)
        self._by_channel = True

    async def _edit_in_channel(self, message_id: int | None, content: str) -> int | None:
        channel = self._channel()
        if channel is not None and message_id is not None and not self._private:
            try:
                await channel.get_partial_message(message_id).edit(
                    content=content, allowed_mentions=NO_PINGS
                )
            except (discord.Forbidden, discord.NotFound) as err:
                if err.code == _UNKNOWN_MESSAGE:
                    self._removed()
                    return message_id
            else:
                return message_id
        return await self._post_in_channel(content)

    async def _post_in_channel(self, content: str) -> int | None:
        channel = self._channel()
        if self._private or channel is None:
            self._nowhere("it was meant for one person, or has no channel")
            return None
        try:
            message = await channel.send(content, allowed_mentions=NO_PINGS)
        except (discord.Forbidden, discord.NotFound) as err:
            self._nowhere(str(err))
            return None
        return message.id

    def _channel(self) -> discord.PartialMessageable | None:
        channel_id = self._interaction.channel_id
        if channel_id is None:
            return None
        return self._interaction.client.get_partial_messageable(channel_id)

    def _removed(self) -> None:
        log.info("interaction %s: a person deleted the answer", self._interaction.id)
        self.over = True

    def _nowhere(self, why: str) -> None:
        log.warning("interaction %s: can't be answered: %s", self._interaction.id, why)
        self.over = True


async def _persist(
    send: Callable[[], Awaitable[T]],
    *,
    again_on: tuple[type[Exception], ...] = NETWORK_ERRORS,
) -> T:
    """Send once more, and once more, over a connection that breaks."""
    for pause_seconds in _PAUSES_SECONDS:
        try:
            return await send()
        except again_on:
            await asyncio.sleep(pause_seconds)
    return await send()
