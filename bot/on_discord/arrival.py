"""The first three seconds of an interaction: tell Discord that an answer is coming, then see where it goes.

`acknowledge` comes before everything else, since Discord forgets an interaction that waits; `tell` says
something to the one person who acted, whatever was acknowledged before.
"""

from __future__ import annotations

import logging
import time

import discord

from bot.on_discord.layout import Part
from bot.on_discord.outlets import (
    ALREADY_ACKNOWLEDGED,
    NETWORK_ERRORS,
    UNKNOWN_INTERACTION,
    ChannelOutlet,
    Closed,
    Outlet,
    Removed,
    TokenOutlet,
)
from bot.on_discord.pages import pages
from bot.on_discord.people import only_installed_by_user

log = logging.getLogger(__name__)

_MOST_PRIVATE_PAGES = 4
_RETRY_SECONDS = 1.0
"""discord.py itself tries again when Discord fails (5xx), after this pause at least."""


class AnsweredElsewhere(Exception):
    """Another process took this interaction: two bots run with one token, or Discord sent it twice."""


class TooLate(Exception):
    """Discord forgot the interaction, and what there is to say is for one person only."""


async def acknowledge(
    interaction: discord.Interaction,
    *,
    private: bool,
    in_place: bool = False,
    claimed: bool = False,
) -> Outlet:
    """Tell Discord that an answer is coming, once for each interaction.

    Args:
        private: the answer is for the eyes of the person who acted.
        in_place: no new message: the one with the pressed button stays as it is for now.
        claimed: what follows is done only by whoever claims the interaction's event.

    Raises:
        AnsweredElsewhere, TooLate: there is nothing left to do.
    """
    known = interaction.extras.get("outlet")
    if isinstance(known, TokenOutlet | ChannelOutlet):
        return known
    fall_back: ChannelOutlet | None = None
    if interaction.channel_id is not None and not only_installed_by_user(interaction):
        fall_back = ChannelOutlet(interaction.client, interaction.channel_id)
    outlet: TokenOutlet | ChannelOutlet
    in_place = in_place or interaction.response.is_done()  # with a modal, for example
    try:
        original, ours = await _deferred(interaction, private, in_place, claimed)
    except discord.NotFound as err:
        if err.code != UNKNOWN_INTERACTION:
            raise
        log.warning("interaction %s: acknowledged too late", interaction.id)
        if private or fall_back is None:
            raise TooLate from err
        outlet = fall_back
    else:
        outlet = TokenOutlet(
            interaction,
            private=private,
            has_original=not in_place,
            original=original,
            ours=ours,
            fall_back=fall_back,
        )
    interaction.extras["outlet"] = outlet
    return outlet


async def _deferred(
    interaction: discord.Interaction, private: bool, in_place: bool, claimed: bool
) -> tuple[int | None, bool]:
    """The id of the message that says "thinking", if Discord told it; and whether it is surely ours."""
    if interaction.response.is_done():
        return None, True
    tries = 0
    while True:
        tries += 1
        began = time.monotonic()
        try:
            receipt = await interaction.response.defer(ephemeral=private, thinking=not in_place)
        except NETWORK_ERRORS:
            # Mostly a kept connection that Discord closed meanwhile; there is time for another.
            if tries == 2:
                raise
        except discord.HTTPException as err:
            if err.code != ALREADY_ACKNOWLEDGED:
                raise
            if tries == 2:
                return None, True  # the try before this one arrived, only its reply was lost
            if claimed and time.monotonic() - began >= _RETRY_SECONDS:
                return None, False  # most likely so; the claim will tell
            raise AnsweredElsewhere from err
        else:
            return receipt.message_id if receipt is not None and not in_place else None, True


async def tell(
    interaction: discord.Interaction,
    text: str,
    *,
    file: tuple[str, bytes] | None = None,
    components: discord.ui.View | None = None,
) -> None:
    """Say something to the person who acted, and to nobody else.

    Args:
        text: Markdown of our own, harmless already.
        file: name and content of an attachment.
        components: buttons below the last message.

    Raises:
        AnsweredElsewhere, TooLate: they can't be told.
        discord.DiscordException, or one of NETWORK_ERRORS: likewise.
    """
    outlet = await acknowledge(interaction, private=True)
    name, content = file or ("answer.md", b"")
    shown = pages(text) or ["…"]
    if len(shown) > _MOST_PRIVATE_PAGES and file is None:
        shown, content = shown[:1], text.encode("utf-8", "replace")
    built = [Part(page) for page in shown[:_MOST_PRIVATE_PAGES]]
    built[-1] = Part(
        built[-1].content,
        file=content.decode("utf-8", "replace"),
        file_name=name,
        components=components,
    )
    try:
        if not isinstance(outlet, TokenOutlet):
            await outlet.post(built[0])
            return
        if not outlet.private and outlet.waits:
            # "… is thinking" is public and can't be made private: it goes, a new message comes.
            await outlet.withdraw()
        for part in built:
            if outlet.private:
                await outlet.post(part)
            else:
                await outlet.aside(part)
    except (Removed, Closed) as why:
        log.info("interaction %s: nobody could be told: %r", interaction.id, why)
