"""Buttons, selects and sent modals → the desk. Works after a restart: all there is to know is in their ids.

Whoever presses is acknowledged first, then the desk decides whether they may. What it says comes back as a
private sentence; errors are left to the client's central handler.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Literal, cast

import discord

from bot.core.order import Strength
from bot.core.surface import Control
from bot.on_discord import markdown
from bot.on_discord.arrival import acknowledge, tell
from bot.on_discord.buttons import (
    Used,
    buttons,
    controls_of,
    persona_select,
    text_modal,
    used,
)
from bot.on_discord.commands import Commands, say_to, strength_of
from bot.on_discord.harmless import quiet
from bot.on_discord.outlets import (
    NETWORK_ERRORS,
    ChannelOutlet,
    Closed,
    Outlet,
    Removed,
    TokenOutlet,
    WebhookOutlet,
)
from bot.on_discord.people import only_installed_by_user, person_of, place_of
from bot.on_discord.surface import take_away
from bot.on_discord.talk import Talk, event_of, noted

log = logging.getLogger(__name__)

_REASON_CHARACTERS = 500
_COPY_CHARACTERS = 1800
_QUOTED = "\n\n“{}”"

Handler = Callable[[discord.Interaction, Used], Awaitable[None]]


class Controls:
    """What happens when people press, choose and send."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._desk = talk.desk
        self._commands = Commands(talk)
        self._pressed: dict[str, Handler] = {
            "up": self._up,
            "down": self._down,
            "again": self._again,
            "other": self._other,
            "pick": self._pick,
            "sources": self._sources,
            "stop": self._stop,
            "delete": self._delete,
            "revise": self._revise,
            "share": self._share,
            "copy": self._copy,
            "lighter": self._again,
            "stronger": self._again,
            "forget": self._forget,
        }
        self._sent: dict[str, Handler] = {
            "down": self._down_because,
            "revise": self._revised,
            "asked": self._asked_about,
            "rewrite": self._rewritten,
        }

    async def handle(self, interaction: discord.Interaction) -> None:
        """Do what a component or modal interaction asks for; nothing if it is none of ours."""
        what = used(cast(dict[str, object], interaction.data or {}))
        if what is None:
            return
        sent = interaction.type is discord.InteractionType.modal_submit
        handler = (self._sent if sent else self._pressed).get(what.action)
        if handler is None:
            await tell(interaction, say_to(interaction)("discord-button-unknown"))
            return
        await handler(interaction, what)

    # --- rating -------------------------------------------------------------------------------------

    async def _up(self, interaction: discord.Interaction, what: Used) -> None:
        await acknowledge(interaction, private=True)
        await tell(interaction, await self._desk.rate(what.subject, person_of(interaction), "up"))

    async def _down(self, interaction: discord.Interaction, what: Used) -> None:
        """The reason may follow; a modal that is closed again is no second thought."""
        say = say_to(interaction)
        await interaction.response.send_modal(
            text_modal(
                "down",
                what.subject,
                say("discord-down-title"),
                say("discord-down-field"),
                required=False,
                most=_REASON_CHARACTERS,
            )
        )
        await self._desk.rate(what.subject, person_of(interaction), "down")

    async def _down_because(self, interaction: discord.Interaction, what: Used) -> None:
        await acknowledge(interaction, private=True)
        reason = what.values.get("text", "").strip()
        said = await self._desk.rate(what.subject, person_of(interaction), "down", reason)
        await tell(interaction, said)

    async def _revise(self, interaction: discord.Interaction, what: Used) -> None:
        await self._commands.better_answer(interaction, what.subject)

    async def _revised(self, interaction: discord.Interaction, what: Used) -> None:
        await acknowledge(interaction, private=True)
        text = what.values.get("text", "")
        await tell(interaction, await self._desk.revise(what.subject, person_of(interaction), text))

    # --- another try --------------------------------------------------------------------------------

    async def _again(self, interaction: discord.Interaction, what: Used) -> None:
        strength = what.action if what.action in ("lighter", "stronger") else None
        await self._try(
            interaction, what, strength=cast(Literal["lighter", "stronger"] | None, strength)
        )

    async def _other(self, interaction: discord.Interaction, what: Used) -> None:
        await acknowledge(interaction, private=True)
        say = say_to(interaction)
        cards = await self._desk.personas(place_of(interaction), person_of(interaction))
        if not cards:
            await tell(interaction, quiet(await self._desk.why_nobody(say)))
            return
        chooser = persona_select(cards, what.subject, say)
        await tell(interaction, say("discord-who-instead"), components=chooser)

    async def _pick(self, interaction: discord.Interaction, what: Used) -> None:
        record = await self._desk.record(what.subject)
        await self._try(
            interaction,
            what,
            persona=what.values.get(""),
            private=record is not None and record.private,
        )

    async def _try(
        self,
        interaction: discord.Interaction,
        what: Used,
        *,
        persona: str | None = None,
        strength: Strength | Literal["lighter", "stronger"] | None = None,
        private: bool | None = None,
    ) -> None:
        if private is None:
            private = interaction.message is not None and interaction.message.flags.ephemeral
        surface = await self._talk.surface(interaction, private=private)
        result = await self._desk.again(
            what.subject,
            person_of(interaction),
            place_of(interaction),
            event_of(interaction),
            surface,
            persona=persona,
            strength=strength,
        )
        noted(event_of(interaction), result)

    # --- looking closer, ending ---------------------------------------------------------------------

    async def _sources(self, interaction: discord.Interaction, what: Used) -> None:
        await acknowledge(interaction, private=True)
        view = await self._desk.sources(what.subject, person_of(interaction))
        await tell(interaction, markdown.whole(view))

    async def _stop(self, interaction: discord.Interaction, what: Used) -> None:
        await acknowledge(interaction, private=True)
        await tell(interaction, await self._desk.stop(what.subject, person_of(interaction)))

    async def _delete(self, interaction: discord.Interaction, what: Used) -> None:
        outlet = await acknowledge(interaction, private=True, in_place=True)
        if not await self._desk.may_delete(what.subject, person_of(interaction)):
            await tell(interaction, say_to(interaction)("only-author-or-manager"))
            return
        await self._take_away(interaction, outlet, what.subject)
        await self._desk.deleted(what.subject)

    async def _take_away(
        self, interaction: discord.Interaction, outlet: Outlet, answer_id: str
    ) -> None:
        """Delete every message of an answer: the pressed one by the token, the others as the bot."""
        record = await self._desk.record(answer_id)
        pressed = interaction.message.id if interaction.message is not None else None
        pages = []
        if record is not None and not only_installed_by_user(interaction):
            pages = await self._talk.pages(record)
        # What was said under another name is its webhook's to delete.
        named = [page.message_id for page in pages if isinstance(page.outlet, WebhookOutlet)]
        by_token = pressed is not None and pressed not in named
        shared = self._talk.shared
        await take_away(shared, [p for p in pages if not by_token or p.message_id != pressed])
        if by_token and isinstance(outlet, TokenOutlet):
            shared.withdraw(pressed)
            with contextlib.suppress(Removed, Closed):
                await outlet.delete(None)

    # --- drafts -------------------------------------------------------------------------------------

    async def _share(self, interaction: discord.Interaction, what: Used) -> None:
        await acknowledge(interaction, private=True, in_place=True)
        view = await self._desk.shared(what.subject, person_of(interaction))
        if view.phase == "failed":
            await tell(interaction, quiet(view.text))
            return
        surface = self._talk.surface_over(interaction, _public(interaction))
        try:
            await surface.show(view)
        finally:
            await surface.close()
        await self._without(interaction, "share")

    async def _without(self, interaction: discord.Interaction, action: Control) -> None:
        """The pressed message loses a button: pressed once more it would say everything once more."""
        if interaction.message is None:
            return
        left = [
            (cast(Control, name), subject)
            for name, subject in controls_of(interaction.message)
            if name != action
        ]
        if not left:
            return
        view = buttons([name for name, _ in left], left[0][1], interaction.locale.value)
        with contextlib.suppress(discord.HTTPException, *NETWORK_ERRORS):
            await interaction.edit_original_response(view=view)

    async def _copy(self, interaction: discord.Interaction, what: Used) -> None:
        """The bare text, in a form that every app can copy."""
        await acknowledge(interaction, private=True)
        view = await self._desk.shared(what.subject, person_of(interaction))
        if view.phase == "failed":
            await tell(interaction, quiet(view.text))
        elif "```" in view.text or len(view.text) > _COPY_CHARACTERS:
            said = say_to(interaction)("discord-copy-file")
            await tell(interaction, said, file=("text.md", view.text.encode("utf-8", "replace")))
        else:
            await tell(interaction, f"```\n{view.text}\n```")

    # --- what was filled in -------------------------------------------------------------------------

    async def _asked_about(self, interaction: discord.Interaction, what: Used) -> None:
        say, values = say_to(interaction), what.values
        question = values.get("question", "").strip() or say("discord-what-of-it")
        about = values.get("text", "").strip()
        text = question + (_QUOTED.format(about) if about else "")
        await self._talk.order(
            interaction, "ask", text, persona=values.get("persona"), private=False
        )

    async def _rewritten(self, interaction: discord.Interaction, what: Used) -> None:
        strength, _, persona = what.subject.partition(":")
        await self._talk.order(
            interaction,
            "rewrite",
            what.values.get("text", ""),
            persona=what.values.get("persona", persona),
            private=True,
            strength=strength_of(what.values.get("strength", strength)),
        )

    async def _forget(self, interaction: discord.Interaction, what: Used) -> None:
        await acknowledge(interaction, private=True)
        await tell(interaction, await self._desk.forget(person_of(interaction)))


def _public(interaction: discord.Interaction) -> Outlet:
    """A way for everybody to see, beside the private draft."""
    channel = interaction.channel_id
    fall_back = None
    if channel is not None and not only_installed_by_user(interaction):
        fall_back = ChannelOutlet(interaction.client, channel)
    return TokenOutlet(interaction, private=False, has_original=False, fall_back=fall_back)
