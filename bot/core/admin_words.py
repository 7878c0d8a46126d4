"""Administration as typed text, for platforms and mentions without commands of their own.

In: words such as `["limits", "role", "R1", "requests", "50"]`. Out: what the admin desk says to the same.
Words may be in any case; what can't be understood gets the list of what can be said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from bot.core.people import Person, Place
from bot.core.sentences import Say
from personae.feedback_wire import FeedbackFormat

if TYPE_CHECKING:
    from bot.core.admin import AdminDesk, LimitScope, Scope

MOST_DAYS = 3650

_NOTHING = frozenset({"none", "off", "no", "keine", "aus"})
_ALL = frozenset({"all", "alle", "everybody", "*"})
_SCOPES: tuple[Scope, ...] = ("channel", "server", "thread")
_LIMIT_SCOPES: tuple[LimitScope, ...] = ("person", "role", "server")
_UNITS = ("requests", "tokens")


async def run(admin: AdminDesk, words: list[str], person: Person, place: Place, say: Say) -> str:
    verb, rest = (words[0].lower() if words else "", [word for word in words[1:] if word])
    match verb, rest:
        case "reload", [persona]:
            return await admin.reload(person, place, persona)
        case "reload", [persona, version]:
            return await admin.reload(person, place, persona, version)
        case "rollback", [persona]:
            return await admin.rollback(person, place, persona)
        case (("versions" | "list"), []):
            return await admin.versions(person, place)
        case (("versions" | "list"), [persona]):
            return await admin.versions(person, place, persona)
        case "status", []:
            return await admin.status(person, place)
        case "stats", []:
            return await admin.stats(person, place)
        case "default", [persona]:
            return await admin.set_default(person, place, _or_none(persona))
        case "default", [persona, typed]:
            scope = next((one for one in _SCOPES if one == typed.lower()), None)
            if scope is None:
                return say("default-bad-scope", scope=typed[:60])
            return await admin.set_default(person, place, _or_none(persona), scope)
        case "allow", [typed] if typed.lower() in _ALL:
            return await admin.allow(person, place, None)
        case "allow", [_, *_]:
            names = [name for word in rest for name in word.split(",") if name]
            return await admin.allow(person, place, names)
        case "limits", _:
            return await _limits(admin, rest, person, place, say)
        case (("admins" | "roles"), [_, *_]):
            roles = [] if rest[0].lower() in _NOTHING else rest
            return await admin.admin_roles(person, place, roles)
        case "names", [typed] if typed.lower() in ("on", "off", "an", "aus"):
            return await admin.own_names(person, place, typed.lower() in ("on", "an"))
        case "alerts", [typed]:
            here = place.channel if typed.lower() in ("here", "hier") else _or_none(typed)
            return await admin.alerts(person, place, here)
        case "retention", [typed]:
            days = _number(typed)
            if days is None:
                return say("retention-bad", most=MOST_DAYS, typed=typed[:60])
            return await admin.retention(person, place, days)
        case "unanswered", [persona]:
            return await admin.unanswered(person, place, persona)
        case "export", [persona, typed]:
            return await _export(admin, persona, typed, person, place, say)
        case _:
            return say("admin-usage")


async def _limits(admin: AdminDesk, rest: list[str], person: Person, place: Place, say: Say) -> str:
    """`limits`, `limits <scope> [id] [requests <n>] [tokens <n>]`, `limits <scope> [id] none`."""
    if not rest:
        return await admin.limits(person, place)
    scope = next((one for one in _LIMIT_SCOPES if one == rest[0].lower()), None)
    if scope is None:
        return say("limits-bad-scope", scope=rest[0][:60])
    left = rest[1:]
    key = ""
    if left and left[0].lower() not in (*_UNITS, *_NOTHING):
        key = left.pop(0)
    numbers: dict[str, int | None] = {"requests": None, "tokens": None}
    if len(left) == 1 and left[0].lower() in _NOTHING:
        return await admin.limits(person, place, scope, key)
    if not left or len(left) % 2:
        return say("admin-usage")
    for unit, typed in zip(left[::2], left[1::2], strict=True):
        if unit.lower() not in _UNITS:
            return say("admin-usage")
        if typed.lower() not in _NOTHING:
            number = _number(typed)
            if number is None:
                return say("limits-bad", typed=typed[:60])
            numbers[unit.lower()] = number
    return await admin.limits(
        person, place, scope, key, requests=numbers["requests"], tokens=numbers["tokens"]
    )


async def _export(
    admin: AdminDesk, persona: str, typed: str, person: Person, place: Place, say: Say
) -> str:
    """Only how much there is: text has no room for the lines, and a platform's own command sends a file."""
    format_: FeedbackFormat | None = next(
        (one for one in get_args(FeedbackFormat) if one == typed.lower()), None
    )
    if format_ is None:
        return say("export-bad-format", typed=typed[:60])
    lines = await admin.export_feedback(person, place, persona, format_)
    if isinstance(lines, str):
        return lines
    return say("export-done", persona=persona, format=format_, lines=lines.count(b"\n"))


def _or_none(typed: str) -> str | None:
    return None if typed.lower() in _NOTHING else typed


def _number(typed: str) -> int | None:
    return int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 13 else None
