"""`/personae …`: what administrators type, done by the core's admin desk.

Who administers is decided by `People` (workspace administrators, PERSONAE_SLACK_ADMINS) and the core
(roles, PERSONAE_OPERATORS). This knows how Slack writes people and channels, and no rule.
"""

from __future__ import annotations

import re

from bot.core.admin import AdminDesk
from bot.core.people import Person, Place

_REFERENCE = re.compile(r"<[@#!](?:subteam\^)?([A-Z0-9]+)(?:\|[^>]*)?>")
_CODE = re.compile(r"^[`\"'“”]+|[`\"'“”]+$")


class Administration:
    """Callable with what was typed; gives a Markdown sentence."""

    def __init__(self, desk: AdminDesk) -> None:
        self._desk = desk

    async def __call__(self, words: list[str], person: Person, place: Place) -> str:
        return await self._desk.run([plain_word(word) for word in words], person, place)


def plain_word(word: str) -> str:
    """An id out of <@U1|ada> or <#C1|general>; quotes around a word are dropped."""
    found = _REFERENCE.fullmatch(word)
    return found.group(1) if found else _CODE.sub("", word)
