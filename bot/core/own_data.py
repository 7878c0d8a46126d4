"""What people may know and decide about what is kept of them: the desk behind `/usage` and `/privacy`.

In: a person. Out: a sentence in their language, or all that is kept.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import Any

from bot.core import limits
from bot.core.attendance import WAIT_SECONDS, Attendance, all_ended
from bot.core.gateway_client import GatewayClient
from bot.core.limits import Limits
from bot.core.people import Person, Place, Platform
from bot.core.rules import Rules
from bot.core.sentences import LANGUAGES, Say, speaker
from bot.state.store import State
from personae.errors import PersonaeError
from personae.feedback_wire import ForgetRequest

log = logging.getLogger(__name__)


class OwnData(ABC):
    gateway: GatewayClient
    state: State
    limits: Limits
    platform: Platform
    _attendance: Attendance

    @abstractmethod
    async def say(self, person: Person) -> Say: ...

    @abstractmethod
    async def rules(self, place: Place) -> Rules: ...

    async def usage(self, person: Person, place: Place) -> str:
        """What they and their server used today, and what is left."""
        say = await self.say(person)
        try:
            rules = await self.rules(place)
            quotas = await self.limits.quotas(person, place, rules, limited_only=False)
        except PersonaeError as err:
            return say.error(err)
        return limits.in_words(quotas, say)

    async def forget(self, person: Person) -> str:
        """Delete what is kept of a person, here and at the gateway; their running answers end."""
        say = await self.say(person)
        own = [its for its in self._attendance.running() if its.order.person.key == person.key]
        for running in own:
            running.end("stopped")
        if not await all_ended(own, WAIT_SECONDS):
            log.warning("answers of a person who is forgotten did not end in time")
        try:
            gone = await self.state.forget_person(person.key)
        except PersonaeError as err:
            return say.error(err)
        try:
            request = ForgetRequest(user=person.key, surface=self.platform)
            ratings = (await self.gateway.forget_feedback(request)).deleted
        except PersonaeError as err:
            log.warning("feedback of a person who is forgotten stays: %s", err.code)
            return say("forgotten-but-feedback")
        return say("forgotten", answers=gone.answers, turns=gone.turns, feedback=ratings)

    async def opt_out(self, person: Person, out: bool) -> str:
        """From now on keep nothing of a person (or keep again)."""
        say = await self.say(person)
        try:
            await self.state.set_opted_out(person.key, out)
        except PersonaeError as err:
            return say.error(err)
        return say("opted-out" if out else "opted-in")

    async def set_language(self, person: Person, language: str) -> str:
        """Speak this language with a person from now on ("auto": the one their app tells). A sentence for
        them."""
        if language not in (*LANGUAGES, "auto"):
            say = await self.say(person)
            return say("language-unknown", languages=", ".join((*LANGUAGES, "auto")))
        chosen = None if language == "auto" else language
        try:
            await self.state.set_locale(person.key, chosen)
        except PersonaeError as err:
            return (await self.say(person)).error(err)
        return speaker(chosen or person.locale)("language-chosen")

    async def export(self, person: Person) -> dict[str, Any]:
        """What is kept of a person, here and at the gateway. "error" and "feedback_error" hold a sentence
        where it can't be read."""
        say = await self.say(person)
        try:
            kept = await self.state.export_person(person.key)
        except PersonaeError as err:
            return {"error": say.error(err)}
        request = ForgetRequest(user=person.key, surface=self.platform)
        try:
            feedback = (await self.gateway.feedback_of(request)).feedback
        except PersonaeError as err:
            return kept | {"feedback_error": say.error(err)}
        return kept | {"feedback": [one.model_dump(mode="json") for one in feedback]}
