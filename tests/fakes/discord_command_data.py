"""The `data` of a command's interaction, checked against the registered command as the app does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tests.fakes import discord_rules as rules

_STRING, _INTEGER, _BOOLEAN = 3, 4, 5


def command_data(
    commands: list[dict[str, Any]],
    path: str,
    options: Mapping[str, str | int | bool],
    *,
    context: int,
    kind: int = 1,
    typing: str | None = None,
    user_install: bool = False,
) -> dict[str, Any]:
    """Fill a command in.

    Args:
        path: name, group and sub-command; of a context menu (`kind` 3) the name with its blanks.
        typing: the option that is being typed into.
    """
    name, *deeper = path.split() if kind == 1 else [path]
    command = _named([c for c in commands if c.get("type", 1) == kind], name)
    assert context in (command.get("contexts") or [0, 1, 2]), f"/{path} is not here"
    installs = command.get("integration_types") or [0]
    assert int(user_install) in installs, f"/{path} is not for this kind of installation"
    data: dict[str, Any] = {"id": command["id"], "name": name, "type": kind}
    data["default_member_permissions"] = command["default_member_permissions"]
    place, schema = data, command
    for part in deeper:
        schema = _named(schema["options"], part)
        inner = {"name": part, "type": schema["type"]}
        place["options"] = [inner]
        place = inner
    known = {option["name"]: option for option in schema.get("options") or []}
    assert set(options) <= set(known), f"/{path} has no option {set(options) - set(known)}"
    if typing is None:
        needed = {name for name, option in known.items() if option.get("required")}
        assert needed <= set(options), f"/{path} needs {needed - set(options)}"
    else:
        assert known[typing].get("autocomplete"), f"{typing} has no autocomplete"
    place["options"] = []
    resolved: dict[str, dict[str, Any]] = {}
    for given, value in options.items():
        option = known[given]
        if given != typing:
            _check_value(given, value, option)
        filled = {"name": given, "type": option["type"], "value": value}
        place["options"].append(filled | ({"focused": True} if given == typing else {}))
        _resolve(resolved, option["type"], value)
    if resolved:
        data["resolved"] = resolved
    return data


def _check_value(name: str, value: str | int | bool, option: dict[str, Any]) -> None:
    kind, choices = option["type"], option.get("choices")
    if kind == _STRING:
        assert isinstance(value, str), f"{name} takes text"
        most, least = option.get("max_length") or 6000, option.get("min_length") or 0
        assert least <= rules.units(value) <= most, f"{name} takes {least} to {most}"
    elif kind == _INTEGER:
        assert isinstance(value, int), f"{name} takes a number"
        assert value >= option.get("min_value", value), f"{name} takes more"
        assert value <= option.get("max_value", value), f"{name} takes less"
    elif kind == _BOOLEAN:
        assert isinstance(value, bool), f"{name} takes True or False"
    if choices:
        assert value in [choice["value"] for choice in choices], f"{name} has no choice {value!r}"


def _resolve(resolved: dict[str, dict[str, Any]], kind: int, value: Any) -> None:
    """What Discord sends along for people, roles and channels given as options."""
    from tests.fakes.discord_world import ALICE, BOB, CAROL, LIBRARIANS, member

    if kind == 6:
        person = next(p for p in (ALICE, BOB, CAROL) if p.id == value)
        resolved.setdefault("users", {})[person.id] = person.as_json()
        there = member(None, person.roles) | {"permissions": "0"}
        resolved.setdefault("members", {})[person.id] = there
    elif kind == 8:
        resolved.setdefault("roles", {})[value] = {
            "id": value,
            "name": "Librarians" if value == LIBRARIANS else "role",
            "permissions": "0",
            "position": 1,
            "color": 0,
            "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
            "hoist": False,
            "managed": False,
            "mentionable": False,
            "flags": 0,
        }
    elif kind == 7:
        resolved.setdefault("channels", {})[value] = {
            "id": value,
            "type": 0,
            "name": "general",
            "permissions": "0",
        }


def _named(items: Iterable[dict[str, Any]], name: str) -> dict[str, Any]:
    found = next((item for item in items if item["name"] == name), None)
    assert found is not None, f"there is no command or option {name!r}"
    return found
