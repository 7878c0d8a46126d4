"""Ways to put one message on Discord: by an interaction's token, as a message in a channel, by a webhook.

All take a `Part` and name the message by its id. They tell two ends apart, which look alike on the wire:
`Removed`, a person took the message away, and `Closed`, this way is shut and another may be open. Everything
else that goes wrong is raised as it is. They know nothing of answers, and ping nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import aiohttp
import discord

from bot.on_discord.buttons import buttons
from bot.on_discord.layout import Part

if TYPE_CHECKING:
    from bot.on_discord.names import Names

# Said with every message, although it is the client's default too: nothing here may depend on it.
NO_PINGS = discord.AllowedMentions.none()

NETWORK_ERRORS = (aiohttp.ClientError, OSError, TimeoutError)

UNKNOWN_INTERACTION = 10062
ALREADY_ACKNOWLEDGED = 40060
_UNKNOWN_CHANNEL = 10003
_UNKNOWN_MESSAGE = 10008
_UNKNOWN_WEBHOOK = 10015
_TOO_MANY_OLD_EDITS = 30046
_FOLLOW_UPS_USED_UP = 40094
_INVALID_WEBHOOK_TOKEN = 50027
_CLOSING = {
    _UNKNOWN_CHANNEL,
    _UNKNOWN_WEBHOOK,
    _TOO_MANY_OLD_EDITS,
    _FOLLOW_UPS_USED_UP,
    _INVALID_WEBHOOK_TOKEN,
}
_PAUSES_SECONDS = (0.5, 2.0)

T = TypeVar("T")


class Removed(Exception):
    """A person took the message away."""


class Closed(Exception):
    """This way is shut; the text says why."""


class Outlet(Protocol):
    """One way to show messages."""

    @property
    def private(self) -> bool:
        """Whether one person only sees what goes out here."""
        ...

    @property
    def through(self) -> str:
        """What its edits are counted by; see `pace`."""
        ...

    async def post(self, part: Part) -> int | None:
        """A new message's id, if Discord tells it."""
        ...

    async def edit(self, message_id: int | None, part: Part) -> None: ...

    async def delete(self, message_id: int | None) -> None: ...

    def next(self) -> Outlet | None:
        """Where to go on when this way is shut."""
        ...


class ChannelOutlet:
    """Messages of the bot's own in a channel or thread; the first one answers `reply_to`."""

    private = False

    def __init__(
        self, client: discord.Client, channel_id: int, *, reply_to: int | None = None
    ) -> None:
        self._channel = client.get_partial_messageable(channel_id)
        self._reply_to = reply_to
        self.channel_id = channel_id

    @property
    def through(self) -> str:
        return f"channels/{self.channel_id}"

    async def post(self, part: Part) -> int | None:
        # By the nonce Discord knows a message that it has already: sent again, it is not doubled.
        nonce = secrets.token_hex(12)
        extra: dict[str, Any] = {}
        if self._reply_to is not None:
            extra["reference"] = discord.MessageReference(
                message_id=self._reply_to, channel_id=self.channel_id, fail_if_not_exists=False
            )
            extra["mention_author"] = False

        async def send() -> discord.Message:
            return await self._channel.send(
                nonce=nonce, allowed_mentions=NO_PINGS, **_new(part), **extra
            )

        message = await _through(lambda: persist(send))
        self._reply_to = None
        return message.id

    async def edit(self, message_id: int | None, part: Part) -> None:
        if message_id is None:
            raise Closed("the message's id is not known")
        message = self._channel.get_partial_message(message_id)
        await _through(
            lambda: persist(lambda: message.edit(allowed_mentions=NO_PINGS, **_changed(part)))
        )

    async def delete(self, message_id: int | None) -> None:
        if message_id is not None:
            message = self._channel.get_partial_message(message_id)
            await _through(lambda: persist(message.delete))

    def next(self) -> Outlet | None:
        return None


class TokenOutlet:
    """Answers to one interaction, for the 15 minutes that its token lives.

    Args:
        original: the message that came with the acknowledgement ("… is thinking"), or that the pressed
            button belongs to; the first post fills it. None: posts are messages of their own.
        ours: whether we acknowledged, or have claimed the event since. Else another process may be about to
            fill "… is thinking", and it is not for us to withdraw.
        fall_back: where to go on when the token is gone; None where the bot itself is not.
    """

    def __init__(
        self,
        interaction: discord.Interaction,
        *,
        private: bool,
        has_original: bool,
        original: int | None = None,
        ours: bool = True,
        fall_back: Outlet | None = None,
    ) -> None:
        self.ours = ours
        self._interaction = interaction
        self._original = original
        self._unfilled = has_original
        self._has_original = has_original
        self._fall_back = fall_back
        self.private = private

    @property
    def through(self) -> str:
        return f"webhooks/{self._interaction.application_id}/{self._interaction.token}"

    @property
    def original(self) -> int | None:
        """The message of the acknowledgement, where Discord told its id."""
        return self._original if self._has_original else None

    @property
    def waits(self) -> bool:
        """Whether people see "… is thinking" and nothing else, and will until we do something."""
        return self._unfilled and self.ours

    async def post(self, part: Part) -> int | None:
        if self._unfilled:
            await self.edit(self._original, part)
            self._unfilled = False
            return self._original

        async def send() -> discord.WebhookMessage:
            return await self._interaction.followup.send(
                ephemeral=self.private, allowed_mentions=NO_PINGS, wait=True, **_new(part)
            )

        # A post whose reply was lost may have arrived, so it is not sent again; one that met a
        # closed connection did not.
        met_nobody = (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError)
        message = await _through(lambda: persist(send, again_on=met_nobody))
        return message.id

    async def edit(self, message_id: int | None, part: Part) -> None:
        if message_id is None or (self._has_original and message_id == self._original):
            message = await _through(
                lambda: persist(
                    lambda: self._interaction.edit_original_response(
                        allowed_mentions=NO_PINGS, **_changed(part)
                    )
                )
            )
            self._original = message.id
            return
        await _through(
            lambda: persist(
                lambda: self._interaction.followup.edit_message(
                    message_id, allowed_mentions=NO_PINGS, **_changed(part)
                )
            )
        )

    async def delete(self, message_id: int | None) -> None:
        if message_id is None or (self._has_original and message_id == self._original):
            await _through(lambda: persist(self._interaction.delete_original_response))
        else:
            await _through(
                lambda: persist(lambda: self._interaction.followup.delete_message(message_id))
            )

    async def withdraw(self) -> None:
        """Take "… is thinking" away."""
        self._unfilled = False
        await self.delete(self._original)

    async def aside(self, part: Part) -> None:
        """Say something to the one person who asked, beside what is here."""
        await _through(
            lambda: persist(
                lambda: self._interaction.followup.send(
                    ephemeral=True, allowed_mentions=NO_PINGS, wait=True, **_new(part)
                ),
                again_on=(aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError),
            )
        )

    def next(self) -> Outlet | None:
        return None if self.private else self._fall_back


class WebhookOutlet:
    """Messages under a persona's own name and picture, by the channel's webhook."""

    private = False

    def __init__(
        self,
        names: Names,
        webhook: discord.Webhook,
        channel_id: int,
        *,
        name: str | None = None,
        picture: str | None = None,
        thread_id: int | None = None,
        fall_back: Outlet | None = None,
    ) -> None:
        self._names = names
        self._webhook = webhook
        self._named = {"username": name, "avatar_url": picture}
        self._thread = discord.Object(thread_id) if thread_id is not None else None
        self._fall_back = fall_back
        self.channel_id = thread_id or channel_id
        self._parent_id = channel_id

    @property
    def through(self) -> str:
        return f"webhooks/{self._webhook.id}/{self._webhook.token}"

    async def post(self, part: Part) -> int | None:
        extra: dict[str, Any] = {name: value for name, value in self._named.items() if value}
        extra |= _new(part) | self._where()

        async def send() -> discord.WebhookMessage:
            return await self._webhook.send(allowed_mentions=NO_PINGS, wait=True, **extra)

        met_nobody = (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError)
        message = await self._known(lambda: persist(send, again_on=met_nobody))
        return message.id

    async def edit(self, message_id: int | None, part: Part) -> None:
        if message_id is None:
            raise Closed("the message's id is not known")
        await self._known(
            lambda: persist(
                lambda: self._webhook.edit_message(
                    message_id, allowed_mentions=NO_PINGS, **_changed(part), **self._where()
                )
            )
        )

    async def delete(self, message_id: int | None) -> None:
        if message_id is not None:
            await self._known(
                lambda: persist(lambda: self._webhook.delete_message(message_id, **self._where()))
            )

    def next(self) -> Outlet | None:
        return self._fall_back

    def in_thread(self, thread_id: int) -> WebhookOutlet:
        """The same speaker in a thread of this channel."""
        return WebhookOutlet(
            self._names,
            self._webhook,
            self._parent_id,
            name=self._named["username"],
            picture=self._named["avatar_url"],
            thread_id=thread_id,
            fall_back=self._fall_back,
        )

    def _where(self) -> dict[str, Any]:
        return {"thread": self._thread} if self._thread is not None else {}

    async def _known(self, send: Callable[[], Awaitable[T]]) -> T:
        try:
            return await _through(send)
        except Closed:
            self._names.forget(self._parent_id)
            raise


def _new(part: Part) -> dict[str, Any]:
    """The arguments of a new message."""
    made: dict[str, Any] = {"content": part.content}
    view = part.components or buttons(part.controls, part.answer_id, part.locale)
    if view is not None:
        made["view"] = view
    if part.file:
        made["files"] = [_file(part)]
    return made


def _changed(part: Part) -> dict[str, Any]:
    """The arguments of an edit: what is not there any more goes."""
    changed: dict[str, Any] = {
        "content": part.content,
        "view": part.components or buttons(part.controls, part.answer_id, part.locale),
    }
    if part.file:
        changed["attachments"] = [_file(part)]
    return changed


def _file(part: Part) -> discord.File:
    return discord.File(io.BytesIO(part.file.encode("utf-8", "replace")), filename=part.file_name)


async def _through(send: Callable[[], Awaitable[T]]) -> T:
    """`send()`, its ends told apart.

    Raises:
        Removed, Closed: see there.
        discord.HTTPException: it says something else.
    """
    try:
        return await send()
    except discord.HTTPException as err:
        if err.code == _UNKNOWN_MESSAGE:
            raise Removed from err
        if err.status in (401, 403) or err.code in _CLOSING or isinstance(err, discord.NotFound):
            raise Closed(f"{err.status} {err.code}") from err
        raise


async def persist(
    send: Callable[[], Coroutine[Any, Any, T]],
    *,
    again_on: tuple[type[Exception], ...] = (*NETWORK_ERRORS, discord.DiscordServerError),
) -> T:
    """Send once more, and once more, over a connection that breaks or to a Discord that stumbles.

    Each try goes on to its end even if the caller is cancelled meanwhile: a request cancelled half-way
    leaves discord.py's lock for its route taken, and everything after it would wait for ever.
    """
    for pause_seconds in _PAUSES_SECONDS:
        try:
            return await _whole(send())
        except again_on:
            await asyncio.sleep(pause_seconds)
    return await _whole(send())


async def _whole(work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.create_task(work, name="discord-request")
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with contextlib.suppress(Exception):
            await task  # a second cancellation ends the request itself
        raise
