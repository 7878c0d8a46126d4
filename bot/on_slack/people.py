"""Who somebody is in a Slack workspace: name, language, whether they administer it. Then remembered."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from dataclasses import replace
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError

from bot.core.people import Person
from bot.on_slack.errors import slack_code
from bot.on_slack.installs import Workspaces

log = logging.getLogger(__name__)

_KEPT = 5_000
_FRESH_SECONDS = 600.0
_LOOK_UP_SECONDS = 2.0


class People:
    """Persons by workspace and user id.

    Args:
        admins: user ids that may administer whatever their role in Slack.
        role_seconds: how old an answer about somebody's role may be where it decides what they may do.
    """

    def __init__(
        self,
        workspaces: Workspaces,
        *,
        admins: frozenset[str] = frozenset(),
        role_seconds: float = 60.0,
    ) -> None:
        self._workspaces = workspaces
        self._admins = admins
        self._role_seconds = role_seconds
        self._known: OrderedDict[tuple[str, str], tuple[Person, float]] = OrderedDict()

    async def person(
        self,
        team: str,
        user: str,
        *,
        enterprise: str | None = None,
        name: str = "",
        decides: bool = False,
    ) -> Person:
        """Somebody, as far as Slack tells in time.

        Args:
            name: as the delivery tells it, for when Slack does not.
            decides: their role decides what happens now, so it must be fresh; without an answer they
                have none.
        """
        key = (team, user)
        known = self._known.get(key)
        age = time.monotonic() - known[1] if known else float("inf")
        if known and age < (self._role_seconds if decides else _FRESH_SECONDS):
            self._known.move_to_end(key)
            return known[0]
        found = await self._look_up(team, user, enterprise, waits=decides)
        if found is None:
            if known and not decides:
                return known[0]
            person = Person("slack", user, name or user, team)
            return replace(person, manages=user in self._admins)
        self._known[key] = (found, time.monotonic())
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return found

    async def _look_up(
        self, team: str, user: str, enterprise: str | None, *, waits: bool
    ) -> Person | None:
        workspace = await self._workspaces.of(team, enterprise)
        if not waits and workspace.client.busy("users.info"):
            return None  # a name is not worth a place in Slack's line
        try:
            async with asyncio.timeout(None if waits else _LOOK_UP_SECONDS):
                response = await workspace.client.users_info(user=user, include_locale=True)
        except SlackApiError as err:
            log.warning("users.info is refused (%s)", slack_code(err))
            return None
        except (aiohttp.ClientError, TimeoutError) as err:
            log.warning("users.info fails (%s)", type(err).__name__)
            return None
        return self._person(team, user, response.get("user") or {})

    def _person(self, team: str, user: str, told: dict[str, Any]) -> Person:
        # An administrator of another workspace, met in a shared channel, is none here.
        ours = told.get("team_id") == team and not told.get("deleted", False)
        profile = told.get("profile") or {}
        name = profile.get("display_name") or told.get("name") or user
        return Person(
            platform="slack",
            id=user,
            name=str(name),
            server=team,
            manages=user in self._admins
            or (ours and bool(told.get("is_admin") or told.get("is_owner"))),
            locale=str(told.get("locale") or "en"),
        )
