"""What a server's administrators have set, as the desk reads it. Names of settings stand here only.

In: the rows of `State.settings`. Out: `Rules`. Anything that is not what it should be counts as not set:
a row that another version wrote must not keep a server from its answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.core.people import Person, Place
from bot.core.policy import Limit, PolicySettings

DEFAULT_PERSONA = "default_persona"
"""Of a channel or, with channel "", of the server."""
ALLOWED = "allowed_personas"
LIMITS = "limits"
"""{"person": {"": {…}, "<id>": {…}}, "role": {"<id>": {…}}, "server": {"": {…}}}; each of
them {"requests", "tokens"}."""
ADMIN_ROLES = "admin_roles"
OWN_NAMES = "own_names"
ALERTS_CHANNEL = "alerts_channel"

Settings = Mapping[str, Mapping[str, Any]]
"""Channel ("" for the server's own) → name → value."""


@dataclass(frozen=True)
class Rules:
    """Of one server."""

    settings: Settings = field(default_factory=dict)

    def default_of(self, channel: str) -> str | None:
        value = self.settings.get(channel, {}).get(DEFAULT_PERSONA)
        return value if isinstance(value, str) and value else None

    @property
    def allowed(self) -> frozenset[str] | None:
        """Ids of the only personas that may speak; None: all."""
        value = self._own(ALLOWED)
        return frozenset(map(str, value)) if isinstance(value, list) else None

    @property
    def admin_roles(self) -> frozenset[str]:
        value = self._own(ADMIN_ROLES)
        return frozenset(map(str, value)) if isinstance(value, list) else frozenset()

    @property
    def own_names(self) -> bool:
        return self._own(OWN_NAMES) is True

    @property
    def alerts_channel(self) -> str | None:
        value = self._own(ALERTS_CHANNEL)
        return value if isinstance(value, str) and value else None

    def limits_of(self, scope: str) -> dict[str, Limit]:
        """Key → limit, for "person" ("" is each person), "role" or "server" ("")."""
        everything = self._own(LIMITS)
        some = everything.get(scope) if isinstance(everything, dict) else None
        if not isinstance(some, dict):
            return {}
        return {str(key): _limit(value) for key, value in some.items()}

    def limit_of_person(self, person: Person, policy: PolicySettings) -> Limit:
        """Their own, else each person's here, else the operator's."""
        limits = self.limits_of("person")
        return limits.get(person.id) or limits.get("") or policy.person

    def limit_of_server(self, policy: PolicySettings) -> Limit:
        """The stricter of the server's own and the operator's."""
        own = self.limits_of("server").get("", Limit(requests=None, tokens=None))
        return Limit(
            requests=_lesser(own.requests, policy.server.requests),
            tokens=_lesser(own.tokens, policy.server.tokens),
        )

    def limits_of_roles(self, person: Person) -> dict[str, Limit]:
        """Those of their roles that have a limit."""
        limits = self.limits_of("role")
        return {role: limits[role] for role in sorted(person.roles) if role in limits}

    def may_administer(self, person: Person, place: Place) -> bool:
        return person.manages or bool(place.server and person.roles & self.admin_roles)

    def _own(self, name: str) -> Any:
        return self.settings.get("", {}).get(name)


def _limit(value: object) -> Limit:
    def number(name: str) -> int | None:
        found = value.get(name) if isinstance(value, dict) else None
        return found if isinstance(found, int) and found >= 0 else None

    return Limit(requests=number("requests"), tokens=number("tokens"))


def _lesser(one: int | None, other: int | None) -> int | None:
    return min((its for its in (one, other) if its is not None), default=None)
