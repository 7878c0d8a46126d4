"""One person at the counter: who they are, where, and how they are told something. Work on their behalf
is attended: whatever stops it, they hear of it.

`Wiring` is what every part of the Slack frontend works with; it is made once, by the frontend.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.core.desk import Desk
from bot.core.people import Person, Place
from bot.core.sentences import Say, speaker
from bot.on_slack.arrivals import Arrival
from bot.on_slack.installs import UnknownWorkspace, Workspace, Workspaces
from bot.on_slack.people import People
from bot.on_slack.posted import ChannelSurface
from bot.on_slack.private import PrivateSurface
from bot.on_slack.spot import Spot
from bot.on_slack.streamed import StreamSurface
from bot.state.store import State
from personae.errors import PersonaeError

log = logging.getLogger(__name__)

_TELL_SECONDS = 4.0


@dataclass(frozen=True)
class Wiring:
    """What the parts share.

    Attributes:
        post_seconds: pause between the messages of one long answer.
    """

    desk: Desk
    state: State
    workspaces: Workspaces
    people: People
    post_seconds: float


@dataclass
class Visit:
    """Somebody who wants something, now.

    Attributes:
        private: tells this person alone.
        handed_over: the desk has taken their order: from now on it says what becomes of it.
    """

    wiring: Wiring
    arrival: Arrival
    workspace: Workspace
    person: Person
    private: PrivateSurface
    handed_over: bool = False

    @property
    def say(self) -> Say:
        return speaker(self.person.locale)

    @property
    def spot(self) -> Spot:
        return self.arrival.spot()

    @property
    def place(self) -> Place:
        return self.spot.place()

    async def tell(self, sentence: str) -> None:
        """A sentence (Markdown) for this person alone."""
        await self.private.say(sentence, self.person.locale)

    async def why_nobody(self) -> str:
        """Why there is no persona to choose."""
        return await self.wiring.desk.why_nobody(self.say)

    def in_channel(self, thread: str | None) -> ChannelSurface:
        """Shows an answer by edits, privately where the bot may not write."""
        spot = Spot(self.spot.team, self.spot.channel, self.spot.user, thread)
        return ChannelSurface(
            self.workspace.client,
            spot,
            post_seconds=self.wiring.post_seconds,
            fall_back=self.private,
        )

    def in_thread(self, thread: str) -> StreamSurface:
        """Shows an answer as a native stream."""
        spot = Spot(self.spot.team, self.spot.channel, self.spot.user, thread)
        return StreamSurface(
            self.workspace.client,
            spot,
            post_seconds=self.wiring.post_seconds,
            fall_back=self.private,
            locale=self.person.locale,
        )

    def privately(self, *, replaces: bool = False) -> PrivateSurface:
        """Shows an answer to this person alone."""
        return PrivateSurface(
            self.workspace.client,
            self.spot,
            response_url=self.arrival.response_url,
            replaces=replaces,
            used=self.private.used,
        )


async def attend(
    wiring: Wiring,
    arrival: Arrival,
    work: Callable[[Visit], Awaitable[None]],
    *,
    decides: bool = False,
    claims: bool = False,
) -> None:
    """Do something for a person. Only cancellation passes on.

    Args:
        decides: the person's role in the workspace decides what may be done.
        claims: something is shown before the desk hears of it, so that no other process may have
            begun with the same delivery. (What goes to the desk at once, the desk claims.)
    """
    try:
        workspace = await wiring.workspaces.of(arrival.team, arrival.enterprise)
    except UnknownWorkspace:
        log.warning("somebody in workspace %s, where the app is not installed", arrival.team)
        return
    private = PrivateSurface(workspace.client, arrival.spot(), response_url=arrival.response_url)
    nobody = Person("slack", arrival.user, arrival.name or arrival.user, arrival.team)
    visit = Visit(wiring, arrival, workspace, nobody, private)
    try:
        visit.person = await wiring.people.person(
            arrival.team,
            arrival.user,
            enterprise=arrival.enterprise,
            name=arrival.name,
            decides=decides,
        )
        if claims and not await wiring.state.claim(f"arrival:{arrival.key}"):
            return
        await work(visit)
    except PersonaeError as err:
        log.warning("%s stops what a person wants", err.code)
        await _try_to_tell(visit, visit.say.error(err))
    except asyncio.CancelledError:
        if not visit.handed_over:
            await _try_to_tell(visit, visit.say("restarting"))
        raise
    except Exception:
        log.exception("something went wrong for a person")
        await _try_to_tell(visit, visit.say("unexpected"))


async def _try_to_tell(visit: Visit, sentence: str) -> None:
    # A refusal by Slack may itself last as long as its rate limit; a stopping bot can't wait.
    try:
        async with asyncio.timeout(_TELL_SECONDS):
            await visit.tell(sentence)
    except Exception:
        log.exception("a person could not be told")
