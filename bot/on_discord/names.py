"""A persona's own name and picture in a channel: one webhook a channel, made once and used again.

Only a webhook's messages may carry another name than the bot's. None of this is ever needed: where there
is no right to manage webhooks, or Discord refuses, the bot speaks under its own name and nobody hears of it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import discord

from bot.core.surface import Speaker
from bot.on_discord.outlets import NETWORK_ERRORS, WebhookOutlet

if TYPE_CHECKING:
    from bot.on_discord.outlets import Outlet

log = logging.getLogger(__name__)

_WEBHOOK_NAME = "personae"
_NAME_CHARACTERS = 80
_FORBIDDEN_IN_NAMES = ("discord", "clyde", "```", "everyone", "here")
_MOST_KEPT = 2000

Channel = discord.TextChannel | discord.VoiceChannel | discord.StageChannel | discord.ForumChannel


def usable_name(name: str) -> str | None:
    """`name` if Discord takes it whole: shortened it could lose the word that marks an imitation."""
    name = " ".join(name.split())
    folded = name.casefold()
    if not 1 <= len(name) <= _NAME_CHARACTERS or folded in _FORBIDDEN_IN_NAMES[3:]:
        return None
    return None if any(word in folded for word in _FORBIDDEN_IN_NAMES[:3]) else name


class Names:
    """The webhooks of the channels that were spoken in lately."""

    def __init__(self, client: discord.Client) -> None:
        self._client = client
        self._webhooks: dict[int, discord.Webhook] = {}
        self._locks: dict[int, asyncio.Lock] = {}

    async def outlet(
        self,
        channel_id: int,
        thread_id: int | None,
        speaker: Speaker | None,
        fall_back: Outlet | None,
    ) -> WebhookOutlet | None:
        """A way to speak under this name, or None.

        Args:
            speaker: None: only to edit what was said under a name.
        """
        name = usable_name(speaker.name) if speaker is not None else None
        if speaker is not None and name is None:
            return None
        webhook = await self._webhook(channel_id)
        if webhook is None:
            return None
        return WebhookOutlet(
            self,
            webhook,
            channel_id,
            name=name,
            picture=speaker.picture if speaker is not None else None,
            thread_id=thread_id,
            fall_back=fall_back,
        )

    def forget(self, channel_id: int) -> None:
        """The channel's webhook does not work any more: look for another next time."""
        self._webhooks.pop(channel_id, None)

    def is_ours(self, webhook_id: int | None) -> bool:
        """Whether a message of this webhook was said by us, as far as is known since the start."""
        return webhook_id is not None and any(w.id == webhook_id for w in self._webhooks.values())

    async def _webhook(self, channel_id: int) -> discord.Webhook | None:
        async with self._locks.setdefault(channel_id, asyncio.Lock()):
            if known := self._webhooks.get(channel_id):
                return known
            channel = self._client.get_channel(channel_id)
            if not isinstance(channel, Channel):
                return None
            if not channel.permissions_for(channel.guild.me).manage_webhooks:
                return None
            try:
                webhook = await self._found_or_made(channel)
            except (discord.HTTPException, discord.RateLimited, *NETWORK_ERRORS) as err:
                log.info("no webhook in channel %d: %s", channel_id, err)
                return None
            if len(self._webhooks) >= _MOST_KEPT:
                self._webhooks.clear()
                self._locks = {channel_id: self._locks[channel_id]}
            self._webhooks[channel_id] = webhook
            return webhook

    async def _found_or_made(self, channel: Channel) -> discord.Webhook:
        me = self._client.application_id
        for webhook in await channel.webhooks():
            # Buttons work under webhooks of the application only, and other people's are not ours to use.
            made_by_us = webhook.user is not None and webhook.user == self._client.user
            if webhook.token and webhook.name == _WEBHOOK_NAME and made_by_us:
                return webhook
        log.info("application %s makes a webhook in channel %d", me, channel.id)
        return await channel.create_webhook(name=_WEBHOOK_NAME)
