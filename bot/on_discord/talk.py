"""What people ask for becomes an `Order` with a place to show it, and goes to the desk.

In: interactions and messages, acknowledged or not, and what was wanted. It decides how much room an answer
has where it was asked for. Errors are left to the client's central handler.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import replace

import discord

from bot.core.delivery import SHOWS_QUESTION
from bot.core.desk import AnswerResult, Desk
from bot.core.order import Order, Strength, Task
from bot.core.people import Place
from bot.on_discord.arrival import acknowledge
from bot.on_discord.layout import Beyond, Room
from bot.on_discord.outlets import ChannelOutlet, Outlet
from bot.on_discord.people import (
    author_of,
    only_installed_by_user,
    person_of,
    place_of,
    place_of_message,
)
from bot.on_discord.surface import DiscordSurface, Page, Shared, pages_of
from bot.state.records import AnswerRecord
from personae.errors import PersonaeError

log = logging.getLogger(__name__)

_IN_CHANNEL, _ALONE, _PRIVATE = 3, 5, 3
_SETTLING_SECONDS = 60.0


class Talk:
    """Between Discord's events and the desk."""

    def __init__(self, desk: Desk, shared: Shared) -> None:
        self.desk = desk
        self.shared = shared
        self._under_way: dict[DiscordSurface, asyncio.Event] = {}

    async def order(
        self,
        interaction: discord.Interaction,
        task: Task,
        text: str,
        *,
        persona: str | None,
        private: bool,
        strength: Strength = "normal",
        about: str = "",
    ) -> None:
        """Answer a command or a sent modal.

        Args:
            about: id of the message that the question is about.

        Raises:
            AnsweredElsewhere, TooLate: nobody is there to be answered.
        """
        surface = await self.surface(interaction, private=private, title=text)
        order = Order(
            event=event_of(interaction),
            task=task,
            person=person_of(interaction),
            place=place_of(interaction),
            text=text,
            persona=(persona or "").strip() or None,
            private=private,
            strength=strength,
            shows_question=task == "ask" and not private,
            extra={"message": about} if about else {},
        )
        await self._answer(order, surface)

    async def reply(self, message: discord.Message, text: str, persona: str | None) -> None:
        """Answer a message that somebody wrote to the bot."""
        place = place_of_message(message)
        order = Order(
            event=f"discord:{message.id}",
            task="ask",
            person=author_of(message),
            place=place,
            text=text,
            persona=persona,
            remembers=True,
            extra={"message": str(message.id)},
        )
        surface = DiscordSurface(
            self.shared,
            ChannelOutlet(self.shared.client, message.channel.id, reply_to=message.id),
            channel_id=int(place.channel),
            thread_id=int(place.thread) if place.thread else None,
            room=_room(place, _bot_may(message)),
            title=text,
            typing=True,
            answers_to=message.jump_url,
        )
        await self._answer(order, surface)

    async def go_on(self, answer_id: str, place: Place) -> AnswerRecord | None:
        """Let a conversation go on from an answer that was given outside of it; what is kept of that."""
        record = await self.desk.record(answer_id)
        if record is not None:
            try:
                await self.desk.conversations.take_over(place, record)
            except PersonaeError as err:
                log.warning("a conversation does not remember an answer: %s", err)
        return record

    async def settled(self, thread_id: int) -> None:
        """Wait for an answer that still goes on in a thread, so that what follows there knows it."""
        for surface, ended in list(self._under_way.items()):
            if surface.continued_in == thread_id:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), _SETTLING_SECONDS)

    async def _answer(self, order: Order, surface: DiscordSurface) -> None:
        ended = self._under_way[surface] = asyncio.Event()
        try:
            result = await self.desk.answer(order, surface)
            noted(order.event, result)
            if surface.continued_in is not None and result.id:
                thread = str(surface.continued_in)
                await self.go_on(result.id, replace(order.place, thread=thread))
        finally:
            del self._under_way[surface]
            ended.set()

    async def surface(
        self, interaction: discord.Interaction, *, private: bool, title: str = ""
    ) -> DiscordSurface:
        """Acknowledge, and give the place to show an answer in.

        Raises:
            AnsweredElsewhere, TooLate: nobody is there to be answered.
        """
        outlet = await acknowledge(interaction, private=private, claimed=True)
        return self.surface_over(interaction, outlet, title=title)

    def surface_over(
        self, interaction: discord.Interaction, outlet: Outlet, *, title: str = ""
    ) -> DiscordSurface:
        place = place_of(interaction)
        visitor = only_installed_by_user(interaction)
        room = Room(_PRIVATE, "file")
        if not outlet.private and not visitor:
            room = _room(place, interaction.app_permissions)
        return DiscordSurface(
            self.shared,
            outlet,
            channel_id=int(place.channel or 0),
            thread_id=int(place.thread) if place.thread else None,
            room=room,
            title=title,
            named=place.server is not None and not visitor,
        )

    async def reopened(self, record: AnswerRecord) -> DiscordSurface | None:
        """The surface of an answer of an earlier process; None where only a token could reach it."""
        found = await self.pages(record)
        if not found:
            return self._reply_anew(record)
        reference: Mapping[str, str] = record.reference
        thread = reference.get("thread")
        return DiscordSurface(
            self.shared,
            found[0].outlet,
            channel_id=int(reference["channel"]),
            thread_id=int(thread) if thread else None,
            room=Room(_ALONE, "file"),
            pages=found,
            named=False,
        )

    def _reply_anew(self, record: AnswerRecord) -> DiscordSurface | None:
        """For a message that was to be answered, and of whose answer nothing was to be seen yet."""
        question = record.extra.get("message")
        if question is None or record.private or record.reference or SHOWS_QUESTION in record.extra:
            return None
        place = int(record.thread or record.channel)
        return DiscordSurface(
            self.shared,
            ChannelOutlet(self.shared.client, place, reply_to=int(question)),
            channel_id=int(record.channel),
            thread_id=int(record.thread) if record.thread else None,
            room=Room(_ALONE, "file"),
            named=False,
        )

    async def pages(self, record: AnswerRecord) -> list[Page]:
        """The messages of an answer that can be reached without a token."""
        reference: Mapping[str, str] = record.reference
        if not reference.get("messages"):
            return []
        channel = int(reference["channel"])
        webhook = None
        if "w" in reference["ways"]:
            thread = reference.get("thread")
            webhook = await self.shared.names.outlet(
                channel, int(thread) if thread else None, None, None
            )
        return pages_of(self.shared, reference, webhook)


def event_of(interaction: discord.Interaction) -> str:
    return f"discord:{interaction.id}"


def noted(event: str, result: AnswerResult) -> None:
    log.info("%s: %s%s", event, result.outcome, f" ({result.id})" if result.id else "")


def _room(place: Place, granted: discord.Permissions) -> Room:
    if place.thread is not None or place.direct:
        return Room(_ALONE, "file")
    threads = granted.create_public_threads and granted.send_messages_in_threads
    beyond: Beyond = "thread" if threads and place.server is not None else "file"
    return Room(_IN_CHANNEL, beyond)


def _bot_may(message: discord.Message) -> discord.Permissions:
    channel = message.channel
    if message.guild is None or not isinstance(channel, discord.abc.GuildChannel | discord.Thread):
        return discord.Permissions.none()
    return channel.permissions_for(message.guild.me)
