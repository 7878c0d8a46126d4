"""One answer on Discord: a `Surface` that keeps messages equal to the newest `View`.

It decides which messages have to be written, through which `Outlet`, and where to go on when one is shut;
`layout` says what stands in them. Pages that did not change are left alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import discord

from bot.core.sentences import speaker
from bot.core.surface import View
from bot.on_discord.layout import Part, Room, parts
from bot.on_discord.markdown import shortened
from bot.on_discord.names import Names
from bot.on_discord.outlets import (
    NETWORK_ERRORS,
    ChannelOutlet,
    Closed,
    Outlet,
    Removed,
    TokenOutlet,
    WebhookOutlet,
)
from bot.on_discord.pace import Pace

log = logging.getLogger(__name__)

_THREAD_NAME_CHARACTERS = 90
_THREAD_ARCHIVE_MINUTES: Literal[1440] = 1440
_TYPING_SECONDS = 8.0


@dataclass
class Shared:
    """What all surfaces of a bot have in common.

    `withdrawn` holds the ids of messages that the bot itself takes away, so that the event that tells of
    it is not taken for a person's doing.
    """

    client: discord.Client
    names: Names
    pace: Pace
    withdrawn: set[int] = field(default_factory=set)

    def withdraw(self, message_id: int | None) -> None:
        if len(self.withdrawn) > 1000:
            self.withdrawn.clear()
        if message_id is not None:
            self.withdrawn.add(message_id)


@dataclass
class Page:
    """A message of the answer. `part` None: what it says is not known (after a restart)."""

    outlet: Outlet
    message_id: int | None
    part: Part | None = None


class DiscordSurface:
    """Where one answer is shown.

    Args:
        channel_id: the channel, or the parent of the thread it is in.
        thread_id: the thread it is in.
        title: of a thread that is begun because the answer is long.
        typing: whether to show "… is typing" until something is shown.
        answers_to: address of the question's message, for a persona under its own name: a webhook's
            message can't be a reply.
    """

    def __init__(
        self,
        shared: Shared,
        outlet: Outlet,
        *,
        channel_id: int,
        thread_id: int | None = None,
        room: Room | None = None,
        title: str = "",
        typing: bool = False,
        pages: list[Page] | None = None,
        named: bool = True,
        answers_to: str = "",
    ) -> None:
        self._shared = shared
        self._outlet = outlet
        self._channel_id = channel_id
        self._thread_id = thread_id
        self._room = room or Room()
        self._title = title
        self._types = typing
        self._typing: asyncio.Task[None] | None = None
        self._pages = pages or []
        self._may_be_named = named
        self._answers_to = answers_to
        self._new_thread: Outlet | None = None
        self._new_thread_id: int | None = None
        self._one_at_a_time = asyncio.Lock()
        self._gone = False
        self._ended = False

    @property
    def gone(self) -> bool:
        return self._gone

    @property
    def reference(self) -> dict[str, str]:
        if not self._pages:
            return self._acknowledgement
        told = {
            "channel": str(self._channel_id),
            "messages": " ".join(str(page.message_id or 0) for page in self._pages),
            "ways": " ".join(_way(page) for page in self._pages),
        }
        if self._thread_id is not None:
            told["thread"] = str(self._thread_id)
        if self._new_thread_id is not None:
            told["new_thread"] = str(self._new_thread_id)
        return told

    @property
    def continued_in(self) -> int | None:
        """The thread that was begun because the answer is long."""
        return self._new_thread_id

    @property
    def _acknowledgement(self) -> dict[str, str]:
        """Where "… is thinking" stands, if others than who asked can see it."""
        outlet = self._outlet
        if not isinstance(outlet, TokenOutlet) or outlet.private or outlet.original is None:
            return {}
        told = {"channel": str(self._channel_id), "messages": str(outlet.original), "ways": "c"}
        return told | ({"thread": str(self._thread_id)} if self._thread_id is not None else {})

    def _takes_over(self) -> None:
        """Whoever shows something has claimed the event, so what Discord shows of it is theirs."""
        if isinstance(self._outlet, TokenOutlet):
            self._outlet.ours = True

    async def wait(self) -> None:
        self._takes_over()
        if self._types and self._typing is None:
            self._typing = asyncio.create_task(self._type(), name="typing")

    async def show(self, view: View) -> None:
        async with self._one_at_a_time:
            if self._gone or (self._ended and not view.ended):
                return
            self._takes_over()
            self._ended = view.ended
            self._stop_typing()
            if view.phase == "failed" and await self._refused(view):
                return
            if view.speaker is not None and self._may_be_named and not self._outlet.private:
                await self._take_name(view)
            if (
                not view.ended
                and self._pages
                and not self._shared.pace.has_room(self._pages[-1].outlet.through)
            ):
                return  # the last edit must not have to wait; what is left out comes with the next
            try:
                await self._bring(view)
            except (discord.DiscordException, *NETWORK_ERRORS):
                if view.ended:
                    await self._apologize(view)
                raise

    async def close(self) -> None:
        self._stop_typing()
        if isinstance(self._outlet, TokenOutlet) and self._outlet.waits and not self._gone:
            # Nothing was ever shown: "… is thinking" would stand there for a quarter of an hour.
            with contextlib.suppress(Removed, Closed, discord.DiscordException, *NETWORK_ERRORS):
                await self._outlet.withdraw()

    # --- what is shown ------------------------------------------------------------------------------

    async def _bring(self, view: View) -> None:
        wanted = self._parts(view)
        if any(part.in_thread for part in wanted) and not await self._begin_thread(wanted[0]):
            self._room = Room(self._room.most_pages, "file")
            wanted = self._parts(view)
        for number, part in enumerate(wanted):
            if self._gone:
                return
            if number == len(self._pages):
                await self._post(part)
            elif self._pages[number].part != part:
                await self._edit(self._pages[number], part)
        if len(self._pages) > len(wanted) and not self._gone:
            too_many, self._pages = self._pages[len(wanted) :], self._pages[: len(wanted)]
            await take_away(self._shared, too_many)

    def _parts(self, view: View, *, named: bool = False) -> list[Part]:
        built = parts(view, self._room)
        if self._answers_to and (named or isinstance(self._outlet, WebhookOutlet)):
            built[0] = replace(built[0], content=f"-# ↪ <{self._answers_to}>\n{built[0].content}")
        return built

    async def _post(self, part: Part) -> None:
        outlet: Outlet | None = self._outlet
        if part.in_thread and self._new_thread is not None:
            outlet = self._new_thread
        while outlet is not None:
            try:
                message_id = await outlet.post(part)
            except Removed:
                self._removed()
                return
            except Closed as why:
                outlet = self._after(outlet, why)
            else:
                self._pages.append(Page(outlet, message_id, part))
                return
        self._nowhere()

    async def _edit(self, page: Page, part: Part) -> None:
        outlet: Outlet | None = page.outlet
        while outlet is not None:
            try:
                await outlet.edit(page.message_id, part)
            except Removed:
                self._removed()
                return
            except Closed as why:
                following = self._after(outlet, why)
                if following is None and isinstance(outlet, ChannelOutlet):
                    await self._say_anew(page, outlet, part)
                    return
                outlet = following
            else:
                page.outlet, page.part = outlet, part
                return
        self._nowhere()

    async def _say_anew(self, page: Page, outlet: ChannelOutlet, part: Part) -> None:
        """A message that can't be edited: say it in another one."""
        try:
            page.message_id = await outlet.post(part)
        except (Closed, Removed):
            self._nowhere()
        else:
            page.part = part

    def _after(self, outlet: Outlet, why: Closed) -> Outlet | None:
        following = outlet.next()
        log.info("%s is shut (%s)", type(outlet).__name__, why)
        if self._outlet is outlet and following is not None:
            self._outlet = following
        return following

    # --- special ways -------------------------------------------------------------------------------

    async def _refused(self, view: View) -> bool:
        """Say privately why there is no answer, where Discord can and nothing public says it."""
        outlet = self._outlet
        if not isinstance(outlet, TokenOutlet) or self._pages:
            return False
        part = self._parts(view)[0]
        try:
            if outlet.private or not view.private:
                return False
            # "… is thinking" is public and can't be made private: it goes, a new message comes.
            if outlet.waits:
                await outlet.withdraw()
            await outlet.aside(part)
        except (Removed, Closed) as why:
            log.info("a refusal could not be told privately: %r", why)
            return False
        return True

    async def _apologize(self, view: View) -> None:
        """Discord does not take the end of an answer: say at least that it went wrong."""
        part = Part(speaker(view.locale)("unexpected"))
        outlet = self._outlet
        try:
            if not isinstance(outlet, TokenOutlet):
                await outlet.post(part)
                return
            if outlet.waits:
                with contextlib.suppress(Removed, Closed, discord.DiscordException):
                    await outlet.withdraw()
            await outlet.aside(part)
        except (Removed, Closed, discord.DiscordException, *NETWORK_ERRORS) as err:
            log.warning("nobody could be told that an answer was not taken: %r", err)

    async def _take_name(self, view: View) -> None:
        """From the first word on, speak under the persona's name, where that works."""
        self._may_be_named = False
        if isinstance(self._outlet, WebhookOutlet):
            return
        own = ChannelOutlet(self._shared.client, self._thread_id or self._channel_id)
        outlet = await self._shared.names.outlet(
            self._channel_id, self._thread_id, view.speaker, own
        )
        if outlet is None:
            return
        part = self._parts(view, named=True)[0]
        try:
            message_id = await outlet.post(part)
        except (Removed, Closed, discord.HTTPException, *NETWORK_ERRORS) as err:
            log.info("no name of its own in channel %d: %r", self._channel_id, err)
            return
        before, self._pages = self._pages, [Page(outlet, message_id, part)]
        left, self._outlet = self._outlet, outlet
        await take_away(self._shared, before)
        if isinstance(left, TokenOutlet) and left.waits:
            with contextlib.suppress(Removed, Closed, discord.DiscordException, *NETWORK_ERRORS):
                await left.withdraw()

    async def _begin_thread(self, first: Part) -> bool:
        """A thread under the first message, for what is too long to stand in the channel."""
        if self._new_thread is not None:
            return True
        if not self._pages:
            await self._post(first)
        channel = self._shared.client.get_channel(self._channel_id)
        message_id = self._pages[0].message_id if self._pages else None
        if message_id is None or not isinstance(channel, discord.TextChannel):
            return False
        name = shortened(self._title, _THREAD_NAME_CHARACTERS) or "…"
        try:
            thread = await channel.get_partial_message(message_id).create_thread(
                name=name, auto_archive_duration=_THREAD_ARCHIVE_MINUTES
            )
        except (discord.HTTPException, discord.RateLimited, *NETWORK_ERRORS) as err:
            log.info("no thread in channel %d: %s", self._channel_id, err)
            return False
        self._new_thread_id = thread.id
        if isinstance(self._outlet, WebhookOutlet):
            self._new_thread = self._outlet.in_thread(thread.id)
        else:
            self._new_thread = ChannelOutlet(self._shared.client, thread.id)
        return True

    async def _type(self) -> None:
        where = self._shared.client.get_partial_messageable(self._thread_id or self._channel_id)
        try:
            while True:
                await where.typing()
                await asyncio.sleep(_TYPING_SECONDS)
        except (discord.DiscordException, *NETWORK_ERRORS) as err:
            log.info("typing can't be shown: %s", err)

    def _stop_typing(self) -> None:
        if self._typing is not None:
            self._typing.cancel()
            self._typing = None

    def _removed(self) -> None:
        log.info("a person deleted an answer in channel %d", self._channel_id)
        self._gone = True

    def _nowhere(self) -> None:
        log.warning("an answer can't be shown in channel %d any more", self._channel_id)
        self._gone = True


def pages_of(
    shared: Shared, reference: Mapping[str, str], webhook: WebhookOutlet | None
) -> list[Page]:
    """The messages that a reference names, as far as they can be reached without a token."""
    channel = int(reference["channel"])
    here = int(reference.get("thread", channel))
    beyond = int(reference.get("new_thread", here))
    found = []
    named = zip(reference["messages"].split(), reference["ways"].split(), strict=True)
    for message, way in named:
        place = beyond if way.endswith("t") else here
        outlet: Outlet | None = ChannelOutlet(shared.client, place)
        if way.startswith("w"):
            outlet = webhook.in_thread(place) if webhook and place != channel else webhook
        if outlet is None or way.startswith("p") or int(message) == 0:
            continue
        found.append(Page(outlet, int(message)))
    return found


def _way(page: Page) -> str:
    """How it was said: "c" by the bot, "w" by a webhook, "p" privately; "t" behind it: in the new thread."""
    if page.outlet.private:
        return "p"
    way = "w" if isinstance(page.outlet, WebhookOutlet) else "c"
    return way + ("t" if page.part is not None and page.part.in_thread else "")


async def take_away(shared: Shared, pages: Iterable[Page]) -> None:
    """Delete messages of an answer, as far as Discord lets us."""
    for page in pages:
        shared.withdraw(page.message_id)
        try:
            await page.outlet.delete(page.message_id)
        except (Removed, Closed, discord.DiscordException, *NETWORK_ERRORS) as err:
            log.info("a message could not be taken away: %r", err)
