"""Who may do what, and how much of it: settings of the operator, read once from the environment.

PERSONAE_OPERATORS                who may do what holds for all servers: person keys ("discord:123",
                                  "slack:T1:U1") or plain ids, comma-separated
PERSONAE_BOT_REQUESTS_PER_PERSON  questions a day for each person (none)
PERSONAE_BOT_TOKENS_PER_PERSON    tokens a day for each person (none)
PERSONAE_BOT_REQUESTS_PER_SERVER  questions a day for each server (none)
PERSONAE_BOT_TOKENS_PER_SERVER    tokens a day for each server (none)
PERSONAE_BOT_ANSWERS_AT_ONCE      running answers of one person (3)
PERSONAE_BOT_MEMORY_HOURS         how long a silent conversation is remembered (24)
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot.core.people import Person
from personae.errors import ConfigError


class Limit(BaseModel):
    """What may be used in a day (UTC). None: any number."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests: int | None = Field(None, ge=0)
    tokens: int | None = Field(None, ge=0)


class PolicySettings(BaseModel):
    """What the operator allows everywhere; servers may set limits of their own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    operators: frozenset[str] = frozenset()
    person: Limit = Limit(requests=None, tokens=None)
    server: Limit = Limit(requests=None, tokens=None)
    answers_at_once: int = Field(3, ge=1)
    memory_seconds: float = Field(24 * 3600.0, gt=0)

    def is_operator(self, person: Person) -> bool:
        """Without a list, whoever manages the server they are in."""
        if not self.operators:
            return person.manages
        return person.key in self.operators or person.id in self.operators


_NUMBERS = {
    "PERSONAE_BOT_REQUESTS_PER_PERSON": ("person", "requests"),
    "PERSONAE_BOT_TOKENS_PER_PERSON": ("person", "tokens"),
    "PERSONAE_BOT_REQUESTS_PER_SERVER": ("server", "requests"),
    "PERSONAE_BOT_TOKENS_PER_SERVER": ("server", "tokens"),
}


def policy_from(environment: Mapping[str, str]) -> PolicySettings:
    """Settings from environment variables; an empty one counts as missing.

    Raises:
        ConfigError: every problem, in one line.
    """
    given = {name: value.strip() for name, value in environment.items() if value.strip()}
    limits: dict[str, dict[str, str]] = {"person": {}, "server": {}}
    for name, (scope, unit) in _NUMBERS.items():
        if name in given:
            limits[scope][unit] = given[name]
    values: dict[str, object] = dict(limits)
    if "PERSONAE_OPERATORS" in given:
        named = given["PERSONAE_OPERATORS"].split(",")
        values["operators"] = frozenset(one.strip() for one in named if one.strip())
    if "PERSONAE_BOT_ANSWERS_AT_ONCE" in given:
        values["answers_at_once"] = given["PERSONAE_BOT_ANSWERS_AT_ONCE"]
    if "PERSONAE_BOT_MEMORY_HOURS" in given:
        try:
            values["memory_seconds"] = float(given["PERSONAE_BOT_MEMORY_HOURS"]) * 3600
        except ValueError as err:
            raise ConfigError("PERSONAE_BOT_MEMORY_HOURS is no number of hours.") from err
    try:
        return PolicySettings.model_validate(values)
    except ValidationError as err:
        raise ConfigError(" ".join(_problem(problem["loc"]) for problem in err.errors())) from err


def _problem(place: tuple[int | str, ...]) -> str:
    names = {".".join(where): name for name, where in _NUMBERS.items()}
    names |= {
        "answers_at_once": "PERSONAE_BOT_ANSWERS_AT_ONCE",
        "memory_seconds": "PERSONAE_BOT_MEMORY_HOURS",
    }
    name = names.get(".".join(map(str, place)), "PERSONAE_OPERATORS")
    return f"{name} is no usable number; give a whole one above 0, or leave it out."
