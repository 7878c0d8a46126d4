"""The App Home at work: shown when somebody opens it, and after each of its buttons.

In: `app_home_opened` and clicks whose action ids begin with `home:`. Out: views.publish. What the buttons
do is the desk's and the admin desk's, who also decide who may; what it looks like is `home_view`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.errors import SlackApiError

from bot.core.admin import AdminDesk
from bot.core.desk import Desk
from bot.core.people import Person, Place
from bot.on_slack.errors import slack_code
from bot.on_slack.home_view import NOBODY, PREFIX, Home, home_view
from bot.on_slack.installs import UnknownWorkspace, Workspaces
from bot.on_slack.people import People
from bot.on_slack.seen import Seen
from bot.on_slack.tasks import Tasks
from personae.errors import PersonaeError

log = logging.getLogger(__name__)

Payload = dict[str, Any]
OnMessagesTab = Callable[[str, str, str], Awaitable[None]]
"""Team, user, channel."""

_OURS = re.compile(rf"^{PREFIX}")


class AppHome:
    """Everybody's page.

    Args:
        on_messages_tab: what happens when somebody opens the conversation with the bot instead.
    """

    def __init__(
        self,
        *,
        desk: Desk,
        admin: AdminDesk,
        workspaces: Workspaces,
        people: People,
        tasks: Tasks,
        on_messages_tab: OnMessagesTab | None = None,
    ) -> None:
        self._desk = desk
        self._admin = admin
        self._workspaces = workspaces
        self._people = people
        self._tasks = tasks
        self._on_messages_tab = on_messages_tab
        self._seen = Seen()
        self.events = {"app_home_opened": self._on_opened}

    def register(self, app: AsyncApp) -> None:
        for event, on_event in self.events.items():
            app.event(event)(on_event)
        app.action(_OURS)(self._on_action)

    async def _on_opened(self, event: Payload, body: Payload) -> None:
        if not self._seen.first_time(("event", body.get("event_id"))):
            return
        team, user = str(body.get("team_id")), str(event.get("user"))
        if event.get("tab") == "messages":
            if self._on_messages_tab is not None:
                await self._on_messages_tab(team, user, str(event.get("channel")))
        else:
            self._tasks.start(self._show(team, user), name="an App Home")

    async def _on_action(self, ack: AsyncAck, body: Payload, action: Payload) -> None:
        await ack()
        if not self._seen.first_time(("click", body.get("trigger_id"), action.get("action_ts"))):
            return
        team = str((body.get("team") or {}).get("id") or "")
        user = str((body.get("user") or {}).get("id") or "")
        what = str(action.get("action_id", "")).removeprefix(PREFIX)
        self._tasks.start(self._act(team, user, what, _value_of(action)), name=f"home:{what}")

    async def _act(self, team: str, user: str, what: str, value: str) -> None:
        person = await self._people.person(team, user, decides=True)
        try:
            result = await self._do(what, value, person, _place(team))
        except PersonaeError as err:
            result = (await self._desk.say(person)).error(err)
        await self._show(team, user, result)

    async def _do(self, what: str, value: str, person: Person, place: Place) -> str:
        """The sentence about what a button did."""
        desk, admin = self._desk, self._admin
        match what:
            case "reload":
                return await admin.reload(person, place, value)
            case "rollback":
                return await admin.rollback(person, place, value)
            case "versions":
                return await admin.versions(person, place, value)
            case "default":
                chosen = None if value == NOBODY else value
                return await admin.set_default(person, place, chosen, "server")
            case "alerts":
                return await admin.alerts(person, place, value or None)
            case "retention":
                return await admin.retention(person, place, int(value))
            case "own-names":
                return await admin.own_names(person, place, value == "on")
            case "status":
                return await admin.status(person, place)
            case "stats":
                return await admin.stats(person, place)
            case "limits":
                return await admin.limits(person, place)
            case "opt-out" | "opt-in":
                return await desk.opt_out(person, what == "opt-out")
            case "forget":
                return await desk.forget(person)
            case _:
                return ""

    async def _show(self, team: str, user: str, result: str = "") -> None:
        """Bring somebody's page up to date. Nobody waits for it: what fails is in the log."""
        try:
            workspace = await self._workspaces.of(team)
            person = await self._people.person(team, user, decides=True)
            view = home_view(await self._home(person, _place(team), result))
            await workspace.client.views_publish(user_id=user, view=view)
        except SlackApiError as err:
            log.warning("an App Home was refused (%s)", slack_code(err))
        except (aiohttp.ClientError, TimeoutError, UnknownWorkspace) as err:
            log.warning("an App Home could not be shown (%s)", type(err).__name__)

    async def _home(self, person: Person, place: Place, result: str) -> Home:
        desk = self._desk
        default: str | None = None
        own_names = opted_out = administers = False
        try:
            rules = await desk.rules(place)
            default, own_names = rules.default_of(""), rules.own_names
            opted_out = (await desk.state.person(person.key)).opted_out
            administers = await desk.may_administer(person, place)
        except PersonaeError as err:
            result = result or (await desk.say(person)).error(err)
        say = await desk.say(person)
        cards = await desk.personas(place, person)
        return Home(
            say=say,
            cards=cards,
            usage=await desk.usage(person, place),
            why_nobody="" if cards else await desk.why_nobody(say),
            result=result,
            administers=administers,
            operates=administers and desk.is_operator(person),
            opted_out=opted_out,
            default=default,
            own_names=own_names,
        )


def _place(team: str) -> Place:
    """Settings of the workspace, seen from no channel."""
    return Place("slack", team, "")


def _value_of(action: Payload) -> str:
    option = action.get("selected_option") or {}
    return str(action.get("value") or option.get("value") or action.get("selected_channel") or "")
