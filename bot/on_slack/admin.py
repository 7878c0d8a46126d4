"""`/personae`: look at the adapters, move a persona to another version, for administrators only.

In: the words after the command and who typed them. Out: one sentence. It knows the gateway's admin
calls and `users.info`; it does not know how its sentence reaches the person.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Mapping

from slack_sdk.web.async_client import AsyncWebClient

from bot.core import sentences
from bot.core.gateway_client import GatewayClient
from personae.wire import AdapterChange, PersonaAdapters

log = logging.getLogger(__name__)

_ROLE_SECONDS = 60.0
_ROLES_KEPT = 1_000


class AdminDesk:
    """Answers `/personae reload|rollback|list`.

    Args:
        team_id: the bot's workspace. An administrator of another one, who meets the bot in a
            shared channel, is none here.
        admins: user ids that may administer whatever their role in Slack.
        has_key: whether the gateway client was given an admin key.
    """

    def __init__(
        self,
        gateway: GatewayClient,
        client: AsyncWebClient,
        *,
        team_id: str,
        admins: frozenset[str],
        has_key: bool,
    ) -> None:
        self._gateway = gateway
        self._client = client
        self._team_id = team_id
        self._admins = admins
        self._has_key = has_key
        self._roles: OrderedDict[str, tuple[bool, float]] = OrderedDict()  # user → (may, until)

    async def run(self, words: list[str], user: str, names: Mapping[str, str]) -> str:
        """Do what was typed; the sentence to show to the person.

        Raises:
            PersonaeError: the gateway refused; the sentence is in the error.
        """
        if not await self._may(user):
            return sentences.ADMINS_ONLY
        if not self._has_key:
            return sentences.NO_ADMIN_KEY
        actor = f"slack:{user}"
        match words:
            case ["list"]:
                adapters = (await self._gateway.adapters()).personas
                return "\n".join(map(_line, adapters)) or sentences.NO_PERSONAS
            case ["reload", typed, *rest] if len(rest) <= 1:
                persona = names.get(typed.lower(), typed)
                log.info("reload of %s asked for by %s", persona, user)
                version = rest[0] if rest else None
                change = AdapterChange(version=version, actor=actor, surface="slack")
                return (await self._gateway.reload(persona, change)).message
            case ["rollback", typed]:
                persona = names.get(typed.lower(), typed)
                log.info("rollback of %s asked for by %s", persona, user)
                change = AdapterChange(actor=actor, surface="slack")
                return (await self._gateway.rollback(persona, change)).message
            case _:
                return sentences.ADMIN_USAGE

    async def _may(self, user: str) -> bool:
        if user in self._admins:
            return True
        known = self._roles.get(user)
        if known is not None and time.monotonic() < known[1]:
            return known[0]
        response = await self._client.users_info(user=user)
        person = response.get("user") or {}
        may = person.get("team_id") == self._team_id and not person.get("deleted", False)
        may = may and bool(person.get("is_admin") or person.get("is_owner"))
        self._roles[user] = (may, time.monotonic() + _ROLE_SECONDS)
        while len(self._roles) > _ROLES_KEPT:
            self._roles.popitem(last=False)
        return may


def _line(adapters: PersonaAdapters) -> str:
    """One persona: `lincoln: live v2, previous v1; in the registry: v1, v2 (unusable: …)`."""
    versions = ", ".join(
        f"{info.version} ({info.problem or 'unusable'})"
        if info.state == "unusable"
        else info.version
        for info in adapters.versions
    )
    previous = f", previous {adapters.previous}" if adapters.previous else ""
    live = adapters.live or "none (prompt only)"
    return f"{adapters.persona}: live {live}{previous}; in the registry: {versions or 'nothing'}"
