"""What a server's administrators have set, who they are, and in which language somebody is spoken to."""

from __future__ import annotations

from bot.core.people import Person, Place
from bot.core.rules import Rules
from bot.core.sentences import Say, speaker
from bot.state.store import State
from personae.errors import PersonaeError


class Rulebook:
    """The bots' state, as far as it holds rules."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def rules(self, place: Place) -> Rules:
        """What the server's administrators have set.

        Raises:
            PersonaeError: the state fails.
        """
        return Rules(await self._state.settings(place.platform, place.server))

    async def say(self, person: Person) -> Say:
        """The sentences in this person's language."""
        try:
            chosen = (await self._state.person(person.key)).locale
        except PersonaeError:
            chosen = None
        return speaker(chosen or person.locale)

    async def may_administer(self, person: Person, place: Place) -> bool:
        """Whether they may change this server's settings. What somebody is elsewhere counts for nothing."""
        if person.server != place.server:
            return False
        if person.manages:
            return True
        try:
            return (await self.rules(place)).may_administer(person, place)
        except PersonaeError:
            return False
