"""Messages that somebody wrote to the bot: which they are, what they ask, of whom.

Without the privileged intent for message content, Discord tells what stands in direct messages, in messages
that mention the bot and in replies that ping it; others arrive empty and are left alone.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

import discord

from bot.core.people import Place
from bot.core.sentences import speaker
from bot.on_discord.buttons import answer_id_of
from bot.on_discord.layout import Part
from bot.on_discord.markdown import shortened
from bot.on_discord.outlets import NETWORK_ERRORS, ChannelOutlet, Closed, Removed
from bot.on_discord.people import author_of, place_of_message
from bot.on_discord.talk import Talk
from personae.wire import PersonaCard

log = logging.getLogger(__name__)

_ANSWERED_TYPES = (discord.MessageType.default, discord.MessageType.reply)
_QUOTED_CHARACTERS = 1200
_MENTION = re.compile(r"<(?P<kind>@!?|@&|#)(?P<id>[0-9]+)>")
_AFTER_NAME = ":,–—-"


class Mentions:
    """Answers messages.

    Args:
        reads_everything: the privileged intent is on, so follow-ups need no mention.
    """

    def __init__(self, talk: Talk, *, reads_everything: bool) -> None:
        self._talk = talk
        self._reads_everything = reads_everything

    async def handle(self, message: discord.Message, me: discord.abc.User) -> None:
        """Answer a message if it is for the bot."""
        if not self._is_for(message, me):
            return
        await self._talk.settled(message.channel.id)
        text = question_of(message, me)
        about = message.reference.resolved if message.reference else None
        place, person = place_of_message(message), author_of(message)
        persona: str | None = None
        if text:
            persona, text = addressed(text, await self._talk.desk.personas(place, person))
        if isinstance(about, discord.Message):
            if self._is_ours(about, me):
                persona = await self._who_said(about, place, persona)
            elif about.content:
                quoted = shortened(about.content, _QUOTED_CHARACTERS)
                text = f"{text or speaker(person.locale)('discord-what-of-it')}\n\n“{quoted}”"
        if text:
            await self._talk.reply(message, text, persona)
        else:
            await self._explain(message, person.locale)

    def _is_for(self, message: discord.Message, me: discord.abc.User) -> bool:
        if message.author.bot or message.webhook_id is not None:
            return False
        if message.type not in _ANSWERED_TYPES:
            return False
        if message.guild is None or any(user.id == me.id for user in message.mentions):
            return True
        if not self._reads_everything or message.mentions:
            return False  # or it is for somebody else
        about = message.reference.resolved if message.reference else None
        if isinstance(about, discord.Message):
            return self._is_ours(about, me)
        channel = message.channel
        return isinstance(channel, discord.Thread) and channel.owner_id == me.id

    def _is_ours(self, message: discord.Message, me: discord.abc.User) -> bool:
        return message.author.id == me.id or self._talk.shared.names.is_ours(message.webhook_id)

    async def _who_said(
        self, answer: discord.Message, place: Place, named: str | None
    ) -> str | None:
        """Who should answer a reply to an answer: who is named, else the same persona, which knows it."""
        answer_id = answer_id_of(answer)
        record = await self._talk.go_on(answer_id, place) if answer_id else None
        return named or (record.persona if record is not None else None)

    async def _explain(self, message: discord.Message, locale: str) -> None:
        """A mention without a question."""
        outlet = ChannelOutlet(self._talk.shared.client, message.channel.id, reply_to=message.id)
        try:
            await outlet.post(Part(speaker(locale)("discord-mention-usage")))
        except (Closed, Removed, discord.DiscordException, *NETWORK_ERRORS) as err:
            log.info("a mention could not be answered: %r", err)


def question_of(message: discord.Message, me: discord.abc.User) -> str:
    """What a message says, without the mention of the bot, other mentions as names."""
    people = {user.id: user.display_name for user in message.mentions}
    roles = {role.id: role.name for role in message.role_mentions}

    def named(mention: re.Match[str]) -> str:
        number = int(mention["id"])
        if mention["kind"] == "#":
            channel = message.guild.get_channel(number) if message.guild else None
            return f"#{channel.name}" if channel else ""
        if mention["kind"] == "@&":
            return f"@{roles[number]}" if number in roles else ""
        if number == me.id:
            return ""
        return f"@{people[number]}" if number in people else ""

    return _MENTION.sub(named, message.content).strip().lstrip(_AFTER_NAME).strip()


def addressed(text: str, cards: Sequence[PersonaCard]) -> tuple[str | None, str]:
    """(persona, question) of "lincoln, what …"; the persona is None if the text begins otherwise."""
    names = [(name, card.id) for card in cards for name in (card.id, card.display_name) if name]
    for name, persona in sorted(names, key=lambda pair: -len(pair[0])):
        if not text.casefold().startswith(name.casefold()):
            continue
        rest = text[len(name) :]
        question = rest.lstrip().lstrip(_AFTER_NAME).strip()
        if question and not (rest[0].isalnum() or rest[0] in "_'’"):
            return persona, question
    return None, text
